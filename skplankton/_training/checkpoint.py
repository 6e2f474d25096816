"""A training that goes on where its process has ended."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from skorch.callbacks import Callback

from skplankton._training.devices import get_random_state, set_random_state
from skplankton._training.distributed import ALONE, Processes
from skplankton._utils.files import write_whole

FILE_NAME = "training.pt"
ROWS_PER_DIGEST = 4096
# What skorch's early stopping remembers from one epoch to the next.
_STOPPING = ("misses_", "dynamic_threshold_", "best_epoch_", "best_model_weights_")
# Of each epoch; the losses of its batches have served.
_HISTORY = ("epoch", "train_loss", "valid_loss", "temperature", "train_batch_count")


class Checkpoint(Callback):
    """Writes the state of the training after each epoch, and restores it.

    Parameters
    ----------
    folder : path-like
        Where the file is. It is replaced when the next one is complete.
    identity : dict of str to str
        What makes a training: parameters, data and versions, by name. A file with
        another identity is refused.
    processes : Processes
        Those that train. Process 0 reads and writes the file, with the random states of
        all: so they all go on from the same epoch, and no other needs the folder.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        identity: Mapping[str, str],
        processes: Processes = ALONE,
    ):
        self.path = Path(folder) / FILE_NAME
        self.identity = dict(identity)
        self.processes = processes
        found = None
        with processes.agreed():
            if processes.rank == 0:
                # Errors of the folder now, not after the first epoch.
                self.path.parent.mkdir(parents=True, exist_ok=True)
                found = self._read()
        self.found = processes.of_first(found)

    def _read(self) -> dict[str, Any] | None:
        if not self.path.exists():
            return None
        start_again = f"Remove {self.path} to start again, or use another checkpoint."
        try:
            # Only tensors and plain values: nothing in the file can run.
            found = torch.load(self.path, map_location="cpu", weights_only=True)
            identity = found["identity"]
        except Exception as error:  # whatever torch raises for other files
            raise ValueError(
                f"{self.path} is not a checkpoint of a training "
                f"({type(error).__name__}). {start_again}"
            ) from error
        names = sorted(identity.keys() | self.identity.keys())
        others = [n for n in names if identity.get(n) != self.identity.get(n)]
        if "number of processes" in others and "X" in others:
            others.remove("X")  # the shares differ, of the same X or of another
        if others:
            raise ValueError(
                f"{self.path} is of another training; these differ: "
                f"{', '.join(others)}. {start_again}"
            )
        return found

    def on_train_begin(self, net, **kwargs):
        """Restore the state; skorch calls this after the other callbacks' own."""
        if (found := self.found) is None:
            return
        net.module_.load_state_dict(found["module"])
        net.optimizer_.load_state_dict(found["optimizer"])
        net.scaler_.load_state_dict(found["scaler"])
        callbacks = dict(net.callbacks_)
        schedule = callbacks["schedule"]
        schedule.lr_scheduler_.load_state_dict(found["schedule"])
        schedule.batch_idx_ = found["n_steps"]
        if "early_stopping" in callbacks:
            for name, value in zip(_STOPPING, found["stopping"], strict=True):
                setattr(callbacks["early_stopping"], name, value)
        _set_random_states(net, found["random_states"][self.processes.rank])
        for row in json.loads(found["history"]):
            net.history.append({**row, "batches": []})
        self.found = None  # the weights are in the net

    def on_epoch_end(self, net, **kwargs):
        random_states = self.processes.gathered(_random_states(net))
        with self.processes.agreed():
            if self.processes.rank == 0:
                self._write(net, random_states)

    def _write(self, net, random_states: list[dict]) -> None:
        callbacks = dict(net.callbacks_)
        schedule, stopping = callbacks["schedule"], callbacks.get("early_stopping")
        history = [{n: row[n] for n in _HISTORY if n in row} for row in net.history]
        state = {
            "identity": self.identity,
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "scaler": net.scaler_.state_dict(),
            "schedule": schedule.lr_scheduler_.state_dict(),
            "n_steps": schedule.batch_idx_,
            "stopping": stopping and [_plain(getattr(stopping, n)) for n in _STOPPING],
            "random_states": random_states,
            "history": json.dumps(history, default=float),
        }
        content = io.BytesIO()
        torch.save(state, content)
        write_whole(self.path, content.getbuffer())


def _random_states(net) -> dict[str, Any]:
    """Of the order of the pairs, and of the devices that this process uses."""
    kind, keys, *rest = net.shuffle.get_state()
    devices = {torch.device(device).type: device for device in ("cpu", net.device)}
    return {
        "shuffle": (kind, torch.from_numpy(keys.astype(np.int64)), *rest),
        "devices": {name: get_random_state(each) for name, each in devices.items()},
    }


def _set_random_states(net, states: dict[str, Any]) -> None:
    kind, keys, *rest = states["shuffle"]
    net.shuffle.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    for name, state in states["devices"].items():
        own = torch.device(net.device)  # the number of a process's GPU may change
        set_random_state(own if own.type == name else name, state)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, np.floating) else value


def digest_of(*arrays: Mapping[str, np.ndarray] | None) -> str:
    """A digest of the arrays' names and values."""
    digest = hashlib.blake2b(digest_size=16)
    for group in arrays:
        for name, values in sorted((group or {}).items()):
            digest.update(f"{name} {values.shape} {values.dtype}".encode())
            for start in range(0, len(values), ROWS_PER_DIGEST):
                rows = np.ascontiguousarray(values[start : start + ROWS_PER_DIGEST])
                digest.update(rows.data)
        digest.update(b"end of group")
    return digest.hexdigest()


def digest_of_parameter(name: str, value: Any) -> str:
    """The same text for the same value, in another process too."""
    try:
        return joblib.hash(value)
    except Exception as error:  # of any object that cannot be pickled
        raise ValueError(
            f"checkpoint= cannot tell whether {name}={value!r} is the same in another "
            f"process ({type(error).__name__}). Use a value that can be pickled, such "
            "as a function of a module instead of a lambda."
        ) from error

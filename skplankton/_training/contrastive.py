"""Contrastive training: the only module that uses skorch."""

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, LRScheduler, PrintLog
from skorch.helper import predefined_split
from skorch.utils import noop, to_tensor
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from skplankton import losses
from skplankton._nn.augmentation import augment_pairs
from skplankton._nn.dual_encoder import DualEncoder
from skplankton._training.batches import BalancedBatches, PairDataset
from skplankton._training.checkpoint import Checkpoint, digest_of
from skplankton._training.devices import (
    autocast,
    get_random_state,
    seeded,
    set_random_state,
)
from skplankton._training.distributed import ALONE, Processes
from skplankton._training.divergence import diverged, is_finite
from skplankton._training.schedule import WarmupCosine
from skplankton._utils.progress import progress

OPTIMIZERS = {
    "adamw": (torch.optim.AdamW, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
}


class ContrastiveNet(NeuralNet):
    """A skorch net with pairs as samples and the pairing as target."""

    def __init__(
        self,
        module=DualEncoder,
        criterion=torch.nn.Identity,  # the loss needs the module's temperature
        *,
        loss="clip",
        augment=True,
        flip="shared",
        precision="32",
        micro_batch_size=None,
        shuffle=None,
        processes=ALONE,
        **kwargs,
    ):
        self.loss = loss
        self.augment = augment
        self.flip = flip
        self.precision = precision
        self.micro_batch_size = micro_batch_size
        self.shuffle = shuffle
        self.processes = processes
        super().__init__(module, criterion, **kwargs)

    def initialize_module(self):
        super().initialize_module()
        on_cuda = torch.device(self.device).type == "cuda"
        self.scaler_ = torch.amp.GradScaler(
            "cuda", enabled=self.precision == "16" and on_cuda
        )
        return self

    def get_iterator(self, dataset, training=False):
        return BalancedBatches(
            dataset, self.batch_size, self.shuffle if training else None
        )

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """As skorch's, but the losses are read at the end of the epoch.

        Reading one waits for the device, which would then wait for its next step. What
        is decided by them, such as early stopping, is decided by those of one process.
        """
        if iterator is None:
            return
        losses_of_batches = []
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            losses_of_batches.append(step["loss"])
            self.history.record_batch(f"{prefix}_batch_size", int(batch[1].sum()))
            self.notify("on_batch_end", batch=batch, training=training, **step)
        n_batches = len(losses_of_batches)
        values = self.processes.of_first(torch.stack(losses_of_batches).tolist())
        records = self.history[-1]["batches"][-n_batches:]
        for record, value in zip(records, values, strict=True):
            record[f"{prefix}_loss"] = value
        self.history.record(f"{prefix}_batch_count", n_batches)
        if training:  # batch normalization has counted the pairs of its own process
            self.processes.copy_first(self.module_.buffers())

    def infer(self, x, **fit_params):
        if not len(x["image"]):  # all pairs of the batch are of other processes
            width = self.module_.image.projection.out_features
            none = torch.empty(0, width, device=self.device, requires_grad=True)
            return none, none
        with autocast(self.device, self.precision):
            return super().infer(x, **fit_params)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        image, profile = y_pred
        if y_true is not None:
            image, profile = self.processes.whole_batch(image, profile, y_true)
        module = self.module_
        if self.loss == "clip":
            return losses.clip_loss(image, profile, module.logit_scale)
        return losses.siglip_loss(image, profile, module.logit_scale, module.logit_bias)

    def train_step(self, batch, **fit_params):
        self._set_training(True)
        self._zero_grad_optimizer()
        views = to_tensor(batch[0], device=self.device)
        shares = batch[1]
        if self.augment and len(views["image"]):
            views["image"], views["profile"] = augment_pairs(
                views["image"], views["profile"], self.flip
            )
        chunk = self.micro_batch_size
        if chunk is None or chunk >= len(views["image"]):
            loss = self.get_loss(self.infer(views), shares, training=True)
            self.scaler_.scale(loss).backward()
        else:
            loss = self._backward_in_chunks(views, shares, chunk)
        self.processes.add_gradients(self.module_)
        self.scaler_.step(self.optimizer_)
        self.scaler_.update()
        return {"loss": loss.detach(), "y_pred": None}

    def _backward_in_chunks(
        self, views: dict[str, Tensor], shares: np.ndarray, chunk: int
    ) -> Tensor:
        """Gradient of the whole batch's loss, with the graph of one chunk in memory.

        Gao et al. 2021, "Scaling deep contrastive learning batch size under memory
        limited setup" (arXiv:2101.06983): embed without a graph, differentiate the loss
        with respect to the embeddings, then embed each chunk again, with a graph and
        the same dropout, to propagate its share of that gradient to the weights.
        """
        n_chunks = math.ceil(len(views["image"]) / chunk)
        parts = [
            dict(zip(views, values, strict=True))
            for values in zip(
                *(v.tensor_split(n_chunks) for v in views.values()), strict=True
            )
        ]
        random_states, embedded = [], []
        with torch.no_grad():
            for part in parts:
                random_states.append(get_random_state(self.device))
                embedded.append(self.infer(part))
        image, profile = (
            torch.cat(view).requires_grad_() for view in zip(*embedded, strict=True)
        )
        loss = self.get_loss((image, profile), shares, training=True)
        self.scaler_.scale(loss).backward()
        gradients = (
            view.grad.tensor_split(n_chunks)  # type: ignore[union-attr]
            for view in (image, profile)
        )
        for part, random_state, *gradient in zip(
            parts, random_states, *gradients, strict=True
        ):
            set_random_state(self.device, random_state)
            torch.autograd.backward(self.infer(part), gradient)
        return loss


class _EnoughTraining(Exception):
    """Raised by early stopping to end the loop over the epochs."""


class _EarlyStopping(EarlyStopping):
    """Distinguish skorch's KeyboardInterrupt at the end from the user's Ctrl-C."""

    def on_epoch_end(self, net, **kwargs):
        try:
            super().on_epoch_end(net, **kwargs)
        except KeyboardInterrupt:
            if self.misses_ == self.patience:
                raise _EnoughTraining from None
            raise


class _TemperatureLog(Callback):
    """Record the temperature in the history, one value per epoch."""

    def on_epoch_end(self, net, **kwargs):
        net.history.record("temperature", net.module_.temperature)


class _DivergenceCheck(Callback):
    """End a diverged training; after a skipped step in float16 it can recover."""

    def on_epoch_end(self, net, **kwargs):
        if not (math.isfinite(net.history[-1]["train_loss"]) or is_finite(net.module_)):
            raise diverged(net.optimizer__lr)


class _StepProgress(Callback):
    """Moves one bar over all steps, with the losses of the last epoch."""

    def __init__(self, bar: tqdm):
        self.bar = bar

    def on_epoch_begin(self, net, **kwargs):
        if self.bar.n == 0 and len(net.history) > 1:  # a training that goes on
            n_before = sum(row["train_batch_count"] for row in net.history[:-1])
            self.bar.update(n_before)

    def on_batch_end(self, net, training=False, **kwargs):
        self.bar.update(int(training))

    def on_epoch_end(self, net, **kwargs):
        last = net.history[-1]
        shown = ("train_loss", "valid_loss", "temperature")
        losses = {name: last[name] for name in shown if name in last}
        epoch = f"{last['epoch']}/{net.max_epochs}"
        self.bar.set_postfix({"epoch": epoch, **losses}, refresh=False)


def train_dual_encoder(
    arrays: dict[str, np.ndarray],
    valid_arrays: dict[str, np.ndarray] | None,
    *,
    module_params: dict,
    initial_weights: dict[str, Tensor] | None,
    optimizer,
    learning_rate: float,
    weight_decay: float,
    warmup_epochs: int,
    max_epochs: int,
    batch_size: int,
    patience: int,
    seed: int,
    verbose: int,
    checkpoint: str | os.PathLike | None = None,
    identity: Mapping[str, str] | None = None,
    processes: Processes = ALONE,
    **net_params,
) -> tuple[ContrastiveNet, list[dict]]:
    """Train on the pairs in `arrays`; return the net, for inference, and a history.

    With a folder as `checkpoint`, go on from the last epoch of the training with the
    same `identity` (of the parameters) and data, if one is there.

    With several `processes`, each calls this with its share of the pairs, and returns
    the same net.

    torch's global random states are not changed.
    """
    device = net_params["device"]
    dataset = PairDataset(arrays, device, processes)
    n_batches = math.ceil(sum(dataset.shares) / batch_size)
    schedule = WarmupCosine(warmup_epochs * n_batches, max_epochs * n_batches)
    valid_split = stopping = kept = shown = None
    if valid_arrays is not None:
        valid_split = predefined_split(PairDataset(valid_arrays, device, processes))
        stopping = _EarlyStopping(
            patience=patience, threshold=0, load_best=True, sink=noop
        )
    if checkpoint is not None:
        data = digest_of(arrays, valid_arrays, _as_arrays(initial_weights))
        identity = {
            **(identity or {}),
            "X": " ".join(processes.gathered(data)),
            "torch": str(torch.__version__),
            "number of processes": str(processes.size),  # they round differently
        }
        kept = Checkpoint(checkpoint, identity, processes)
    bar = progress(
        total=max_epochs * n_batches,
        desc="training",
        unit="steps",
        disable=verbose != 1,
    )
    if verbose:
        shown = PrintLog() if verbose > 1 else _StepProgress(bar)
    callbacks = [
        ("temperature", _TemperatureLog()),
        ("divergence", _DivergenceCheck()),
        ("schedule", LRScheduler(LambdaLR, lr_lambda=schedule, step_every="batch")),
        ("progress", shown),
        ("early_stopping", stopping),
        # The last one: it stores what the others have learned from the epoch.
        ("checkpoint", kept),
    ]
    # Processes draw different batches and augmentations of different shares.
    seed += processes.rank
    net = ContrastiveNet(
        **_optimizer_params(optimizer, device),
        optimizer__lr=learning_rate,
        optimizer__weight_decay=weight_decay,
        max_epochs=max_epochs,
        batch_size=batch_size,
        shuffle=np.random.RandomState(seed),
        train_split=valid_split,
        callbacks=[named for named in callbacks if named[1] is not None],
        callbacks__print_log=None,
        verbose=verbose,
        processes=processes,
        **{f"module__{name}": value for name, value in module_params.items()},
        **net_params,
    )
    with seeded(net.device, seed), bar:
        _initialize(net, dataset, initial_weights)
        net.notify("on_train_begin", X=dataset)
        # Not net.fit, which ignores Ctrl-C and would return a half-trained net.
        with suppress(_EnoughTraining):
            net.fit_loop(dataset, epochs=max_epochs - len(net.history))
        net.notify("on_train_end", X=dataset)
        # The estimator checks pass on an untrained net, hence this check.
        if not net.history or not net.history[-1].get("train_batch_count"):
            raise RuntimeError("No training step was taken: this is a bug.")
        _set_feature_means(net, dataset)

    history = _epochs(net)
    # The last step may have diverged after computing its loss, or only the features.
    if not (math.isfinite(history[-1]["train_loss"]) and is_finite(net.module_)):
        raise diverged(learning_rate)
    net.set_params(train_split=None, shuffle=None, processes=None)
    net.trim_for_prediction()  # the optimizer's state is twice the weights' size
    # A pickle is loaded to the net's device: every machine has a CPU. The estimator
    # moves the module to its own device.
    net.device = "cpu"
    net.module_.to("cpu")
    return net, history


def _optimizer_params(optimizer, device: str) -> dict[str, Any]:
    """The optimizer and its own parameters, as parameters of the net."""
    kind, params = OPTIMIZERS.get(optimizer, (optimizer, {}))
    if optimizer in OPTIMIZERS and torch.device(device).type in ("cuda", "cpu"):
        params = {**params, "fused": True}  # few kernels, not many
    return {"optimizer": kind, **{f"optimizer__{n}": v for n, v in params.items()}}


def _initialize(
    net: ContrastiveNet,
    dataset: PairDataset,
    initial_weights: dict[str, Tensor] | None,
) -> None:
    """Set the first weights: those given, or random ones and the scales of the data."""
    net.initialize()
    module = net.module_
    if initial_weights is not None:
        _load_weights(module, initial_weights)
    else:
        for modality in ("image", "profile"):
            getattr(module, modality).set_scales(
                dataset.arrays[modality],
                dataset.arrays.get(f"{modality}_size"),
                net.processes.all_rows,
            )
        _scale_to_data(net, dataset)
    # In every bit: from the same gradients, they will then remain the same.
    net.processes.copy_first(module.state_dict().values())


def _set_feature_means(net: ContrastiveNet, dataset: PairDataset) -> None:
    """Learn the mean of each encoder's features from the pairs of all processes."""
    module = net.module_
    net._set_training(False)
    with torch.no_grad(), autocast(net.device, net.precision):
        batches = net.get_iterator(dataset, training=False)
        module.set_feature_means(
            to_tensor(own, net.device) for own, _ in batches if len(own["image"])
        )
        for encoder in (module.image, module.profile):
            net.processes.average(encoder.feature_mean, len(dataset))


def _as_arrays(weights: dict[str, Tensor] | None) -> dict[str, np.ndarray]:
    return {name: w.cpu().numpy().ravel() for name, w in (weights or {}).items()}


def _scale_to_data(net: ContrastiveNet, dataset: PairDataset) -> None:
    """Pass one batch through the module, to initialize scales from data.

    The batch is the same with and without micro-batches in the training steps, and in
    all processes: a share of it may be too small to take a scale from.
    """
    views, _ = next(iter(net.get_iterator(dataset, training=True)))
    views = {n: net.processes.all_rows(v.cpu().numpy()) for n, v in views.items()}
    net._set_training(True)
    with torch.no_grad():
        net.module_(**to_tensor(views, device=net.device))


def _load_weights(module: DualEncoder, weights: dict[str, Tensor]) -> None:
    """Start from the weights of another fit, but with the requested temperature."""
    own = module.state_dict()
    for name in sorted(own.keys() | weights.keys()):
        shapes = [
            tuple(state[name].shape) if name in state else "absent"
            for state in (weights, own)
        ]
        if shapes[0] != shapes[1]:
            raise ValueError(
                "warm_start=True continues from the weights of the previous fit, which "
                f"do not match the current parameters and X: {name!r} was {shapes[0]} "
                f"and is {shapes[1]} now. Restore the former encoder parameters and "
                "columns of X, or use warm_start=False."
            )
    if not module.log_logit_scale.requires_grad:
        weights = weights | {"log_logit_scale": own["log_logit_scale"]}
    module.load_state_dict(weights)


def _epochs(net: ContrastiveNet) -> list[dict]:
    names = ("epoch", "train_loss", "valid_loss", "temperature")
    return [{n: row[n] for n in names if n in row} for row in net.history]

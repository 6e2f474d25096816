"""Steps per second of two processes with one thread each, against one with two threads.

Both train the same embedder on the same pairs for the same number of steps; a step is
one of the whole batch, of which each process embeds its share. Only the epochs are
timed, not the start of the processes. The two take turns, and each uses two cores.

    python benchmarks/several_processes.py
"""

import os
import subprocess
import sys

import _timing
from training_loop import Clock

from skplankton import CrossModalEmbedder
from skplankton.datasets import make_particles

SEED = 0
N_CORES = 2
N_EPOCHS = 3
SIZES = {"default encoders": {}, "images of 96 pixels": {"image_size": 96}}


def measure(row: str, n_pairs: int, batch_size: int) -> None:
    """Print the steps per second in this process, or in all that torchrun started."""
    X, _ = make_particles(n_pairs, random_state=SEED, return_X_y=True)
    embedder = CrossModalEmbedder(
        **SIZES[row],
        batch_size=batch_size,
        max_epochs=N_EPOCHS,
        random_state=SEED,
        device="cpu",
        distributed="RANK" in os.environ,
    )
    with Clock() as clock:
        embedder.fit(X)
    if os.environ.get("RANK", "0") == "0":
        print(N_EPOCHS * -(-n_pairs // batch_size) / clock.seconds)


def steps_per_second(n_processes: int, *arguments: object) -> float:
    """Of a training by some processes, which share the cores."""
    torchrun = ["torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
    launcher = ["-m", *torchrun, f"--nproc-per-node={n_processes}"]
    run = subprocess.run(
        [
            sys.executable,
            *(launcher if n_processes > 1 else []),
            *map(str, (__file__, "--measure", *arguments)),
        ],
        env={**os.environ, "OMP_NUM_THREADS": str(N_CORES // n_processes)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(run.stdout.splitlines()[-1])


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        row, n_pairs, batch_size = sys.argv[2:]
        measure(row, int(n_pairs), int(batch_size))
        return
    options = _timing.parser(__doc__)
    options.add_argument("--n-pairs", type=int, default=1024)
    options.add_argument("--batch-size", type=int, default=128)
    options = options.parse_args()
    size = (options.n_pairs, options.batch_size)
    records = []
    for row in SIZES:
        ways = {
            "plain": lambda row=row: steps_per_second(1, row, *size),
            "ours": lambda row=row: steps_per_second(N_CORES, row, *size),
        }
        figures = _timing.take_turns(ways, options.n_runs, warm_up=False)
        records.append(
            _timing.compare(
                f"{row}: {size[0]} pairs in batches of {size[1]}, {N_EPOCHS} epochs",
                figures,
                ours_over_plain=True,
                unit="steps/s",
            )
        )
    _timing.write_table(__file__, records)


if __name__ == "__main__":
    main()

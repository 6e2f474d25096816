"""The learning rate over the steps of a training."""

import math

FINAL_LEARNING_RATE = 1 / 500  # of the peak: 0.005 to 1e-5 in Kareinen et al. 2026


class WarmupCosine:
    """Factor on the learning rate: linear warm-up, then a cosine down to the final."""

    def __init__(self, n_warmup_steps: int, n_steps: int):
        self.n_warmup_steps = n_warmup_steps
        self.n_steps = n_steps

    def __call__(self, step: int) -> float:
        if step < self.n_warmup_steps:
            return (step + 1) / (self.n_warmup_steps + 1)
        done = (step - self.n_warmup_steps) / max(1, self.n_steps - self.n_warmup_steps)
        cosine = (1 + math.cos(math.pi * min(1.0, done))) / 2
        return FINAL_LEARNING_RATE + (1 - FINAL_LEARNING_RATE) * cosine

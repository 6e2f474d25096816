"""Self-distillation without labels: a student learns the output of a slower teacher.

Caron et al. 2021, "Emerging properties in self-supervised vision transformers"
(arXiv:2104.14294). Loss and projection head are lightly's.
"""

import math
import warnings
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn

from skplankton._nn.dual_encoder import StandardizedEncoder, for_inference, map_rows
from skplankton._nn.multi_crop import draw_views
from skplankton._training.batches import BalancedBatches, PairDataset
from skplankton._training.devices import autocast, seeded
from skplankton._training.divergence import diverged, is_finite
from skplankton._training.schedule import WarmupCosine
from skplankton._utils.extras import import_extra
from skplankton._utils.progress import progress

HEAD_WIDTH = 512  # of the hidden layers; 2048 in Caron et al., for a thousand classes
LARGEST_GRADIENT = 3.0  # the norm a step's gradient is clipped to: Caron et al.'s code


class Network(nn.Module):
    """An encoder, and the head that compares its features with prototypes."""

    def __init__(self, encoder: StandardizedEncoder, head: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, views: list[Tensor]) -> Tensor:
        features = torch.cat([self.encoder.encode(view) for view in views])
        return self.head(features).float()


class SelfDistillation(nn.Module):
    """A student and its teacher, the moving average of the student."""

    def __init__(
        self,
        encoder: StandardizedEncoder,
        width: int,
        bottleneck_width: int,
        n_prototypes: int,
    ):
        super().__init__()
        heads = (width, HEAD_WIDTH, bottleneck_width, n_prototypes)
        # A weight-normalized layer cannot be copied: the teacher has its own head.
        self.student = Network(encoder, make_head(*heads))
        self.teacher = Network(deepcopy(encoder), make_head(*heads))
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False)

    def forward(self, views: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Output of the teacher for the global views, and of the student for all."""
        with torch.no_grad():
            targets = self.teacher(views[:1])
        return targets, self.student(views)

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """Move the teacher towards the student."""
        pairs = zip(self.teacher.parameters(), self.student.parameters(), strict=True)
        for slow, fast in pairs:
            slow.lerp_(fast, 1 - momentum)


def make_head(width: int, head_width: int, bottleneck_width: int, n_prototypes: int):
    """Lightly's projection head, with batch normalization.

    Rectified and pooled features share a large mean; without normalization the head has
    almost the same output for every image, and the teacher's centering then leaves
    nothing to learn: the loss rises to log(n_prototypes).
    """
    _, head_class = import_lightly()
    with warnings.catch_warnings():
        # lightly calls torch.nn.utils.weight_norm, which works but is deprecated.
        warnings.filterwarnings("ignore", ".*weight_norm", FutureWarning)
        return head_class(
            width, head_width, bottleneck_width, n_prototypes, batch_norm=True
        )


def import_lightly() -> tuple[type[nn.Module], type[nn.Module]]:
    """DINOLoss and DINOProjectionHead, or what to install."""
    need = "DINOEmbedder needs lightly"
    losses = import_extra("lightly.loss", "dino", need)
    heads = import_extra("lightly.models.modules", "dino", need)
    return losses.DINOLoss, heads.DINOProjectionHead


def train_dino(
    values: np.ndarray,
    sizes: np.ndarray | None,
    *,
    flip: bool,
    encoder,
    encoder_params: dict | None,
    bottleneck_width: int,
    n_prototypes: int,
    n_local_crops: int,
    teacher_momentum: float,
    teacher_temperature: float,
    student_temperature: float,
    learning_rate: float,
    weight_decay: float,
    warmup_epochs: int,
    max_epochs: int,
    batch_size: int,
    device: str,
    precision: str,
    seed: int,
    verbose: int,
) -> tuple[StandardizedEncoder, list[dict]]:
    """Train on the rows of `values`; return the teacher's encoder and a history.

    torch's global random states are not changed.
    """
    loss_class, _ = import_lightly()
    batches = BalancedBatches(
        PairDataset({"image": values}, device), batch_size, np.random.RandomState(seed)
    )
    n_steps = max_epochs * len(batches)
    bar = progress(total=n_steps, desc="training", unit="steps", disable=verbose != 1)
    with seeded(device, seed), bar:
        network = StandardizedEncoder(
            "image",
            encoder,
            encoder_params,
            values.shape[1:],
            0 if sizes is None else sizes.shape[1],
        )
        network.set_scales(values, sizes)
        local_side = choose_local_side(network, values.shape[1:])
        # Training does not use the sizes: all crops of a particle share them, so that
        # they would reveal the target of the loss.
        width = network.n_features - len(network.size_mean)
        pair = SelfDistillation(network, width, bottleneck_width, n_prototypes)
        pair.to(device).train()
        criterion = loss_class(
            n_prototypes,
            warmup_teacher_temp=teacher_temperature,
            teacher_temp=teacher_temperature,
            student_temp=student_temperature,
        ).to(device)
        optimizer = torch.optim.AdamW(
            [p for p in pair.student.parameters() if p.requires_grad],
            lr=learning_rate,
            weight_decay=weight_decay,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, WarmupCosine(warmup_epochs * len(batches), n_steps)
        )
        on_cuda = torch.device(device).type == "cuda"
        scaler = torch.amp.GradScaler("cuda", enabled=precision == "16" and on_cuda)

        history: list[dict] = []
        step = 0
        for epoch in range(1, max_epochs + 1):
            total = torch.zeros((), device=device)
            for batch, _ in batches:
                rows = batch["image"].to(device)
                views = draw_views(rows, n_local_crops, local_side, flip)
                with autocast(device, precision):
                    targets, outputs = pair(views)
                loss = criterion(targets.chunk(2), outputs.split(len(rows)))
                optimizer.zero_grad()
                scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(pair.student.parameters(), LARGEST_GRADIENT)
                scaler.step(optimizer)
                scaler.update()
                schedule.step()
                step += 1
                bar.update()
                pair.follow(teacher_momentum_at(step / n_steps, teacher_momentum))
                total += loss.detach() * len(rows)
            mean_loss = total.item() / len(values)
            if not (math.isfinite(mean_loss) or is_finite(pair)):
                raise diverged(learning_rate)
            history.append({"epoch": epoch, "train_loss": mean_loss})
            bar.set_postfix(
                epoch=f"{epoch}/{max_epochs}", train_loss=mean_loss, refresh=False
            )
            if verbose > 1:
                print(f"epoch {epoch}: train_loss {mean_loss:.4f}")

        teacher = pair.teacher.encoder.eval()
        features = encode_rows(teacher, values, sizes, device, precision)
        teacher.feature_mean.copy_(torch.from_numpy(features.mean(0)))
    if not (math.isfinite(history[-1]["train_loss"]) and is_finite(teacher)):
        raise diverged(learning_rate)
    return teacher.to("cpu"), history


def teacher_momentum_at(progress: float, start: float) -> float:
    """A cosine from `start` to 1, where the teacher no longer changes."""
    return 1 - (1 - start) * (1 + math.cos(math.pi * progress)) / 2


def choose_local_side(network: StandardizedEncoder, sample_shape) -> int:
    """Half the side, for a quarter of the work, if the encoder takes other sizes.

    Vision transformers, for example, are built for one size.
    """
    side = sample_shape[-1]
    if len(sample_shape) == 1:
        return side
    half = max(1, side // 2)
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval().encode(torch.zeros(2, sample_shape[0], half, half))
    except Exception:  # any error means that the encoder does not take it
        half = side
    network.train(was_training)
    return half


def encode_rows(
    network: StandardizedEncoder, values, sizes, device: str, precision: str
) -> np.ndarray:
    """Features and sizes of any number of rows, in float32."""

    with torch.inference_mode(), autocast(device, precision):
        encode = for_inference(network).encode
        return map_rows(encode, values, sizes, device)

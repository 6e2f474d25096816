import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from skplankton.losses import clip_loss, siglip_loss

SCALES = [1e-2, 0.3, 1.0, 14.0, 1e2]


@pytest.fixture
def embeddings():
    generator = torch.Generator().manual_seed(0)
    image, profile = torch.randn(2, 7, 5, generator=generator, dtype=torch.float64)
    return normalize(image, dim=1), normalize(profile, dim=1)


def clip_by_loops(image, profile, scale):
    """Minus the log of the share of the own partner, over both directions."""
    n, total = len(image), 0.0
    for i in range(n):
        logits = [scale * float(image[i] @ profile[j]) for j in range(n)]
        total += math.log(sum(map(math.exp, logits))) - logits[i]
        logits = [scale * float(image[j] @ profile[i]) for j in range(n)]
        total += math.log(sum(map(math.exp, logits))) - logits[i]
    return total / (2 * n)


def siglip_by_loops(image, profile, scale, bias):
    n, total = len(image), 0.0
    for i in range(n):
        for j in range(n):
            sign = 1 if i == j else -1
            logit = scale * float(image[i] @ profile[j]) + bias
            total += math.log1p(math.exp(-sign * logit))
    return total / n


@pytest.mark.parametrize("scale", SCALES)
def test_clip_loss_equals_explicit_loop(embeddings, scale):
    expected = clip_by_loops(*embeddings, scale)
    assert clip_loss(*embeddings, scale).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("bias", [-10.0, 0.0, 2.0])
def test_siglip_loss_equals_explicit_loop(embeddings, scale, bias):
    expected = siglip_by_loops(*embeddings, scale, bias)
    got = siglip_loss(*embeddings, scale, bias).item()
    assert got == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("scale", SCALES)
def test_losses_are_symmetric_under_swapping_the_modalities(embeddings, scale):
    image, profile = embeddings
    torch.testing.assert_close(
        clip_loss(image, profile, scale), clip_loss(profile, image, scale)
    )
    torch.testing.assert_close(
        siglip_loss(image, profile, scale, -1.0),
        siglip_loss(profile, image, scale, -1.0),
    )


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_losses_and_gradients_are_stable_at_any_scale(embeddings, scale, dtype):
    # Partners that are identical, and partners that are opposite: the extreme logits.
    image = embeddings[0].to(dtype)
    for sign in (1, -1):
        for loss in (clip_loss, lambda *args: siglip_loss(*args, -10.0)):
            leaf = image.clone().requires_grad_()
            exact = embeddings[0].to(dtype).double()
            value = loss(leaf, sign * image, scale)
            value.backward()
            assert torch.isfinite(value)
            assert torch.isfinite(leaf.grad).all()
            torch.testing.assert_close(
                value.double(),
                loss(exact, sign * exact, scale).double(),
                rtol=1e-4,
                atol=1e-5,
            )


def test_gradients_equal_finite_differences(embeddings):
    image, profile = (each.clone().requires_grad_() for each in embeddings)
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(-1.0, dtype=torch.float64, requires_grad=True)
    for loss, arguments in [
        (clip_loss, (image, profile, scale)),
        (siglip_loss, (image, profile, scale, bias)),
    ]:
        # The losses compute in float32: steps and tolerances to match.
        assert torch.autograd.gradcheck(loss, arguments, eps=1e-2, atol=1e-2)


def test_clip_loss_of_equal_embeddings_is_log_n():
    same = normalize(torch.ones(6, 3), dim=1)
    assert clip_loss(same, same, 10.0).item() == pytest.approx(math.log(6))


def test_arrays_are_no_tensors():
    with pytest.raises(TypeError, match="profile_embeddings is a ndarray; expected a"):
        clip_loss(torch.zeros(3, 4), np.zeros((3, 4)), 1.0)


@pytest.mark.parametrize("shapes", [((3, 4), (2, 4)), ((3, 4), (3, 5)), ((3,), (3,))])
def test_shapes_that_do_not_pair_raise(shapes):
    image, profile = map(torch.zeros, shapes)
    with pytest.raises(ValueError, match=r"\(n_pairs, n_components\); got"):
        clip_loss(image, profile, 1.0)
    with pytest.raises(ValueError, match=r"\(n_pairs, n_components\); got"):
        siglip_loss(image, profile, 1.0, 0.0)

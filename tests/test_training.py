import copy

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from skplankton._training import batches
from skplankton._training.batches import BalancedBatches, PairDataset
from skplankton._training.contrastive import ContrastiveNet
from skplankton._training.contrastive import train_dual_encoder as train
from skplankton._training.devices import autocast
from skplankton._training.schedule import WarmupCosine

N_PAIRS, N_COLUMNS = 40, 6


@pytest.fixture
def arrays():
    rng = np.random.RandomState(0)
    shared = rng.randn(N_PAIRS, N_COLUMNS)
    return {
        "image": shared.astype(np.float32),
        "profile": (shared @ rng.randn(N_COLUMNS, N_COLUMNS)).astype(np.float32),
    }


def settings(**changes):
    def view():
        return {
            "encoder": "mlp",
            "encoder_params": {"width": 8},
            "sample_shape": (N_COLUMNS,),
            "n_sizes": 0,
        }

    module_params = {
        "image": view(),
        "profile": view(),
        "n_components": 4,
        "temperature": changes.pop("temperature", 0.5),
        "learn_temperature": changes.pop("learn_temperature", False),
        "initial_bias": -2.0,
    }
    return {
        "valid_arrays": None,
        "module_params": module_params,
        "initial_weights": None,
        "optimizer": "adamw",
        "learning_rate": 1e-2,
        "weight_decay": 0.0,
        "warmup_epochs": 1,
        "max_epochs": 5,
        "batch_size": 16,
        "patience": 2,
        "seed": 0,
        "verbose": 0,
        "device": "cpu",
        **changes,
    }


@pytest.mark.parametrize(("n", "batch_size"), [(2, 16), (16, 16), (17, 16), (33, 16)])
def test_batches_contain_every_pair_once_and_never_a_single_pair(n, batch_size):
    dataset = PairDataset({"image": np.arange(n), "profile": np.arange(n)})
    loader = BalancedBatches(dataset, batch_size, np.random.RandomState(0))
    for _ in range(2):
        rows = [batch["image"].numpy() for batch, _ in loader]
        assert len(rows) == len(loader)
        assert sorted(np.concatenate(rows)) == list(range(n))
        sizes = {len(batch) for batch in rows}
        assert max(sizes) <= batch_size
        assert max(sizes) - min(sizes) <= 1
        assert min(sizes) >= 2


def test_batches_are_shuffled_again_each_epoch_only_when_training():
    dataset = PairDataset({"image": np.arange(50), "profile": np.arange(50)})

    def epoch(loader):
        return np.concatenate([batch["image"].numpy() for batch, _ in loader])

    shuffled = BalancedBatches(dataset, 8, np.random.RandomState(0))
    assert not np.array_equal(epoch(shuffled), epoch(shuffled))
    assert np.array_equal(epoch(BalancedBatches(dataset, 8)), np.arange(50))


class ReadNumbers(TorchDispatchMode):
    """Counts the numbers read from tensors; each of them waits for a GPU."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("valid", [False, True])
def test_no_step_waits_for_the_device(arrays, valid):
    counts = []
    for batch_size in (20, 2):
        with ReadNumbers() as numbers:
            # AdamW reads its own counter of steps, which is never on the device.
            params = settings(batch_size=batch_size, optimizer="sgd", patience=9)
            params |= {"valid_arrays": arrays} if valid else {}
            train(arrays, **params)
        counts.append(numbers.count)
    assert counts[0] == counts[1]


@pytest.mark.parametrize("before", [False, True])
def test_algorithms_are_deterministic_while_training(arrays, before, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", before)
    seen = []
    get_loss = ContrastiveNet.get_loss

    def spy(*args, **kwargs):
        seen.append(torch.backends.cudnn.deterministic)
        return get_loss(*args, **kwargs)

    monkeypatch.setattr(ContrastiveNet, "get_loss", spy)
    train(arrays, **settings())
    assert set(seen) == {True}
    assert torch.backends.cudnn.deterministic == before


def test_loss_of_an_epoch_is_the_mean_over_its_pairs(arrays, monkeypatch):
    seen = []
    get_loss = ContrastiveNet.get_loss

    def spy(net, y_pred, *args, **kwargs):
        loss = get_loss(net, y_pred, *args, **kwargs)
        seen.append((loss.item(), len(y_pred[0])))
        return loss

    monkeypatch.setattr(ContrastiveNet, "get_loss", spy)
    _, history = train(arrays, **settings(max_epochs=1, batch_size=15))
    values, sizes = zip(*seen, strict=True)
    assert sorted(sizes) == [13, 13, 14]
    assert history[0]["train_loss"] == pytest.approx(np.average(values, weights=sizes))


def test_pairs_are_copied_to_a_device_in_parts(monkeypatch):
    monkeypatch.setattr(batches, "ROWS_PER_COPY", 3)
    values = np.arange(20, dtype=np.uint8).reshape(10, 2)
    values.flags.writeable = False  # as a memory map of a file is
    copied = batches._copied(values, torch.device("cpu"))
    assert copied.dtype == torch.uint8
    assert np.array_equal(copied.numpy(), values)


def test_schedule_warms_up_then_falls_to_a_500th():
    schedule = WarmupCosine(n_warmup_steps=4, n_steps=20)
    factors = np.array([schedule(step) for step in range(21)])
    assert np.all(np.diff(factors[:5]) > 0)
    assert factors[4] == 1
    assert np.all(np.diff(factors[4:]) < 0)
    assert factors[20] == pytest.approx(1 / 500)


@pytest.mark.parametrize("loss", ["clip", "siglip"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", torch.optim.RMSprop])
def test_training_lowers_the_loss(arrays, loss, optimizer):
    net, history = train(
        arrays, **settings(loss=loss, optimizer=optimizer, max_epochs=30)
    )
    losses = [epoch["train_loss"] for epoch in history]
    assert len(losses) == 30
    assert np.mean(losses[-3:]) < 0.9 * losses[0]
    assert not net.module_.training


def test_sgd_has_nesterov_momentum(arrays, monkeypatch):
    built = []
    init = torch.optim.SGD.__init__

    def spy(self, *args, **kwargs):
        built.append(kwargs)
        init(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "__init__", spy)
    train(arrays, **settings(optimizer="sgd", max_epochs=1))
    assert built[0]["nesterov"]
    assert built[0]["momentum"] == 0.9


def test_temperature_is_learned_or_fixed(arrays):
    fixed, _ = train(arrays, **settings())
    learned, history = train(arrays, **settings(learn_temperature=True))
    assert fixed.module_.temperature == pytest.approx(0.5)
    assert learned.module_.temperature != pytest.approx(0.5, rel=1e-3)
    assert history[-1]["temperature"] == learned.module_.temperature


def test_standardization_is_learned_from_the_pairs(arrays):
    arrays["image"] = arrays["image"] * 100 + 7
    arrays["image"][:, 2] = 3.0  # a constant column keeps a scale of one
    net, _ = train(arrays, **settings(max_epochs=1))
    image = arrays["image"].astype(np.float64)
    np.testing.assert_allclose(net.module_.image.mean, image.mean(axis=0), rtol=1e-5)
    expected = image.std(axis=0)
    expected[2] = 1.0
    np.testing.assert_allclose(net.module_.image.std, expected, rtol=1e-5)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_features_are_centered_on_the_training_pairs(arrays, precision):
    """In the number format in which they are computed by transform."""
    arrays["profile"] = 10 + arrays["profile"]
    net, _ = train(arrays, **settings(precision=precision, batch_size=64))
    with torch.no_grad(), autocast("cpu", precision):
        features = net.module_.profile.encode(torch.from_numpy(arrays["profile"]))
    expected = features.float().mean(dim=0)
    torch.testing.assert_close(
        net.module_.profile.feature_mean, expected, rtol=1e-5, atol=1e-6
    )


def gradients_of_first_step(arrays, micro_batch_size, encoder="mlp", precision="32"):
    """Gradients left by one step over the whole table as one batch."""
    torch.manual_seed(0)
    parameters = settings(
        max_epochs=1,
        batch_size=len(arrays["image"]),
        micro_batch_size=micro_batch_size,
        learn_temperature=True,
        augment=True,
        precision=precision,
    )
    for modality in ("image", "profile"):
        shape = arrays[modality].shape[1:]
        mlp, cnn = {"width": 8, "input_dropout": 0.0}, {"width": 8, "n_stages": 2}
        params = mlp if encoder == "mlp" else cnn
        parameters["module_params"][modality] |= {
            "encoder": encoder,
            "encoder_params": params,
            "sample_shape": shape,
        }
    net, _ = train(arrays, **parameters)
    return {n: p.grad for n, p in net.module_.named_parameters() if p.grad is not None}


@pytest.fixture
def structured():
    rng = np.random.RandomState(0)
    return {
        "image": rng.rand(24, 1, 16, 16).astype(np.float32),
        "profile": rng.rand(24, 3, 16).astype(np.float32),
    }


@pytest.mark.parametrize("encoder", ["mlp", "cnn"])
@pytest.mark.parametrize("micro_batch_size", [1, 7, 8])
def test_gradient_caching_is_exact(
    arrays, structured, encoder, micro_batch_size, monkeypatch
):
    # A whole batch and its chunks draw different masks; the next test is about equal
    # masks.
    monkeypatch.setattr("skplankton._nn.dual_encoder.FEATURE_DROPOUT", 0.0)
    arrays = arrays if encoder == "mlp" else structured
    plain = gradients_of_first_step(arrays, None, encoder)
    chunked = gradients_of_first_step(arrays, micro_batch_size, encoder)
    assert plain.keys() == chunked.keys()
    for name, expected in plain.items():
        error = (chunked[name] - expected).norm() / expected.norm()
        assert error < 1e-5, name


def test_gradient_caching_replays_dropout(structured, monkeypatch):
    """With dropout, the second pass must draw the masks of the first."""
    from skplankton._training.contrastive import ContrastiveNet

    outputs = []
    infer = ContrastiveNet.infer

    def spy(self, x, **fit_params):
        embedded = infer(self, x, **fit_params)
        if self.module_.training:
            outputs.append(embedded[0].detach().clone())
        return embedded

    monkeypatch.setattr(ContrastiveNet, "infer", spy)
    gradients_of_first_step(structured, 8, "cnn")
    first_pass, second_pass = outputs[:3], outputs[3:]
    for first, second in zip(first_pass, second_pass, strict=True):
        torch.testing.assert_close(first, second)


def test_bfloat16_trains(structured):
    gradients = gradients_of_first_step(structured, 8, "cnn", precision="bf16")
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())


def test_early_stopping_restores_the_best_weights_and_temperature(arrays):
    rng = np.random.RandomState(1)
    # Validation pairs that do not match: their loss soon only rises.
    valid = {m: rng.randn(20, N_COLUMNS).astype(np.float32) for m in arrays}
    net, history = train(
        arrays,
        **settings(
            valid_arrays=valid, max_epochs=200, learn_temperature=True, patience=3
        ),
    )
    losses = [epoch["valid_loss"] for epoch in history]
    best = int(np.argmin(losses))
    assert len(history) < 200
    assert len(history) == best + 1 + 3
    assert net.module_.temperature == history[best]["temperature"]
    with torch.no_grad():
        views = (
            {m: torch.from_numpy(valid[m][:10]) for m in valid},
            {m: torch.from_numpy(valid[m][10:]) for m in valid},
        )
        loss = np.mean([net.get_loss(net.infer(v), None).item() for v in views])
    assert loss == pytest.approx(losses[best], rel=1e-5)


def test_diverging_training_raises(arrays):
    with pytest.raises(ValueError, match=r"Training diverged.*Lower learning_rate"):
        train(arrays, **settings(optimizer="sgd", learning_rate=1e30, max_epochs=20))


def test_divergence_in_the_last_step_is_detected(arrays):
    """The loss is computed before the step that makes the weights infinite."""
    one_step = settings(max_epochs=1, batch_size=64, optimizer="sgd", warmup_epochs=0)
    with pytest.raises(ValueError, match=r"Training diverged.*\(it is 1e\+38\)"):
        train(arrays, **one_step | {"learning_rate": 1e38})


def test_training_ends_with_the_epoch_in_which_it_diverges(arrays, monkeypatch):
    from skplankton._training.contrastive import ContrastiveNet

    n_steps = []
    train_step = ContrastiveNet.train_step

    def counted(self, *args, **kwargs):
        n_steps.append(1)
        return train_step(self, *args, **kwargs)

    monkeypatch.setattr(ContrastiveNet, "train_step", counted)
    with pytest.raises(ValueError, match="Training diverged"):
        train(
            arrays, **settings(optimizer="sgd", learning_rate=1e38, max_epochs=10_000)
        )
    assert len(n_steps) < 20


def test_arrays_and_random_states_are_not_changed(arrays):
    before = copy.deepcopy(arrays)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    train(arrays, **settings(max_epochs=1))
    assert torch.equal(torch.rand(2), expected)
    for modality, values in before.items():
        np.testing.assert_array_equal(arrays[modality], values)

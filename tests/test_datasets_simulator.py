import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skplankton._utils.random import fresh_random_state
from skplankton.datasets import make_particles
from skplankton.datasets._simulator.body import (
    CONTENT,
    ellipsoids,
    hollow,
    rotation,
    thread,
)
from skplankton.datasets._simulator.cytometer import (
    CHANNEL_NAMES,
    FULL_SCALE_MV,
    PIXEL_UM,
    SCALE_BAR_ROWS,
    _optical_depth,
    _slices,
    photograph,
    record_pulses,
)
from skplankton.datasets._simulator.species import MAX_SPECIES, species


def resampled(pulse, n_steps):
    at = np.linspace(0, len(pulse) - 1, n_steps)
    return np.interp(at, np.arange(len(pulse)), pulse)


def image_features(images):
    return np.array(
        [
            [*np.asarray(Image.fromarray(a).resize((16, 16), 4)).ravel(), *a.shape]
            for a in images
        ],
        dtype=float,
    )


def profile_features(profiles):
    return np.array(
        [
            np.append([resampled(band, 32) for band in np.log1p(p).T], len(p))
            for p in profiles
        ]
    )


@pytest.fixture(scope="module")
def particles():
    return make_particles(640, random_state=0)


@pytest.fixture(scope="module")
def features(particles):
    images = image_features(particles.data["image"])
    profiles = profile_features(particles.data["profile"])
    return {
        "image": images,
        "profile": profiles,
        "both": np.hstack([images, profiles]),
    }


def test_bunch_has_the_documented_contents(particles):
    assert list(particles.data.columns) == particles.feature_names
    assert particles.feature_names == ["image", "profile"]
    assert particles.channel_names == list(CHANNEL_NAMES)
    assert set(particles.target) == set(particles.target_names)
    assert particles.target.dtype == object
    assert "arXiv:2603.16427" in particles.DESCR
    assert particles.pixel_size == 0.7
    assert particles.volume.shape == (640,)
    assert 100 < particles.volume.min() < particles.volume.max() < 1e6
    for image, profile in particles.data.itertuples(index=False):
        assert image.dtype == np.uint8
        assert image.ndim == 2
        assert profile.dtype == np.float32
        assert profile.shape[1] == 6
        assert profile.min() >= 0
        assert profile.max() <= np.float32(FULL_SCALE_MV)
    assert len({image.shape for image in particles.data["image"]}) > 500
    assert len({len(profile) for profile in particles.data["profile"]}) > 100


def test_values_spread_over_the_published_range(particles):
    # The published profiles reach log1p = 8.92; a simulation ten times fainter or one
    # stuck at the detectors' limit would pass the range check above.
    peaks = np.array([p.max() for p in particles.data["profile"]])
    assert 300 < np.median(peaks) < 5000
    assert np.mean(peaks >= 0.999 * FULL_SCALE_MV) < 0.05
    images = particles.data["image"]
    assert 150 < np.median([np.median(image[[0, -1]]) for image in images]) < 240
    # Dark particle on bright background.
    contrast = [np.median(image[[0, -1]]) - image.min() for image in images]
    assert np.mean(np.array(contrast) > 30) > 0.95


def test_return_X_y_gives_the_same_particles(particles):
    X, y = make_particles(9, random_state=0, return_X_y=True)
    expected = particles.data[:9]
    assert (y == particles.target[:9]).all()
    for column in X:
        for entry, other in zip(X[column], expected[column], strict=True):
            np.testing.assert_array_equal(entry, other)


def test_seeds_matter_and_none_means_fresh_entropy():
    first, second = (make_particles(1).data["profile"][0] for _ in range(2))
    assert not np.array_equal(first, second)


def test_global_random_state_is_not_changed():
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    make_particles(2)
    assert np.random.rand() == expected  # noqa: NPY002


def test_fresh_random_state_passes_generators_through():
    generator = np.random.RandomState(0)
    assert fresh_random_state(generator) is generator
    assert fresh_random_state(5).randint(1000) == fresh_random_state(5).randint(1000)
    with pytest.raises(ValueError, match="cannot be used to seed"):
        fresh_random_state("seed")


def test_a_generator_is_advanced():
    generator = np.random.RandomState(0)
    first, second = (
        make_particles(1, random_state=generator).data["image"][0] for _ in range(2)
    )
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("n_species", [2, 5, 8, 50, MAX_SPECIES])
def test_every_species_occurs_even_in_small_tables(n_species):
    y = make_particles(n_species, n_species=n_species, random_state=1).target
    assert sorted(y) == sorted(species(i).name for i in range(n_species))


def test_abundances_are_mildly_unbalanced(particles):
    _, counts = np.unique(particles.target, return_counts=True)
    assert 1.5 < counts.max() / counts.min() < 3


def test_all_species_differ():
    names = [species(i).name for i in range(MAX_SPECIES)]
    assert len(set(names)) == MAX_SPECIES


@pytest.mark.parametrize(("missing", "n_each"), [(0.0, 0), (0.2, 8), (0.5, 20)])
def test_missing_images_and_profiles(missing, n_each):
    full = make_particles(41, random_state=2).data
    X = make_particles(41, missing=missing, random_state=2).data
    is_missing = X.isna()
    assert is_missing["image"].sum() == is_missing["profile"].sum() == n_each
    assert not is_missing.all(axis=1).any()
    assert all(entry is None for entry in X["image"][is_missing["image"]])
    for i in np.flatnonzero(~is_missing["image"]):
        np.testing.assert_array_equal(X["image"][i], full["image"][i])


@pytest.mark.parametrize("modality", ["image", "profile"])
def test_noise_in_one_modality_does_not_change_the_other(modality):
    other = {"image": "profile", "profile": "image"}[modality]
    calm = make_particles(5, random_state=4).data
    noisy = make_particles(5, random_state=4, **{f"{modality}_noise": 3.0}).data
    for i in range(5):
        np.testing.assert_array_equal(calm[other][i], noisy[other][i])
        assert not np.array_equal(calm[modality][i], noisy[modality][i])


def test_extreme_noise_stays_in_range_and_size():
    X = make_particles(30, image_noise=50, profile_noise=50, random_state=0).data
    assert max(map(len, X["profile"])) < 2000
    assert all(np.isfinite(profile).all() for profile in X["profile"])


def test_scale_bar_is_put_on_top():
    plain = make_particles(5, random_state=4).data["image"]
    with_bar = make_particles(5, random_state=4, scale_bar=True).data["image"]
    for image, taller in zip(plain, with_bar, strict=True):
        np.testing.assert_array_equal(taller[SCALE_BAR_ROWS:], image)
        assert set(np.unique(taller[:SCALE_BAR_ROWS])) == {0, 255}


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_samples": 0},
        {"n_species": 1},
        {"n_species": MAX_SPECIES + 1},
        {"missing": 0.6},
        {"image_noise": -1},
        {"profile_noise": "much"},
        {"scale_bar": "yes"},
        {"random_state": "x"},
    ],
)
def test_invalid_parameters_are_reported(wrong):
    with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter"):
        make_particles(**wrong)


# --- image and profile are of one body ------------------------------------------------


@pytest.fixture
def tilted_body():
    turn = rotation(0.4, -0.3, 0.9)
    body = hollow([[0.0, 0, 0], [14.0, 5.0, 0]], [12.0, 7.0, 4.0], 1.5)
    return body.transformed(turn)


def volume(body):
    return 4 / 3 * np.pi * np.sqrt(np.linalg.det(body.shapes))


def test_volume_counts_overlaps_once():
    content = np.ones(4)
    cell = ellipsoids([[1.0, -2.0, 0.5]], [9.0, 5.0, 3.0], content)
    turned = cell.transformed(rotation(0.5, 0.2, 0.3))
    assert turned.volume() == pytest.approx(volume(cell)[0], rel=0.01)
    nested = ellipsoids([[0, 0, 0], [0.5, 0, 0]], [[8.0, 8, 8], [3.0, 3, 3]], content)
    assert nested.volume() == pytest.approx(volume(nested)[0], rel=0.01)
    apart = ellipsoids([[0, 0, 0], [0, 0, 9.0]], 4.0, content)  # one behind the other
    assert apart.volume() == pytest.approx(volume(apart).sum(), rel=0.01)
    # Two balls whose centers are one radius apart share 5/16 of one of them.
    lens = ellipsoids([[0, 0, 0], [6.0, 0, 0]], 6.0, content)
    assert lens.volume() == pytest.approx(27 / 16 * volume(lens)[0], rel=0.01)


def test_camera_and_laser_lose_no_matter(tilted_body):
    low = np.array([-30.0, -30.0])
    depth = _optical_depth(tilted_body, low, (110, 110))
    opacity = tilted_body.content[:, CONTENT.index("opacity")]
    assert depth.sum() * PIXEL_UM**2 == pytest.approx(
        volume(tilted_body) @ opacity, rel=0.01
    )
    slices = _slices(tilted_body, 0.0, 0.5, np.random.default_rng(0))
    total = slices[:3].sum(axis=1) * 0.5
    expected = volume(tilted_body) @ tilted_body.content[:, :3]
    np.testing.assert_allclose(total, expected, rtol=0.01, atol=1e-9)


def test_projections_agree_with_counting_voxels():
    body = ellipsoids([[1.0, -2.0, 0.5]], [9.0, 5.0, 3.0], np.ones(4))
    body = body.transformed(rotation(0.5, 0.2, 0.3))
    step = PIXEL_UM / 2
    grid = np.arange(-15, 15, step) + step / 2
    points = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1)
    from_center = points - body.centers[0]
    inverse = np.linalg.inv(body.shapes[0])
    inside = np.einsum("...i,ij,...j->...", from_center, inverse, from_center) < 1

    # The camera: integrated along z; rows are y, columns are x. The pixel's width
    # added to the shadow blurs the edge, hence the loose bound there.
    depth = _optical_depth(body, np.array([-15.0, -15.0]), (42, 42))
    counted = inside.sum(axis=2).T * step
    counted = counted[:84, :84].reshape(42, 2, 42, 2).mean(axis=(1, 3))
    assert np.abs(depth - counted).mean() < 0.05
    assert np.corrcoef(depth.ravel(), counted.ravel())[0, 1] > 0.995

    # The laser: integrated over y and z.
    slices = _slices(body, 0.0, step, np.random.default_rng(0))
    areas = inside.sum(axis=(1, 2)) * step**2
    assert slices[0].max() == pytest.approx(areas.max(), rel=0.02)
    moments = (inside * points[..., 1]).sum(axis=(1, 2)) * step**2
    assert slices[3].min() == pytest.approx(moments.min(), rel=0.03)
    # The body leans, so the moment is not where the matter is.
    assert lag(slices[3], slices[0]) == pytest.approx(lag(moments, areas), rel=0.05)


def lag(signal, reference):
    """How many samples one signal's center of mass is behind another's."""
    first, second = (
        np.average(np.arange(len(s)), weights=s) for s in (signal, reference)
    )
    return first - second


def test_thread_joins_its_points():
    points = np.array([[0.0, 0, 0], [10.0, 0, 0], [20.0, 5.0, 0]])
    body = thread(points, 0.5, np.ones(4))
    reach = body.half_extents()
    assert (body.centers - reach)[:, 0].min() <= 0
    assert (body.centers + reach)[:, 0].max() >= 20


def test_mirrored_body_gives_mirrored_image_and_profile():
    body = hollow([[0.0, 0, 0], [20.0, 3.0, 0]], [[12.0, 7.0, 7.0], [5.0, 4, 4]], 1.0)
    mirror = body.transformed(np.diag([-1.0, 1.0, 1.0]))

    def measured(body):
        rng = np.random.default_rng(0)
        pulses = record_pulses(body, np.ones(3), rng, noise=0.0)
        image = photograph(body, rng, noise=0.0)
        return image, pulses

    def trimmed(signal):
        """Cut off the margins, which are random for each image and pulse."""
        signal = signal - signal.min()
        (above,) = np.nonzero(signal > 0.1 * signal.max())
        return resampled(signal[above[0] : above[-1] + 1], 50)

    image, pulses = measured(body)
    mirror_image, mirror_pulses = measured(mirror)
    for seen, mirrored in (
        (255.0 - image.mean(axis=0), 255.0 - mirror_image.mean(axis=0)),
        (pulses[:, 0], mirror_pulses[:, 0]),
    ):
        there, back = trimmed(seen), trimmed(mirrored)
        assert np.corrcoef(there[::-1], back)[0, 1] > 0.98
        assert np.corrcoef(there, back)[0, 1] < 0.9


def test_image_columns_run_with_the_profile_in_time(particles):
    horned = [name.startswith("horned") for name in particles.target]
    with_flow, against = [], []
    for image, profile in particles.data[horned].itertuples(index=False):
        shade = resampled(-image.astype(float).mean(axis=0), 40)
        pulse = resampled(np.log1p(profile[:, CHANNEL_NAMES.index("FL Red")]), 40)
        with_flow.append(np.corrcoef(shade, pulse)[0, 1])
        against.append(np.corrcoef(shade, pulse[::-1])[0, 1])
    assert np.mean(with_flow) > 0.6
    assert np.mean(np.array(with_flow) > against) > 0.9


def test_particles_come_either_end_first(particles):
    horned = [name.startswith("horned") for name in particles.target]
    red, forward = CHANNEL_NAMES.index("FL Red"), CHANNEL_NAMES.index("FWS")
    # The front horn is the longest, so that the pigment lies off the middle.
    head_first = [
        lag(p[:, red], np.log1p(p[:, forward])) > 0
        for p in particles.data["profile"][horned]
    ]
    assert 0.3 < np.mean(head_first) < 0.7


# --- how hard it is -------------------------------------------------------------------


def accuracy_within_pair(features, target, pair):
    """Cross-validated accuracy for two species, equally many of each."""
    rows = [np.flatnonzero(target == species(2 * pair + k).name) for k in (0, 1)]
    rows = np.concatenate([r[: min(map(len, rows))] for r in rows])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    return cross_val_score(model, features[rows], target[rows], cv=5).mean()


def test_pigment_is_seen_by_the_laser_only(particles, features):
    first, second = species(4), species(5)
    assert first.form == second.form
    assert first.pigment != second.pigment
    assert accuracy_within_pair(features["image"], particles.target, 2) < 0.65
    assert accuracy_within_pair(features["profile"], particles.target, 2) > 0.9


def test_shape_across_the_flow_is_seen_by_the_camera_only(particles, features):
    first, second = species(2), species(3)
    assert first.form != second.form
    assert first.pigment == second.pigment
    assert accuracy_within_pair(features["image"], particles.target, 1) > 0.8
    assert accuracy_within_pair(features["profile"], particles.target, 1) < 0.65


def gallery_accuracy(features, target, seed):
    """Cosine 3-NN with 16 labels per species on standardized raw features."""
    rng = np.random.RandomState(seed)
    gallery = np.concatenate(
        [rng.permutation(np.flatnonzero(target == t))[:16] for t in np.unique(target)]
    )
    rest = np.setdiff1d(np.arange(len(target)), gallery)
    Z = StandardScaler().fit_transform(features)
    knn = KNeighborsClassifier(3, weights="distance", metric="cosine")
    return knn.fit(Z[gallery], target[gallery]).score(Z[rest], target[rest])


def test_raw_features_are_informative_but_not_sufficient(particles, features):
    score = {
        kind: np.mean(
            [gallery_accuracy(features[kind], particles.target, s) for s in range(4)]
        )
        for kind in features
    }
    assert 0.5 < score["both"] < 0.85
    assert score["image"] < score["both"] - 0.02
    assert score["profile"] < score["both"] - 0.02


def test_both_modalities_together_can_be_learned(particles, features):
    def score(kind):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
        return cross_val_score(model, features[kind], particles.target, cv=2).mean()

    together = score("both")
    assert together > 0.92
    assert score("image") < together - 0.08
    assert score("profile") < together - 0.08

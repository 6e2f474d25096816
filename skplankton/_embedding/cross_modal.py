"""CrossModalEmbedder: the scikit-learn transformer around the dual encoder."""

import os
from collections.abc import Callable
from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skplankton._embedding.base import ParticleTransformer
from skplankton._utils.random import fresh_random_state
from skplankton._utils.sklearn import Interval, StrOptions, fit_context
from skplankton._views.particle_table import MODALITIES
from skplankton._views.table import ParticleTable

# Queries compared with all targets at a time, in score.
QUERIES_PER_CHUNK = 512


# Parameters with which a training ends the same, so that it can go on with others. How
# X is read is known from what was read.
_NOT_OF_THE_TRAINING = (
    *("output", "features", "device", "errors", "n_jobs", "verbose", "checkpoint"),
    *("warm_start", "image_shape", "profile_shape", "distributed"),
)


class CrossModalEmbedder(ParticleTransformer):
    """Embed particles by the information that image and optical profile share.

    Two encoders, one for images and one for profiles, are trained without labels to
    recognize which image and which profile come from the same particle. Particles of
    one species end up close together, whichever modalities are available.

    Parameters
    ----------
    n_components : int, default=128
        Width of the projected embedding.
    image_encoder : str or callable, default="auto"
        ``"mlp"``, ``"cnn"``, the name of any timm model (needs the extra ``timm``), or
        a factory: a callable, or ``"package.module:name"`` of one, that takes the
        sample shape, ``(1, height, width)``, and returns a torch module mapping
        ``(n, *sample_shape)`` to ``(n, width)``. ``"auto"`` is ``"cnn"`` for images and
        ``"mlp"`` for a flat vector.
    profile_encoder : str or callable, default="auto"
        ``"mlp"``, ``"cnn"``, ``"lstm"``, ``"transformer"``, or a factory as above with
        the sample shape ``(n_channels, length)``. ``"auto"`` is ``"cnn"`` for profiles
        and ``"mlp"`` for a flat vector. Vectors of measurements need ``"mlp"``, or a
        factory that takes ``(n_columns,)``: see the notes.
    image_encoder_params, profile_encoder_params : dict, default=None
        Further keyword arguments of the encoder, such as ``{"width": 32}`` or, for a
        timm model, ``{"pretrained": True}``.
    image_size : int, default=48
        Side in pixels of the square that an image is fitted into: its longer side is
        resized, its shorter side padded with its edge. Color becomes gray.
    profile_length : int, default=64
        Number of time samples a profile is resampled to.
    crop_top : int, default=0
        Rows of pixels cut off the top of every image, where instruments burn in a
        scale bar; 25 in the sets published with [1]_.
    crop_bottom : int, default=0
        Rows of pixels cut off the bottom of every image.
    image_shape : tuple of (height, width) or (n_columns,), default=None
        For X as an array: the shape of the image's columns; ``(n_columns,)`` is a flat
        vector.
    profile_shape : tuple of (length, n_channels) or (n_columns,), default=None
        For X as an array: the same for the profile's columns. With both shapes None
        the first half of the columns is the image and the second half the profile, both
        flat; with one given, the remaining columns are the other modality, flat.
    size_features : bool, default=True
        Append the original height and width of an image in pixels, and the original
        length of a profile in samples, to the encoder's features (tables only: in an
        array all particles have the same size, and a vector of measurements has none).
    augment : bool, default=True
        Train on random crops, jittered brightness and gains, dropped channels and, for
        tables, flips (see `orientation`). Arrays are not flipped, and flat vectors not
        augmented.
    orientation : {"shared", "independent", "average", "keep"}, default="average"
        How to treat the orientation of the particles in a table: which end of a
        particle comes first in the flow is chance. "shared" mirrors image and profile
        together in training, as in [1]_: the encoders learn the orientation, which both
        modalities show. "independent" mirrors them independently, so that the encoders
        learn to ignore it, at no cost. "average" is trained like "shared", and
        `transform` returns the mean of the embeddings of a particle and of its mirror
        image, in twice the time: the two get the same embedding, up to the pixel by
        which their margins may differ. "keep" mirrors nothing. Arrays and vectors of
        measurements are never mirrored.
    loss : {"clip", "siglip"}, default="clip"
        Symmetric InfoNCE [2]_ or pairwise sigmoid loss [3]_.
    temperature : float, default=0.5
        Divides the cosines in the loss; the initial value, if it is learned.
    learn_temperature : bool, default=False
        Whether the temperature is trained along with the encoders.
    output : {"fused", "image", "profile", "concat"}, default="fused"
        What `transform` returns: the L2-normalized mean of the available modalities;
        one modality; or ``[image | profile]`` side by side, for
        :class:`GalleryKNNClassifier` with ``n_modalities=2``. A requested modality that
        is missing is a block of NaN.
    features : {"both", "encoder", "projection"}, default="both"
        How a modality is embedded: by the projection trained to match, in which an
        image can be compared with a profile; by the encoder's own features, centered,
        which are more informative, but only within one modality; or by both side by
        side, the projection with a fifth of the weight, so that comparisons within one
        modality use both, and comparisons across modalities only the projection.
    optimizer : {"adamw", "sgd"} or torch optimizer class, default="adamw"
        ``"sgd"`` has a Nesterov momentum of 0.9.
    learning_rate : float, default=1e-3
        The peak, reached after `warmup_epochs`; a cosine then takes it down to a 500th.
    weight_decay : float, default=1e-2
        As the optimizer takes it.
    warmup_epochs : int, default=1
        Epochs of linear warm-up.
    max_epochs : int, default=30
        Epochs of training; fewer if `early_stopping` ends it.
    batch_size : int, default=64
        Largest number of pairs in a step; each is a negative for all others. Batches
        are of equal size to within one pair, and no pair is left out.
    micro_batch_size : int, default=None
        Encode this many pairs at a time, but compute the gradient of the whole batch
        [4]_: large batches in little memory, at the cost of a second forward pass. An
        encoder with batch normalization normalizes within the micro-batch.
    early_stopping : bool, default=False
        Set pairs aside, stop once their loss has not improved for `patience` epochs and
        keep the best weights. Use at least some 50 pairs for validation.
    validation_fraction : float, default=0.1
        Share of the pairs set aside by `early_stopping`.
    patience : int, default=10
        Epochs without improvement before `early_stopping` ends the training.
    device : str, default="auto"
        ``"auto"`` is CUDA, else MPS, else the CPU; or a torch device such as
        ``"cuda:1"``.
    precision : {"auto", "32", "bf16", "16"}, default="auto"
        Number format of the encoders' arithmetic in training and in transform. "auto"
        is "32", except on CUDA, where it is "bf16" if the GPU has it, else "16".
    errors : {"raise", "warn", "coerce"}, default="raise"
        What to do about an image or profile that cannot be read, or a row with neither.
        "raise" stops at the first. Otherwise the entry is treated as missing, which is
        reported once, at the end, with the number of such entries and the first ones:
        "warn" warns, "coerce" logs to ``skplankton``. In `transform`, a row with
        neither left is NaN throughout, for which the classifier predicts no class.
    n_jobs : int, default=None
        Processes of this machine that decode files. None is 1, or the number of a
        joblib context, unless that is of a cluster.
    warm_start : bool, default=False
        Start from the weights and scales of the previous fit, which must match the
        current parameters and X. A fixed temperature is the current `temperature`; a
        learned one continues from its last value.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, batches, augmentation and validation split. The same int
        gives the same model, bit for bit, on one machine with one number of threads
        (another number of threads changes the last bits of each step, and thereby the
        model a little). No global random state is changed: None draws a fresh seed from
        the operating system. Fits in threads of one process take turns.
    checkpoint : path-like, default=None
        A folder in which `fit` keeps the state of the training after each epoch. If the
        process ends before the fit does, the same fit, called again, goes on from there
        and ends with the same model, bit for bit. It must have the same X, parameters
        and versions, and `random_state` must be an int. A finished training is kept
        too: remove the folder when it is no longer needed.
    distributed : bool, default=False
        Whether this process is one of several that train one model, which torchrun or
        SLURM has started (see the user guide). Each of them calls `fit` with the same X
        and parameters, decodes and holds its share of the pairs, and embeds its share
        of each batch. The loss is that of the whole batch, in which each pair is a
        negative for all others. Any CUDA `device` but a numbered one is the GPU of the
        process's local rank. All end with the same model, in every bit; another number
        of processes gives another model. `transform` shares nothing.
    verbose : int, default=0
        1 shows the progress of reading and training, 2 prints one line per epoch.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net, trimmed for inference; ``net_.module_`` is the torch module.
    n_iter_ : int
        Epochs trained.
    history_ : list of dict
        One entry per epoch: ``epoch``, ``train_loss``, ``valid_loss`` with
        `early_stopping`, ``temperature``.
    temperature_ : float
        The temperature after training.
    n_features_in_ : int
        Number of columns of X read by `fit`: 2 for a table.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The column names, if there are any: ``["image", "profile"]`` for a table.

    See Also
    --------
    GalleryKNNClassifier : Predicts species from the embedding and a few labels.

    Notes
    -----
    X has one of two forms. A DataFrame of pandas or polars, or a ``pyarrow.Table``, has
    one row per particle and the columns ``image`` and ``profile``. An entry is the
    path, URL or bytes of a file, or a dict ``{"bytes": …, "path": …}``; an array or
    nested list; or missing (None, NaN). URLs need fsspec, the extra ``remote``. An
    image is (height, width) or (height, width, 3), uint8, uint16 or float in [0, 1]; a
    profile is (length, n_channels) in mV; a profile file is a CSV with a header of
    channel names. `fit` decodes each pair once and holds all of them: beyond 2 GiB per
    modality in a file that is removed when `fit` ends (in the folder for temporary
    files, see :func:`tempfile.gettempdir`). `transform` decodes some hundreds of rows
    at a time. Or X is a 2-D array with the columns ``[image | profile]``, see
    `image_shape` and `profile_shape`.

    Instead of pulses, the profiles of a DataFrame may be vectors of measurements, all
    of the same ones: arrays, lists, tuples or pandas Series of shape
    (n_measurements,), in any units, with NaN where a measurement is missing. They are
    scaled by their median and interquartile range in `fit`, and beyond it
    logarithmically. A missing value becomes the median; each measurement of which some
    are missing in `fit` has a second column, 1 where it is. A measurement that is
    constant in `fit`, or missing throughout, is ignored.

    Training uses the rows with both modalities; `transform` also embeds rows with only
    one. Which rows are transformed together changes an embedding only by float32
    rounding.

    How X is read (`image_size`, `profile_length`, `crop_top`, `crop_bottom`, the two
    shapes and `size_features`) belongs to the fitted model: changes by `set_params`
    after `fit` take effect at the next `fit`. `output`, `features`, `device`,
    `precision`, `errors`, `n_jobs` and `verbose` may be changed at any time; so may
    `orientation` to and from "average".

    References
    ----------
    .. [1] Kareinen et al. 2026, "Cross-modal learning for plankton recognition",
       arXiv:2603.16427.
    .. [2] Radford et al. 2021, "Learning transferable visual models from natural
       language supervision", arXiv:2103.00020.
    .. [3] Zhai et al. 2023, "Sigmoid loss for language image pre-training",
       arXiv:2303.15343.
    .. [4] Gao et al. 2021, "Scaling deep contrastive learning batch size under memory
       limited setup", arXiv:2101.06983.

    Examples
    --------
    >>> from sklearn.pipeline import Pipeline
    >>> from skplankton import CrossModalEmbedder, GalleryKNNClassifier
    >>> from skplankton.datasets import make_particles
    >>> X, y = make_particles(60, n_species=3, random_state=0, return_X_y=True)
    >>> pipe = Pipeline([
    ...     ("embed", CrossModalEmbedder(max_epochs=2, image_size=32, random_state=0)),
    ...     ("gallery", GalleryKNNClassifier(gallery_size=4, random_state=0)),
    ... ])
    >>> pipe.fit(X, y).predict(X.head(2)).shape
    (2,)
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "image_encoder": [str, callable],
        "profile_encoder": [str, callable],
        "image_encoder_params": [dict, None],
        "profile_encoder_params": [dict, None],
        "image_size": [Interval(Integral, 8, None, closed="left")],
        "profile_length": [Interval(Integral, 8, None, closed="left")],
        "crop_top": [Interval(Integral, 0, None, closed="left")],
        "crop_bottom": [Interval(Integral, 0, None, closed="left")],
        "image_shape": [tuple, list, None],
        "profile_shape": [tuple, list, None],
        "size_features": ["boolean"],
        "augment": ["boolean"],
        "orientation": [StrOptions({"shared", "independent", "average", "keep"})],
        "loss": [StrOptions({"clip", "siglip"})],
        "temperature": [Interval(Real, 0.01, 100, closed="both")],
        "learn_temperature": ["boolean"],
        "output": [StrOptions({"fused", "image", "profile", "concat"})],
        "features": [StrOptions({"both", "encoder", "projection"})],
        "optimizer": [StrOptions({"adamw", "sgd"}), callable],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "warmup_epochs": [Interval(Integral, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "micro_batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "precision": [StrOptions({"auto", "32", "bf16", "16"})],
        "errors": [StrOptions({"raise", "warn", "coerce"})],
        "n_jobs": [Integral, None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "checkpoint": [str, os.PathLike, None],
        "distributed": ["boolean"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=128,
        *,
        image_encoder="auto",
        profile_encoder="auto",
        image_encoder_params=None,
        profile_encoder_params=None,
        image_size=48,
        profile_length=64,
        crop_top=0,
        crop_bottom=0,
        image_shape=None,
        profile_shape=None,
        size_features=True,
        augment=True,
        orientation="average",
        loss="clip",
        temperature=0.5,
        learn_temperature=False,
        output="fused",
        features="both",
        optimizer="adamw",
        learning_rate=1e-3,
        weight_decay=1e-2,
        warmup_epochs=1,
        max_epochs=30,
        batch_size=64,
        micro_batch_size=None,
        early_stopping=False,
        validation_fraction=0.1,
        patience=10,
        device="auto",
        precision="auto",
        errors="raise",
        n_jobs=None,
        warm_start=False,
        random_state=None,
        checkpoint=None,
        distributed=False,
        verbose=0,
    ):
        self.n_components = n_components
        self.image_encoder = image_encoder
        self.profile_encoder = profile_encoder
        self.image_encoder_params = image_encoder_params
        self.profile_encoder_params = profile_encoder_params
        self.image_size = image_size
        self.profile_length = profile_length
        self.crop_top = crop_top
        self.crop_bottom = crop_bottom
        self.image_shape = image_shape
        self.profile_shape = profile_shape
        self.size_features = size_features
        self.augment = augment
        self.orientation = orientation
        self.loss = loss
        self.temperature = temperature
        self.learn_temperature = learn_temperature
        self.output = output
        self.features = features
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup_epochs = warmup_epochs
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.micro_batch_size = micro_batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.precision = precision
        self.errors = errors
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.distributed = distributed
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Train the two encoders to match images and profiles.

        Parameters
        ----------
        X : DataFrame with columns image and profile, or array of shape \
                (n_samples, n_features)
            Particles; those with both modalities are used. See the class notes.
        y : array-like of shape (n_samples,), default=None
            Not used: training needs no labels. A y of another length than X, or with
            strings mixed with numbers, raises before anything is read.

        Returns
        -------
        CrossModalEmbedder
            The fitted embedder.

        Raises
        ------
        TypeError
            If X is neither a table of particles nor an array, or y mixes types.
        ValueError
            If an entry cannot be read (with row and file), profiles differ in their
            channels or measurements, a row has neither image nor profile, fewer than
            two rows have both, an encoder cannot take samples of this shape, `device`
            is not available, the weights for `warm_start` do not match, or training
            diverges; with `distributed`, if there is no group of processes, or they
            differ in X, profiles or parameters.
        FileNotFoundError
            If a file, or what a URL names, does not exist.
        ImportError
            If the encoder is a timm model and timm is not installed, or a URL needs
            fsspec or another package that is not, whatever `errors` is.
        RuntimeError
            With `distributed`, if another process raised: with its reason.
        """
        self._fit_particles(X, y)
        return self

    def transform(self, X):
        """Embed particles by their available modalities.

        Parameters
        ----------
        X : DataFrame with columns image and profile, or array of shape \
                (n_samples, n_features)
            Particles with an image, a profile or both, in the form used in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float32
            Embeddings. With ``output="concat"`` each half is one modality, NaN where it
            is missing.

        Raises
        ------
        ValueError
            If an entry cannot be read (with row and file), a row has neither image nor
            profile, X has other columns, channels or measurements than in `fit`, a
            parameter set since `fit` is invalid, or an embedding overflows its number
            format.
        FileNotFoundError, ImportError
            As in `fit`.
        """
        return self._transform_particles(X)

    def score(self, X, y=None):
        """Accuracy of matching the images and profiles of the same particles.

        Each image is matched with the nearest profile among all complete rows of X, and
        each profile with the nearest image; the score is the mean accuracy of the two.
        It depends on the number of rows: chance is one over it. It does not replace the
        score of the whole pipeline, which it does not track (see the user guide).

        Parameters
        ----------
        X : DataFrame with columns image and profile, or array of shape \
                (n_samples, n_features)
            Particles; those with only one modality are left out.
        y : None
            Ignored.

        Returns
        -------
        float
            Top-1 matching accuracy.

        Raises
        ------
        ValueError
            If no row has both modalities, or none of these can be read.
        """
        check_is_fitted(self)
        self._validate_params()
        source = self._check_X(X, reset=False)
        rows = self._pairs(source, at_least=1)
        chunks = self._embed_chunks(
            source, rows, MODALITIES, *self._encoder("projection")
        )
        image, profile = (
            np.concatenate(embeddings)
            for embeddings in zip(*(chunk.values() for chunk in chunks), strict=True)
        )
        source.problems.report("X")
        complete = ~(np.isnan(image[:, 0]) | np.isnan(profile[:, 0]))
        if not complete.any():
            raise ValueError(
                f"None of the {len(rows)} pairs of an image and a profile could be "
                "read. errors='raise' shows the reason."
            )
        image, profile = image[complete], profile[complete]
        return (
            _matching_accuracy(image, profile) + _matching_accuracy(profile, image)
        ) / 2

    def _fit(self, source) -> None:
        # torch takes seconds to import: load it at the first fit, not with the class.
        from skplankton._training.contrastive import train_dual_encoder

        if self.checkpoint is not None and not isinstance(self.random_state, Integral):
            raise ValueError(
                f"checkpoint={str(self.checkpoint)!r} needs an int as random_state, "
                f"got {self.random_state!r}: a fit with another seed is another one."
            )
        processes = self._processes()
        random_state = fresh_random_state(self.random_state)
        random_state.set_state(processes.of_first(random_state.get_state(legacy=False)))
        if processes.size > 1:
            processes.require_same(self._same_in_all(source))
        valid_arrays = None
        with processes.agreed():
            rows = self._pairs(source, at_least=2 * processes.size)
            if self.early_stopping:
                rows, valid_rows = self._split_validation(rows, random_state)
                valid_arrays = self._read_pairs(source, processes.share(valid_rows))
            arrays = self._read_pairs(source, processes.share(rows))
        _agree_on_profiles(source, processes)
        warm_net = getattr(self, "net_", None) if self.warm_start else None
        n_marked = None
        if source.is_vector:
            n_marked = _n_marked(processes.all_rows(arrays["profile"]), warm_net)
        self.net_, self.history_ = train_dual_encoder(
            arrays,
            valid_arrays,
            module_params=self._module_params(arrays, n_marked),
            initial_weights=warm_net and warm_net.module_.state_dict(),
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            warmup_epochs=self.warmup_epochs,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            patience=self.patience,
            seed=random_state.randint(np.iinfo(np.int32).max),
            verbose=self._verbosity(),
            loss=self.loss,
            augment=self.augment,
            flip=self._flip(source),
            checkpoint=self.checkpoint,
            identity=self._identity(),
            processes=processes,
            micro_batch_size=self.micro_batch_size,
            **self._hardware(),
        )
        self.n_iter_ = len(self.history_)
        self._n_trained = sum(len(a["image"]) for a in (arrays, valid_arrays) if a)
        self.temperature_ = self.net_.module_.temperature

    def _processes(self):
        """Those that train together, as `fit` sees them."""
        from skplankton._training.distributed import ALONE, join

        return join() if self.distributed else ALONE

    def _agreed(self):
        return self._processes().agreed()

    def _verbosity(self) -> int:
        return int(self.verbose) if self._processes().rank == 0 else 0

    def _hardware(self) -> dict:
        hardware = super()._hardware()
        if self.distributed:
            from skplankton._training.distributed import device_of_process

            hardware["device"] = device_of_process(hardware["device"])
        return hardware

    def _same_in_all(self, source) -> dict:
        """What processes that train together must have in common, if it is plain."""
        own = {*_NOT_OF_THE_TRAINING, "random_state"}
        plain = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in own and isinstance(value, str | Real | None)
        }
        warm = self.warm_start and hasattr(self, "net_")
        return {"X": source.fingerprint(), "warm start": warm, **plain}

    def _identity(self) -> dict[str, str] | None:
        """What must be the same for a training to go on from a checkpoint."""
        from skplankton import __version__
        from skplankton._training.checkpoint import digest_of_parameter

        if self.checkpoint is None:
            return None
        parameters = self.get_params(deep=False)
        for name in _NOT_OF_THE_TRAINING:
            del parameters[name]
        parameters["precision"] = self._hardware()["precision"]
        digests = {name: digest_of_parameter(name, v) for name, v in parameters.items()}
        return {**digests, "skplankton": __version__}

    def _flip(self, source) -> str | None:
        if self.orientation == "keep" or not isinstance(source, ParticleTable):
            return None
        return "shared" if self.orientation == "average" else self.orientation

    def _pairs(self, source, at_least: int) -> np.ndarray:
        rows = np.flatnonzero(source.present["image"] & source.present["profile"])
        if len(rows) < at_least:
            raise ValueError(
                f"{len(rows)} of the {len(source)} rows of X have both an image and a "
                f"profile; at least {at_least} are needed."
            )
        return rows

    def _split_validation(self, rows, random_state) -> tuple[np.ndarray, np.ndarray]:
        n_valid = round(self.validation_fraction * len(rows))
        if n_valid < 2 or len(rows) - n_valid < 2:
            raise ValueError(
                f"early_stopping=True with validation_fraction="
                f"{self.validation_fraction} sets {n_valid} of {len(rows)} complete "
                "pairs aside; training and validation both need at least 2. Pass more "
                "pairs, another validation_fraction, or early_stopping=False."
            )
        shuffled = random_state.permutation(rows)
        return np.sort(shuffled[n_valid:]), np.sort(shuffled[:n_valid])

    def _read_pairs(self, source, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays of the pairs by the names of DualEncoder.forward."""
        arrays = self._read_rows(source, rows)
        if len(arrays["image"]) < 2:
            raise ValueError(
                f"{len(arrays['image'])} of {len(rows)} pairs of an image and a "
                "profile could be read; at least 2 are needed. errors='raise' shows "
                "the reason."
            )
        return arrays

    def _module_params(self, arrays, n_marked: int | None) -> dict:
        def encoder_config(modality, encoder, encoder_params):
            sizes = arrays.get(f"{modality}_size")
            return {
                "encoder": encoder,
                "encoder_params": encoder_params,
                "sample_shape": arrays[modality].shape[1:],
                "n_sizes": 0 if sizes is None else sizes.shape[1],
            }

        return {
            "image": encoder_config(
                "image", self.image_encoder, self.image_encoder_params
            ),
            "profile": encoder_config(
                "profile", self.profile_encoder, self.profile_encoder_params
            )
            | {"n_marked": n_marked},
            "n_components": self.n_components,
            "temperature": self.temperature,
            "learn_temperature": self.learn_temperature,
            # Before anything is learned, one pair in a batch matches.
            "initial_bias": -float(np.log(max(1, self.batch_size - 1))),
        }

    def _modalities_out(self) -> tuple[str, ...]:
        return (self.output,) if self.output in MODALITIES else MODALITIES

    def _encoder(self, features: str | None = None) -> tuple[Callable, int]:
        import torch

        from skplankton._training.devices import autocast, on_device

        hardware = self._hardware()
        module = on_device(self.net_.module_, hardware["device"])
        features = features or self.features
        both_ways = self._is_table and self.orientation == "average"

        def encode(modality, values, sizes):
            with torch.inference_mode(), autocast(**hardware):
                return module.embed_rows(modality, values, sizes, features, both_ways)

        return encode, module.n_features_out(features)

    def _combine(self, embeddings: dict[str, np.ndarray]) -> np.ndarray:
        """The rows of `output`, from one chunk's embeddings of each modality."""
        if self.output == "concat":
            return np.hstack([embeddings[modality] for modality in MODALITIES])
        if self.output in MODALITIES:
            return embeddings[self.output]
        total = sum(np.nan_to_num(embeddings[modality]) for modality in MODALITIES)
        norms = np.linalg.norm(total, axis=1, keepdims=True)
        fused = total / np.where(norms > 0, norms, 1)
        missing = [np.isnan(embeddings[modality][:, 0]) for modality in MODALITIES]
        fused[np.all(missing, axis=0)] = np.nan
        return fused

    def __setstate__(self, state):
        # Models saved before there was a choice were trained and used like this.
        former = {"orientation": "shared", "checkpoint": None, "distributed": False}
        super().__setstate__({**former, **state})

    @property
    def _n_features_out(self) -> int:
        n_blocks = 2 if self.output == "concat" else 1
        return n_blocks * self.net_.module_.n_features_out(self.features)


def _agree_on_profiles(source, processes) -> None:
    """Raise if the processes have read profiles that one of them would refuse."""
    names_of_all = processes.gathered(source.channels)
    if source.channels is None:
        source.channels = next(filter(None, names_of_all), None)
    kind = "vectors" if source.is_vector else "sequences"
    names = "" if source.channels is None else f" {source.channels}"
    profiles = f"{kind} of {source.n_channels} channels{names}"
    processes.require_same({"profiles": profiles})


def _n_marked(vectors: np.ndarray, warm_net) -> int:
    """How many measurements are marked where missing; as before in a warm start."""
    from skplankton._nn.measurements import partly_missing

    former = warm_net and getattr(warm_net.module_.profile, "measurements", None)
    return len(partly_missing(vectors) if former is None else former.marked)


def _matching_accuracy(queries: np.ndarray, targets: np.ndarray) -> float:
    """Share of queries whose own target is the nearest; all are unit vectors."""
    own = np.arange(len(queries))
    nearest = np.concatenate(
        [
            (queries[start : start + QUERIES_PER_CHUNK] @ targets.T).argmax(axis=1)
            for start in range(0, len(queries), QUERIES_PER_CHUNK)
        ]
    )
    return float(np.mean(nearest == own))

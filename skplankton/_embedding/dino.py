"""DINOEmbedder: the transformer that is trained on images alone."""

import copy
from collections.abc import Callable
from numbers import Integral, Real

import numpy as np

from skplankton._embedding.base import ParticleTransformer
from skplankton._utils.random import fresh_random_state
from skplankton._utils.sklearn import Interval, StrOptions, fit_context
from skplankton._views.table import ParticleTable


class DINOEmbedder(ParticleTransformer):
    """Embed particles by their images alone, trained without labels (DINO).

    A student network learns to predict from a small crop of an image the output that
    its teacher, the moving average of the student, has for a large crop [1]_. It is the
    baseline of [2]_ for cross-modal learning. Needs lightly:
    ``pip install 'skplankton[dino]'``.

    Parameters
    ----------
    image_encoder : str or callable, default="auto"
        As for :class:`CrossModalEmbedder`: ``"mlp"``, ``"cnn"``, the name of any timm
        model, or a factory. ``"auto"`` is ``"cnn"`` for images and ``"mlp"`` for a flat
        vector.
    image_encoder_params : dict, default=None
        Further keyword arguments of the encoder.
    image_size : int, default=48
        Side in pixels of the square that an image is fitted into.
    crop_top : int, default=0
        Rows of pixels cut off the top of every image.
    crop_bottom : int, default=0
        Rows of pixels cut off the bottom of every image.
    image_shape : tuple of (height, width) or (n_columns,), default=None
        For X as an array: the shape of the image's columns.
    profile_shape : tuple of (length, n_channels) or (n_columns,), default=None
        For X as an array: the shape of the profile's columns, which are not read.
    size_features : bool, default=True
        Append the original height and width of an image in pixels to the encoder's
        features in `transform` (tables only). Training does not use them: they would
        reveal which crops come from the same image.
    n_prototypes : int, default=256
        Width of the output of student and teacher: the learned classes.
    bottleneck_width : int, default=512
        Width of the layer before the output; 512 in [2]_.
    n_local_crops : int, default=4
        Small crops per image and step, in addition to the two large ones.
    teacher_momentum : float, default=0.96
        Share of its weights that the teacher keeps in a step, rising to 1 on a cosine.
        With many steps, use a value closer to 1: 0.996 in [1]_.
    teacher_temperature : float, default=0.04
        Divides the output of the teacher; a lower one sharpens it.
    student_temperature : float, default=0.1
        Divides the output of the student.
    learning_rate : float, default=1e-3
        Of AdamW: the peak, reached after `warmup_epochs`; a cosine then takes it down
        to a 500th.
    weight_decay : float, default=1e-2
        As AdamW takes it.
    warmup_epochs : int, default=1
        Epochs of linear warm-up.
    max_epochs : int, default=30
        Epochs of training.
    batch_size : int, default=64
        Largest number of images in a step. Batches are of equal size to within one
        image, and none is left out.
    device : str, default="auto"
        ``"auto"`` is CUDA, else MPS, else the CPU; or a torch device such as
        ``"cuda:1"``.
    precision : {"auto", "32", "bf16", "16"}, default="auto"
        Number format of the arithmetic in training and in transform. "auto" is "32",
        except on CUDA, where it is "bf16" if the GPU has it, else "16".
    errors : {"raise", "warn", "coerce"}, default="raise"
        What to do about an image that cannot be read, as in
        :class:`CrossModalEmbedder`.
    n_jobs : int, default=None
        Processes of this machine that decode files. None is 1, or the number of a
        joblib context, unless that is of a cluster.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, batches and crops. The same int gives the same model, bit for
        bit, on one machine with one number of threads. No global random state is
        changed: None draws a fresh seed from the operating system.
    verbose : int, default=0
        1 shows the progress of reading and training, 2 prints one line per epoch.

    Attributes
    ----------
    module_ : torch.nn.Module
        The teacher's encoder, in evaluation mode. Student, heads and optimizer are
        dropped after training.
    n_iter_ : int
        Epochs trained.
    history_ : list of dict
        One entry per epoch: ``epoch``, ``train_loss``.
    n_features_in_ : int
        Number of columns of X read by `fit`: 1 for a table.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The column names, if there are any: ``["image"]`` for a table.

    See Also
    --------
    CrossModalEmbedder : Uses the optical profiles as well.

    Notes
    -----
    X is the same as for :class:`CrossModalEmbedder`, so that one can replace the other
    in a pipeline. Of a DataFrame, the column ``image`` is read; the column ``profile``
    is optional and only shows that a row without an image is not a mistake. Such a row
    is left out of the training, and its embedding is NaN, for which
    :class:`GalleryKNNClassifier` predicts no class. Of an array ``[image | profile]``,
    the columns of the image are read: the first half, or those given by `image_shape`
    or `profile_shape`.

    The views of an image are crops of half to all of its area (large) and of a fifth to
    half (small, at half the resolution if the encoder takes more than one), with
    brightness and contrast jittered by a fifth and, for tables, flipped along both
    axes. A flat vector has no crops: instead a random 30 % (large) or 60 % (small) of
    its columns take the value of another row, as in SCARF [3]_.

    The defaults of the training were chosen on 600 simulated particles of 8 species
    (``make_particles``), by the accuracy of 3 neighbors in galleries of 1 to 16 labels
    per species. Unlike in [1]_, the heads use batch normalization: without it, the
    small encoder learned nothing there.

    The embedding is the encoder's features, centered on the mean of the training images
    and scaled to unit length; the heads, as usual, only serve the training.

    References
    ----------
    .. [1] Caron et al. 2021, "Emerging properties in self-supervised vision
       transformers", arXiv:2104.14294.
    .. [2] Kareinen et al. 2026, "Cross-modal learning for plankton recognition",
       arXiv:2603.16427.
    .. [3] Bahri et al. 2022, "SCARF: self-supervised contrastive learning using random
       feature corruption", arXiv:2106.15147.

    Examples
    --------
    >>> from skplankton.baselines import DINOEmbedder
    >>> from skplankton.datasets import make_particles
    >>> X, y = make_particles(20, n_species=2, random_state=0, return_X_y=True)
    >>> dino = DINOEmbedder(max_epochs=1, image_size=32, random_state=0)
    >>> dino.fit_transform(X).shape
    (20, 66)
    """

    _modalities = ("image",)
    profile_length = 1  # never read

    _parameter_constraints: dict = {
        "image_encoder": [str, callable],
        "image_encoder_params": [dict, None],
        "image_size": [Interval(Integral, 8, None, closed="left")],
        "crop_top": [Interval(Integral, 0, None, closed="left")],
        "crop_bottom": [Interval(Integral, 0, None, closed="left")],
        "image_shape": [tuple, list, None],
        "profile_shape": [tuple, list, None],
        "size_features": ["boolean"],
        "n_prototypes": [Interval(Integral, 2, None, closed="left")],
        "bottleneck_width": [Interval(Integral, 1, None, closed="left")],
        "n_local_crops": [Interval(Integral, 0, None, closed="left")],
        "teacher_momentum": [Interval(Real, 0, 1, closed="left")],
        "teacher_temperature": [Interval(Real, 0, None, closed="neither")],
        "student_temperature": [Interval(Real, 0, None, closed="neither")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "warmup_epochs": [Interval(Integral, 0, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "device": [str],
        "precision": [StrOptions({"auto", "32", "bf16", "16"})],
        "errors": [StrOptions({"raise", "warn", "coerce"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        image_encoder="auto",
        *,
        image_encoder_params=None,
        image_size=48,
        crop_top=0,
        crop_bottom=0,
        image_shape=None,
        profile_shape=None,
        size_features=True,
        n_prototypes=256,
        bottleneck_width=512,
        n_local_crops=4,
        teacher_momentum=0.96,
        teacher_temperature=0.04,
        student_temperature=0.1,
        learning_rate=1e-3,
        weight_decay=1e-2,
        warmup_epochs=1,
        max_epochs=30,
        batch_size=64,
        device="auto",
        precision="auto",
        errors="raise",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.image_encoder = image_encoder
        self.image_encoder_params = image_encoder_params
        self.image_size = image_size
        self.crop_top = crop_top
        self.crop_bottom = crop_bottom
        self.image_shape = image_shape
        self.profile_shape = profile_shape
        self.size_features = size_features
        self.n_prototypes = n_prototypes
        self.bottleneck_width = bottleneck_width
        self.n_local_crops = n_local_crops
        self.teacher_momentum = teacher_momentum
        self.teacher_temperature = teacher_temperature
        self.student_temperature = student_temperature
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup_epochs = warmup_epochs
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.errors = errors
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Train the image encoder on crops of the images.

        Parameters
        ----------
        X : DataFrame with column image, or array of shape (n_samples, n_features)
            Particles; those with an image are used for training. See the class notes.
        y : array-like of shape (n_samples,), default=None
            Not used; checked as in :class:`CrossModalEmbedder`.

        Returns
        -------
        DINOEmbedder
            The fitted embedder.

        Raises
        ------
        ValueError
            If the column ``image`` is missing, an entry cannot be read (with row and
            file), fewer than two rows have an image, or training diverges.
        FileNotFoundError
            If a file does not exist.
        ImportError
            If lightly is not installed, or timm is not and the encoder is a timm model.
        """
        self._fit_particles(X, y)
        return self

    def transform(self, X):
        """Embed particles by their images.

        Parameters
        ----------
        X : DataFrame with column image, or array of shape (n_samples, n_features)
            Particles, in the form used in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float32
            Embeddings of unit length; NaN in the rows without an image.

        Raises
        ------
        ValueError
            If an entry cannot be read (with row and file), or X has other columns than
            in `fit`.
        """
        return self._transform_particles(X)

    def _fit(self, source) -> None:
        # torch takes seconds to import: load it at the first fit, not with the class.
        from skplankton._training.dino import train_dino

        random_state = fresh_random_state(self.random_state)
        arrays = self._read_rows(source, np.flatnonzero(source.present["image"]))
        n_read = len(arrays["image"]) if arrays else 0
        if n_read < 2:
            raise ValueError(
                f"{n_read} of the {len(source)} rows of X have an image; at least 2 "
                "are needed."
            )
        self.module_, self.history_ = train_dino(
            arrays["image"],
            arrays.get("image_size"),
            # Particles have no fixed orientation; an array's columns may have one.
            flip=isinstance(source, ParticleTable),
            encoder=self.image_encoder,
            encoder_params=self.image_encoder_params,
            n_prototypes=self.n_prototypes,
            bottleneck_width=self.bottleneck_width,
            n_local_crops=self.n_local_crops,
            teacher_momentum=self.teacher_momentum,
            teacher_temperature=self.teacher_temperature,
            student_temperature=self.student_temperature,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            warmup_epochs=self.warmup_epochs,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            seed=random_state.randint(np.iinfo(np.int32).max),
            verbose=int(self.verbose),
            **self._hardware(),
        )
        self.n_iter_ = len(self.history_)
        # What a saved model is built again from; set_params may change the parameters.
        self._built_from = {
            "encoder": self.image_encoder,
            "encoder_params": self.image_encoder_params,
        }
        self._n_trained = n_read

    def _encoder(self) -> tuple[Callable, int]:
        import torch

        from skplankton._training.devices import on_device
        from skplankton._training.dino import encode_rows

        hardware = self._hardware()
        module = on_device(self.module_, hardware["device"])
        center = module.feature_mean.cpu().numpy()

        def encode(modality, values, sizes):
            features = encode_rows(module, values, sizes, **hardware)
            centered = torch.from_numpy(features - center)
            return torch.nn.functional.normalize(centered, dim=1).numpy()

        return encode, module.n_features

    def _combine(self, embeddings: dict[str, np.ndarray]) -> np.ndarray:
        return embeddings["image"]

    @property
    def _n_features_out(self) -> int:
        return self.module_.n_features

    def __getstate__(self):
        state = dict(super().__getstate__())  # it may be our own __dict__
        if "module_" in state:
            # A model pickled on a GPU must load on a machine without one.
            state["module_"] = copy.deepcopy(state["module_"]).to("cpu")
        return state

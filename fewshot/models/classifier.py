"""A classifier to take away: images in, labels and probabilities out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from fewshot.evaluation.forecasts import Forecasts
from fewshot.evaluation.networks import Network
from fewshot.evaluation.predict import BACKBONES, HEADS, predict
from fewshot.exceptions import FewshotError, expect
from fewshot.features.arrays import feature_matrix
from fewshot.features.bank import make_bank
from fewshot.features.ranges import unit_length
from fewshot.heads.base import Head
from fewshot.models.class_labels import class_labels, labels_of_names, type_of_labels
from fewshot.models.header import ErrorNote, Header
from fewshot.models.inputs import are_images, errors_of, image_dataset, is_feature_array
from fewshot.models.labels import Labels
from fewshot.models.parameters import head_parameter, in_a_line
from fewshot.models.taken import take
from fewshot.tasks.classification.labelling.fitted import FittedClassifier
from fewshot.tasks.classification.labelling.labels import BUDGET, LEVEL
from fewshot.tasks.classification.labelling.prediction_sets import check_set_level

if TYPE_CHECKING:
    from fewshot.models.onnx.export import Exported


class Classifier(ClassifierMixin, BaseEstimator):
    """A classifier fitted on a few labelled images, with its predicted error.

    A scikit-learn classifier of images, or of features. Which backbone and head are taken is
    decided by the errors that are predicted for them, as `fewshot.predict` does; no validation set
    is needed.

    Parameters
    ----------
    backbone : str or several, or None
        As for `fewshot.extract`; None: X has features.
    head : str, Head, or several
    level : float
        Nominal coverage of the interval of the predicted error.
    calibrator : str, optional
        JSON of ``fewshot calibrate``.
    device : str
    weights : str or Path, optional
        Where weights are looked for first.
    size : int, optional
        Input of the network in pixels.

    Attributes
    ----------
    classes_ : ndarray of shape (N,)
        Labels, of the type of y, in the order of the columns of `predict_proba`.
    n_features_in_ : int
        D, of a classifier of features alone.
    feature_names_in_ : ndarray of shape (D,)
        Of a classifier of features that was fitted on a data frame.
    error_ : ErrorNote
        ``error`` that is predicted for new images, all classes alike, with its interval ``lower``
        to ``upper``.
    fitted_ : FittedClassifier
    network_ : Network or None
        None for a classifier of features. Pickles have its name and settings, no weights.
    header_ : Header
        What `save` writes of it: chosen backbone and head, versions, a model card.

    Notes
    -----
    In a pipeline `fewshot.ImageFeatures` goes before a classifier of features: images go through
    the network once, whatever is searched or validated behind it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import fewshot
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = fewshot.Classifier(backbone=None, head="lda").fit(X[::10], y[::10])
    >>> classifier.predict(X[[0, 60, 110]])
    array([0, 1, 2])
    >>> classifier.predict_proba(X).shape
    (150, 3)
    >>> classifier.error_.lower <= classifier.error_.error <= classifier.error_.upper
    True
    """

    classes_: NDArray
    fitted_: FittedClassifier
    network_: Network | None
    header_: Header

    def __init__(
        self,
        backbone: str | Iterable[str] | None = BACKBONES,
        head: str | Head | Iterable[str | Head] = HEADS,
        level: float = 0.9,
        calibrator: str | None = None,
        device: str = "auto",
        weights: str | Path | None = None,
        size: int | None = None,
    ) -> None:
        self.backbone = backbone
        self.head = head
        self.level = level
        self.calibrator = calibrator
        self.device = device
        self.weights = weights
        self.size = size

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on labelled images, or on features where `backbone` is None.

        Parameters
        ----------
        X : sequence of M images, or array-like of shape (M, D)
            Paths, PIL images or uint8 arrays (H, W), (H, W, 3), (H, W, 4); also as an array
            (M, H, W, 3), or a series of paths. Features are given unit length.
        y : array-like of shape (M,)
            Texts, whole numbers or booleans; two classes or more.

        Raises
        ------
        FewshotError
            See `fewshot.predict`; an image that cannot be read, which is named.
        """
        options: dict[str, Any] = {
            "head": self.head,
            "level": self.level,
            "calibrator": self.calibrator,
        }
        if y is None and isinstance(X, str | Path):
            problem = f"requires y to be passed, but the target y is None; X is {str(X)!r}"
            remedy = "For a folder with a sub-folder per class take fewshot.fit."
            raise FewshotError("y", problem, remedy)
        if self.backbone is None:
            expect(not are_images(X), "X", "expected features (M, D), as backbone is None, got "
                   "images", "Name a backbone, or put fewshot.ImageFeatures() before.")  # fmt: skip
            classes, numbers = labels = class_labels(y)
            X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
            check_consistent_length(X, numbers)
            with errors_of("X"):
                bank = make_bank(X, numbers, labels.names)
                forecasts = predict(bank, **options)
        else:
            named = isinstance(self.backbone, str | Iterable)
            expect(named, "backbone", f"expected one or several names, got {self.backbone!r}")
            classes, numbers = labels = class_labels(y)
            dataset = image_dataset(X, "X", numbers, labels.names)
            with errors_of("X"):
                forecasts = predict(
                    dataset, backbone=self.backbone, device=self.device, weights=self.weights,
                    size=self.size, on_error="raise", **options,
                )  # fmt: skip
        return self._take(forecasts, type_of_labels(classes), classes)

    @classmethod
    def of(cls, forecasts: Forecasts, **parameters: Any) -> Self:
        """The best head on the best backbone of a prediction, fitted.

        Parameters
        ----------
        forecasts : Forecasts
        **parameters
            Of the classifier, beside backbone and head.
        """
        best, sources = forecasts.best, forecasts.sources
        network = sources.networks.get(best.backbone)
        parameters = {"level": forecasts.level} | parameters
        classifier = cls(
            None if network is None else network.name,
            head_parameter(best.head, sources.heads[best.head]),
            **parameters,
        )
        return classifier._take(forecasts)

    def _take(
        self, forecasts: Forecasts, labels: str = "str", classes: NDArray | None = None
    ) -> Self:
        self.fitted_, self.network_, header = take(forecasts)
        self.header_ = replace(header, labels=labels)
        names = self.fitted_.classnames
        self.classes_ = labels_of_names(names, labels) if classes is None else classes
        self.set_features_in()
        return self

    def set_features_in(self) -> None:
        """The number of features in a row; images have none."""
        if self.network_ is None:
            self.n_features_in_ = self.fitted_.dim
            return
        for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit
            if name in vars(self):
                delattr(self, name)

    @property
    def error_(self) -> ErrorNote | None:
        """The error that is predicted for new images, with its interval."""
        check_is_fitted(self)
        return self.header_.error

    def predict(self, X: Any) -> NDArray:
        """Labels (M,) of images or features, of the type of y; as for `predict_proba`."""
        probabilities = self.predict_proba(X)
        answers: NDArray = self.classes_[probabilities.argmax(-1)]
        return answers

    def predict_proba(self, X: Any) -> NDArray:
        """Probabilities (M, N), float64, in the order of `classes_`; rows sum to 1.

        Parameters
        ----------
        X : path, or sequence of M images; or features (M, D)
            Images as for `fit`, a row per entry, in their order; a folder stands for the images in
            it, at any depth. A classifier of images takes features of its backbone as well, as
            floats (M, D).

        Raises
        ------
        FewshotError
            An image that cannot be read, which is named; weights that cannot be had; features of
            another length.
        """
        check_is_fitted(self)
        probabilities: NDArray = self.fitted_.predict_proba(self._features(X)).numpy()
        return probabilities

    def decision_function(self, X: Any) -> NDArray:
        """Scores (M, N) in the units of the head, which order as the probabilities do.

        Of two classes the differences (M,) of the second and the first, as scikit-learn has it.
        """
        check_is_fitted(self)
        scores: NDArray = self.fitted_.scores(self._features(X)).double().numpy()
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_set(self, X: Any, level: float = LEVEL) -> NDArray:
        """Which classes are in the set (M, N), bool, that has the true one at a level.

        Parameters
        ----------
        X : as for `predict_proba`
        level : float in (0, 1)
            Share of new images whose set is to have their class.

        Raises
        ------
        FewshotError
            As for `predict_proba`; a level out of range.
        """
        check_is_fitted(self)
        check_set_level(level)
        probabilities = self.fitted_.predict_proba(self._features(X))
        members: NDArray = self.fitted_.sets.members(probabilities, level).numpy()
        return members

    def classify(
        self, images: Any, budget: float = BUDGET, level: float = LEVEL, on_error: str = "skip"
    ) -> Labels:
        """Labels of images with their doubts; those that cannot be read are named and passed over.

        Parameters
        ----------
        images : path, or several; images as for `predict_proba`; features, or files of them
            Of folders the images at any depth, each file once.
        budget : float in [0, 1)
            Expected share of wrong labels among those that nobody is asked to look at.
        level : float in (0, 1)
            Of the sets of classes.
        on_error : {"skip", "raise"}
            What to do about images that cannot be read.
        """
        from fewshot.models.classifying import classify

        check_is_fitted(self)
        return classify(self, images, budget=budget, level=level, on_error=on_error)

    @property
    def card(self) -> str:
        """The model card, in Markdown."""
        return self.header_.card

    def save(self, path: str | Path, with_weights: bool = False) -> None:
        """Write it as one file: see docs/models.md.

        Parameters
        ----------
        path : path
            By custom ``NAME.fewshot``.
        with_weights : bool
            Whether the weights of the network are packed; else they are referred to by their hash.
        """
        from fewshot.models.saving import save_classifier

        check_is_fitted(self)
        save_classifier(self, path, with_weights)

    def to_onnx(self, path: str | Path, input: str | None = None, check: Any = None) -> Exported:
        """Write it as one ONNX file, checked against torch: see docs/onnx.md.

        Parameters
        ----------
        path : path
        input : {"image", "pixels", "features"}, optional
            Images (B, H, W, 3) of any size, pixels (B, 3, S, S) after the transform, both uint8,
            or features (B, D). None: images, or features for a classifier of features.
        check : as for `predict_proba`, optional
            What both are compared on; patterns at random by default.

        Raises
        ------
        FewshotError
            The extra ``onnx`` is not installed, a head or network that cannot be exported, or
            results that differ; nothing is written then.
        """
        from fewshot.models.onnx.export import export

        check_is_fitted(self)
        return export(self, path, input, check)

    def _features(self, X: Any) -> torch.Tensor:
        """Features (M, D) as the head takes them."""
        if self.network_ is None:
            expect(not are_images(X), "X", "expected features (M, D), as it was fitted on, got "
                   "images")  # fmt: skip
            X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
            return self._rows(X)
        if is_feature_array(X):
            note = self.header_.backbone
            assert note is not None
            problem = (
                f"expected images, or {note.dim} features of {note.name} for each, got an array "
                f"{tuple(X.shape)}"
            )
            expect(X.shape[1] == note.dim, "X", problem)
            with errors_of("X"):
                features, _ = feature_matrix(X)
            return self._rows(features)
        with errors_of("X"):
            return self._normalised(self.network_.features(image_dataset(X)))

    def _rows(self, X: NDArray) -> torch.Tensor:
        """Features (M, D) of an array."""
        rows = torch.tensor(X, dtype=torch.float32)
        outside = (~rows.isfinite().all(-1)).nonzero()[:, 0].tolist()
        problem = (
            "expected finite numbers in float32, got NaN or infinity in row "
            f"{next(iter(outside), 0)}"
        )
        expect(not outside, "X", problem)
        return self._normalised(rows)

    def _normalised(self, features: torch.Tensor) -> torch.Tensor:
        return unit_length(features) if self.header_.normalize == "l2" else features

    def __sklearn_tags__(self) -> Any:
        """Features, or images, are taken; no sparse matrices."""
        tags = super().__sklearn_tags__()
        images = self.backbone is not None
        tags.input_tags.two_d_array = not images
        tags.input_tags.one_d_array = tags.input_tags.string = images
        tags.input_tags.three_d_array = images
        return tags

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        text = str(super().__repr__(N_CHAR_MAX))
        return f"{text}\n{in_a_line(self.header_)}" if hasattr(self, "header_") else text

    def _repr_html_inner(self) -> str:
        html = str(super()._repr_html_inner())
        if hasattr(self, "header_"):
            html += f"<p>{escape(in_a_line(self.header_))}</p>"
        return html

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options)
        if "text/html" in bundle:
            bundle["text/html"] = self._repr_html_inner()
        return bundle

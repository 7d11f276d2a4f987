"""Models to take away: a fitted head with its backbone, its probabilities and its error."""

from typing import TYPE_CHECKING

from fewshot.lazy import lazy

if TYPE_CHECKING:
    from fewshot.models.classifier import Classifier as Classifier
    from fewshot.models.image_features import ImageFeatures as ImageFeatures
    from fewshot.models.loading import load as load

_HOMES = {"Classifier": "classifier", "ImageFeatures": "image_features", "load": "loading"}
__all__ = [*_HOMES]  # noqa: PLE0604  strings, all of them
__getattr__, __dir__ = lazy(__name__, _HOMES)

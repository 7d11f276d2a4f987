"""Few-shot vision evaluation, with the error of every episode predicted from its support alone.

>>> import fewshot
>>> fewshot.__version__
'0.2.0'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fewshot.lazy import lazy

if TYPE_CHECKING:
    from fewshot import backbones as backbones
    from fewshot import datasets as datasets
    from fewshot import estimators as estimators
    from fewshot import heads as heads
    from fewshot import segmentation as segmentation
    from fewshot.api import evaluate as evaluate
    from fewshot.api import extract as extract
    from fewshot.episodes import EpisodeSet as EpisodeSet
    from fewshot.episodes import sample_episodes as sample_episodes
    from fewshot.evaluation.detector import detect as detect
    from fewshot.evaluation.predict import Forecasts as Forecasts
    from fewshot.evaluation.predict import predict as predict
    from fewshot.evaluation.results import Results as Results
    from fewshot.exceptions import FewshotError as FewshotError
    from fewshot.features import FeatureBank as FeatureBank
    from fewshot.models.classifier import Classifier as Classifier
    from fewshot.models.fit import fit as fit
    from fewshot.models.image_features import ImageFeatures as ImageFeatures
    from fewshot.models.loading import load as load
    from fewshot.models.segmentation.segment import segment as segment
    from fewshot.models.segmentation.segmenter import Segmenter as Segmenter
    from fewshot.models.segmentation.segments import Segments as Segments
    from fewshot.results import Result as Result

__version__ = "0.2.0"
# Looked up on first use, so that `import fewshot` and `fewshot --help` do not wait for torch.
_HOMES = {
    "Classifier": "models.classifier",
    "EpisodeSet": "episodes",
    "FeatureBank": "features",
    "FewshotError": "exceptions",
    "Forecasts": "evaluation.predict",
    "ImageFeatures": "models.image_features",
    "Result": "results",
    "Results": "evaluation.results",
    "Segmenter": "models.segmentation.segmenter",
    "Segments": "models.segmentation.segments",
    "backbones": "",
    "datasets": "",
    "detect": "evaluation.detector",
    "estimators": "",
    "evaluate": "api",
    "extract": "api",
    "fit": "models.fit",
    "heads": "",
    "load": "models.loading",
    "predict": "evaluation.predict",
    "sample_episodes": "episodes",
    "segment": "models.segmentation.segment",
    "segmentation": "",
}
__all__ = [*_HOMES]  # noqa: PLE0604  strings, all of them
__getattr__, __dir__ = lazy(__name__, _HOMES)

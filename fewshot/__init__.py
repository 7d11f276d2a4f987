"""Few-shot vision evaluation, with the error of every episode predicted from its support alone.

>>> import fewshot
>>> fewshot.__version__
'0.2.0'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewshot.api import evaluate, extract
    from fewshot.episodes import EpisodeSet, sample_episodes
    from fewshot.evaluation.predict import Forecasts, predict
    from fewshot.evaluation.results import Results
    from fewshot.exceptions import FewshotError
    from fewshot.features import FeatureBank
    from fewshot.results import Result

__version__ = "0.2.0"
__all__ = [
    "EpisodeSet",
    "FeatureBank",
    "FewshotError",
    "Forecasts",
    "Result",
    "Results",
    "evaluate",
    "extract",
    "predict",
    "sample_episodes",
]

# Looked up on first use, so that `import fewshot` and `fewshot --help` do not wait for torch.
_HOMES = {
    "evaluate": "fewshot.api",
    "extract": "fewshot.api",
    "Results": "fewshot.evaluation.results",
    "Forecasts": "fewshot.evaluation.predict",
    "predict": "fewshot.evaluation.predict",
    "EpisodeSet": "fewshot.episodes",
    "sample_episodes": "fewshot.episodes",
    "FewshotError": "fewshot.exceptions",
    "FeatureBank": "fewshot.features",
    "Result": "fewshot.results",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

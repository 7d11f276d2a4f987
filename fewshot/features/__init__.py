"""Images to features, once."""

from typing import TYPE_CHECKING

from fewshot.features.bank import FeatureBank, make_bank
from fewshot.lazy import lazy

if TYPE_CHECKING:
    from fewshot.features.extraction.precision import at_precision as at_precision
    from fewshot.features.extraction.settings import Extraction as Extraction
    from fewshot.features.store import open_bank as open_bank
    from fewshot.features.store import open_or_extract as open_or_extract

# Names by the module that has them.
_HOMES = {
    "Extraction": "extraction.settings",
    "at_precision": "extraction.precision",
    "open_bank": "store",
    "open_or_extract": "store",
}
__all__ = ["FeatureBank", "make_bank", *_HOMES]  # noqa: PLE0604  strings, all of them
__getattr__, __dir__ = lazy(__name__, _HOMES)

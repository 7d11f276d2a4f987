"""Labels of images by a fitted classifier, as `Classifier.classify` returns them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.tasks.classification.labelling.labels import Label, doubt_first

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of images, in the order in which these were given.

    Attributes
    ----------
    rows : list of Label
    skipped : list of dict
        ``path`` and ``reason`` of images that could not be read.
    classnames : tuple of str
    budget, level : float
        Of errors among the labels that are not to be looked at, and of sets of classes.
    name : str
        Of the classifier.
    """

    rows: list[Label]
    skipped: list[dict[str, Any]]
    classnames: tuple[str, ...]
    budget: float
    level: float
    name: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def table(self) -> pd.DataFrame:
        """A row per image, see :class:`~fewshot.tasks.classification.labelling.labels.Label`."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows],
                            columns=[*Label.__dataclass_fields__])  # fmt: skip

    @property
    def doubtful(self) -> list[Label]:
        """The labels, the most doubtful first."""
        return doubt_first(self.rows)

    def as_json(self) -> list[dict[str, Any]]:
        """A list of objects, doubt first, in types of JSON."""
        return [asdict(row) | {"classes": list(row.classes)} for row in self.doubtful]

    def page(self, path: str | Path) -> None:
        """Write the labels as an HTML page with thumbnails, doubt first."""
        raise NotImplementedError

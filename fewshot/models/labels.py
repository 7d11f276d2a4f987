"""Labels of images by a fitted classifier, as `Classifier.classify` returns them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.datasets.base import ImageDataset
from fewshot.exceptions import expect_choice
from fewshot.files import file_to_write
from fewshot.report.aligned import terminal_width
from fewshot.report.labels.text import labels_html, labels_text
from fewshot.tasks.classification.labelling.labels import COLUMNS, Label, LabelledImages

if TYPE_CHECKING:
    import pandas as pd

ORDERS = ("doubt", "given")


@dataclass(frozen=True, eq=False, repr=False)
class Labels(LabelledImages):
    """Labels of images, in the order in which these were given; printed the most doubtful first.

    Attributes
    ----------
    images : ImageDataset or None
        For thumbnails; None where there were features alone.
    """

    images: ImageDataset | None = None

    def __repr__(self) -> str:
        """As the command line prints it."""
        return self.text()

    def _repr_html_(self) -> str:
        return labels_html(self)

    def text(
        self,
        *,
        order: str = "doubt",
        everything: bool = False,
        sets: bool = False,
        rest: str = "`.table` has them",
    ) -> str:
        """A line of summary and a table, as the command line prints them.

        Parameters
        ----------
        order : {"doubt", "given"}
            The most doubtful first, or as the images were given.
        everything : bool
            Whether all images are in the table, however many.
        sets : bool
            Whether the sets of classes are.
        rest : str
            Where those are that are not in the table.
        """
        return labels_text(
            self, self.ordered(order), width=terminal_width(), everything=everything, sets=sets,
            rest=rest,
        )  # fmt: skip

    def ordered(self, order: str = "doubt") -> list[Label]:
        """The labels, the most doubtful first or as the images were given."""
        expect_choice("order", order, ORDERS)
        return self.doubtful if order == "doubt" else self.rows

    @property
    def table(self) -> pd.DataFrame:
        """A row per image, see :class:`~fewshot.tasks.classification.labelling.labels.Label`."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows], columns=list(COLUMNS))

    def as_json(self, order: str = "doubt") -> list[dict[str, Any]]:
        """A list of objects in types of JSON, one per image that could be read.

        Parameters
        ----------
        order : {"doubt", "given"}
        """
        return [asdict(row) | {"classes": list(row.classes)} for row in self.ordered(order)]

    def to_csv(self, path: str | Path, order: str = "doubt") -> None:
        """Write the labels as CSV: the columns of `table`, sets of classes as JSON.

        Parameters
        ----------
        path : path
            A file; folders above it are made.
        order : {"doubt", "given"}

        Raises
        ------
        FewshotError
            The file cannot be written, or what is there is no text.
        """
        from fewshot.report.labels.csv import write_labels

        rows = self.ordered(order)
        write_labels("path", file_to_write("path", path, example="labels.csv"), rows)

    def page(self, path: str | Path, argument: str = "path") -> None:
        """Write the labels as an HTML page with thumbnails, which makes no request.

        Parameters
        ----------
        path : path
            A file; folders above it are made.
        argument : str
            For errors.

        Raises
        ------
        FewshotError
            The file cannot be written, or what is there is no text.
        """
        from datetime import datetime

        from fewshot.report.labels.page import labels_page
        from fewshot.report.static.page import write_page

        target = file_to_write(argument, path, example="labels.html")
        created = datetime.now().strftime("%Y-%m-%d %H:%M")
        text = labels_page(self, self.images, created=created)
        write_page(text, target, argument)

"""Forecasts of a task of a few labelled images, as `fewshot.predict` returns them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.files import load_files
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.evaluation.build import warn_left_out
from fewshot.evaluation.networks import Network
from fewshot.evaluation.predict_inputs import QUERY, UnlabelledRows
from fewshot.exceptions import FewshotError, expect_choice
from fewshot.features.bank import FeatureBank
from fewshot.files import file_to_write
from fewshot.heads.base import Head
from fewshot.report.aligned import terminal_width
from fewshot.report.forecast.answer import Answer, answer
from fewshot.report.forecast.curves import marks_for
from fewshot.report.forecast.text import decision_text
from fewshot.report.text.rows import html_text
from fewshot.results.encoding import without_nan
from fewshot.statistics.transferability import TRANSFER_SCORES
from fewshot.tasks.classification.backbone_scores import BackboneScores, backbone_scores
from fewshot.tasks.classification.forecast.decision import Decision
from fewshot.tasks.classification.forecast.forecast import Forecast, support_of_bank
from fewshot.tasks.classification.forecast.learning_curve import Target, check_share
from fewshot.tasks.classification.forecast.next_labels import (
    NEXT,
    NextLabel,
    NextLabels,
    next_labels,
)
from fewshot.tasks.classification.forecast.suspects import (
    Examined,
    LabelDoubt,
    Suspect,
    examined,
)
from fewshot.tasks.classification.labelling.fitted import fit_classifier
from fewshot.tasks.classification.labelling.labels import labels_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


SHOWN_DOUBTS = 20  # in JSON
LABEL_COLUMNS = ("file", "label", "probability", "runner_up")
PLOTS = ("curve", "confusion")
WORTH_A_LOOK = 0.5  # chance below which the label in the greatest doubt is named


@dataclass(frozen=True, eq=False)
class Sources:
    """What forecasts were made from, for what is asked of them later.

    Attributes
    ----------
    name : str
        Of the data set.
    heads : dict of str to Head
        Unfitted.
    supports : dict of str to FeatureBank
        The labelled images, by backbone.
    unlabelled : dict of str to UnlabelledRows or None
        By backbone.
    networks : dict of str to Network
        By backbone; empty if there are features alone.
    images : ImageDataset or None
        The labelled images.
    others : dict of str to ImageDataset
        "unlabelled", "query".
    """

    name: str = ""
    heads: dict[str, Head] = field(default_factory=dict)
    supports: dict[str, FeatureBank] = field(default_factory=dict)
    unlabelled: dict[str, UnlabelledRows | None] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    images: ImageDataset | None = None
    others: dict[str, ImageDataset] = field(default_factory=dict)

    def unlabelled_of(self, backbone: str) -> Tensor | None:
        """Features (U, D) of the unlabelled images under a backbone; None without any."""
        rows = self.unlabelled.get(backbone)
        return None if rows is None else torch.from_numpy(rows.features).float()


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Forecasts of every head on every backbone, the one to take first.

    Attributes
    ----------
    rows : list of Forecast
    sizes : dict of str to int
        Images per class.
    skipped : list of dict
        ``path`` and ``reason`` of images that could not be read.
    level : float
        Nominal coverage of the intervals.
    notes : tuple of str
        What was left out of the unlabelled images.
    sources : Sources
    aim : float or None
        Error whose number of images is asked for.
    next_count : int
        Length of the list of images to label next, at most.
    """

    rows: list[Forecast]
    sizes: dict[str, int]
    skipped: list[dict[str, Any]]
    level: float
    notes: tuple[str, ...] = ()
    sources: Sources = field(repr=False, default_factory=Sources)
    aim: float | None = None
    next_count: int = NEXT

    @property
    def best(self) -> Forecast:
        """The forecast to take: the lowest predicted error, unless a usual head is near it."""
        return self.rows[0]

    @property
    def supports(self) -> dict[str, FeatureBank]:
        """Features of the labelled images, by backbone."""
        return self.sources.supports

    @property
    def answer(self) -> Answer:
        """What to expect and what to do next, in sentences; prints as text."""
        return answer(self.decision)

    @property
    def table(self) -> pd.DataFrame:
        """A row per backbone and head: ``error`` with its interval ``lower``, ``upper``.

        The columns ``logme``, ``h_score``, ``transrate`` and ``gbc`` are the scores of the
        backbone (`fewshot.statistics.TRANSFER_SCORES`), NaN where undefined. With unlabelled
        images, ``error``, ``lower`` and ``upper`` rest on these as well; then there are
        ``error_support``, ``lower_support`` and ``upper_support`` from the support alone,
        ``unlabelled``, the number of images, ``outside``, the share that looks like none of the
        classes, and ``strangers``, whether that is more than usual.
        """
        import pandas as pd

        scores = {entry.backbone: entry.scores for entry in self.scores}
        rows = [row.row() | scores[row.backbone] for row in self.rows]
        for row in rows:
            del row["outlook"]
            row.pop("unlabelled_curve", None)
            row["warnings"] = "; ".join(row["warnings"])
        return pd.DataFrame(rows).astype(dict.fromkeys(TRANSFER_SCORES, "float64"))

    @cached_property
    def scores(self) -> list[BackboneScores]:
        """Transferability scores of every backbone, whatever the head, with reasons."""
        return [backbone_scores(bank) for bank in self.supports.values()]

    @property
    def curve(self) -> pd.DataFrame:
        """Errors after further images.

        Columns ``backbone``, ``head``, ``more`` images per class, ``error``, ``lower``, ``upper``.
        """
        import pandas as pd

        points = [
            {"backbone": row.backbone, "head": row.head, **asdict(point)}
            for row in self.rows
            for point in row.outlook
        ]
        names = ["backbone", "head", "more", "error", "lower", "upper"]
        return pd.DataFrame(points, columns=names)

    @property
    def unlabelled_curve(self) -> pd.DataFrame:
        """Predictions from fewer of the unlabelled images: how many are worth taking.

        Columns ``backbone``, ``head``, ``images``, ``per_class``, ``error``, ``lower``, ``upper``,
        ``width``; the first row of each, with no images, is from the support alone.
        """
        import pandas as pd

        points = [
            {"backbone": row.backbone, "head": row.head, **asdict(point), "width": point.width}
            for row in self.rows
            for point in (row.seen.unlabelled_curve if row.seen else ())
        ]
        names = ["backbone", "head", "images", "per_class", "error", "lower", "upper", "width"]
        return pd.DataFrame(points, columns=names)

    def label(self, images: str | Path | Sequence[str | Path] | None = None) -> pd.DataFrame:
        """Labels of further images by the best head on the best backbone.

        Parameters
        ----------
        images : path, or several, optional
            Images, or folders of images; those of `query` by default.

        Returns
        -------
        DataFrame
            ``file``, ``label``, ``probability`` that the label is right, and ``runner_up``. More is
            said of every image by the classifier of `fewshot.fit`.

        Raises
        ------
        FewshotError
            No images there, or the forecast was made on features, which have no network.
        """
        import pandas as pd

        if images is None:
            return pd.DataFrame(self.labels())
        paths = [images] if isinstance(images, str | Path) else list(images)
        dataset = load_files([str(path) for path in paths], "images")
        warn_left_out(dataset)
        return pd.DataFrame(self.labels(dataset))

    def labels(self, dataset: ImageDataset | None = None) -> list[dict[str, Any]]:
        """As `label`, of listed images."""
        name, dataset = self.best.backbone, dataset or self.sources.others.get(QUERY)
        if dataset is None:
            raise FewshotError("images", "expected images or folders of images, got none")
        if name not in self.sources.networks:
            raise FewshotError(
                "images", "expected a forecast made on images, this one has features"
            )
        queries = self.sources.networks[name](dataset)
        if dataset is not self.sources.others.get(QUERY):
            self.skipped.extend(queries.info["skipped"])
        bank, head = self.supports[name], self.sources.heads[self.best.head]
        names = [bank.classnames[c] for c in bank.classes()]
        unlabelled = self.sources.unlabelled_of(name)
        fitted = fit_classifier(support_of_bank(bank), head, names, self.best.error, unlabelled)
        features = queries.take(torch.arange(len(queries))).float()
        rows = labels_of(fitted, features, queries.paths or ())
        return [{column: getattr(row, column) for column in LABEL_COLUMNS} for row in rows]

    @property
    def decision(self) -> Decision:
        """What is known of the task, as objects."""
        names = dict.fromkeys(str(image["path"]) for image in self.skipped)
        return Decision(
            self.rows,
            self.sizes,
            self.level,
            None if self.aim is None else self.target(self.aim),
            self.aim,
            self._examined.suspects,
            self._next_labels,
            tuple(names),
            (*self.notes, *self._next_notes),
            self._doubt,
        )

    def target(self, error: float) -> Target | None:
        """How many images per class an error takes with the best forecast's head and backbone.

        Parameters
        ----------
        error : float in (0, 1)

        Returns
        -------
        Target or None
            None where the learning curve is not known.
        """
        check_share("target", error)
        curve = self.best.learning_curve
        return None if curve is None else curve.reach(error)

    @property
    def confusion(self) -> pd.DataFrame:
        """Which classes are taken for which, by the best forecast: the largest share first.

        Columns ``class``, ``taken_for``, ``share`` of the new images of the class.
        """
        import pandas as pd

        confusion = self.best.confusion
        names, shares = ((), ()) if confusion is None else (confusion.classes, confusion.shares)
        rows = [
            (name, other, float(shares[c][j]))
            for c, name in enumerate(names)
            for j, other in enumerate(names)
            if c != j and shares[c][j] > 0
        ]
        table = pd.DataFrame(rows, columns=["class", "taken_for", "share"])
        return table.sort_values("share", ascending=False, kind="stable", ignore_index=True)

    @property
    def confusion_matrix(self) -> pd.DataFrame:
        """Of new images of every class (rows) the share that gets each label (columns)."""
        import pandas as pd

        confusion = self.best.confusion
        if confusion is None:
            return pd.DataFrame()
        names = list(confusion.classes)
        return pd.DataFrame(confusion.shares, index=names, columns=names)

    @property
    def suspects(self) -> pd.DataFrame:
        """Labelled images to look at, those that are most surely wrong first.

        Columns ``file``, ``label``, ``kind``, ``reason``, ``chance``, ``other``, see
        :class:`~fewshot.tasks.classification.forecast.suspects.Suspect`.
        """
        return _frame(Suspect, self._examined.suspects)

    @property
    def doubts(self) -> pd.DataFrame:
        """All labelled images by the doubt about their labels, suspects or not.

        Columns ``file``, ``label``, ``other``, ``margin``, ``chance``, see
        :class:`~fewshot.tasks.classification.forecast.suspects.LabelDoubt`.
        """
        return _frame(LabelDoubt, self._examined.doubts)

    @property
    def next_labels(self) -> pd.DataFrame:
        """Unlabelled images to label next, the first first; empty without unlabelled images.

        Columns ``file``, ``row``, ``likely``, ``probability``, ``error``, ``gain``, see
        :class:`~fewshot.tasks.classification.forecast.next_labels.NextLabel`.
        """
        return _frame(NextLabel, self._next_labels)

    @cached_property
    def _examined(self) -> Examined:
        bank = self.supports.get(self.best.backbone)
        if bank is None:
            return Examined([], [])
        return examined(bank, self.sources.images, bank.info.get("skipped", ()))

    @property
    def _doubt(self) -> LabelDoubt | None:
        """The label in the greatest doubt, if none is suspected and chance explains it badly."""
        suspects, doubts = self._examined
        if not doubts or any(entry.kind == "mislabelled" for entry in suspects):
            return None
        first = doubts[0]
        return first if first.margin < 0 and first.chance < WORTH_A_LOOK else None

    @cached_property
    def _next_labels(self) -> NextLabels:
        best = self.best
        rows = self.sources.unlabelled.get(best.backbone)
        if rows is None or best.seen is None or not best.seen.unlabelled:
            return NextLabels()
        bank = self.supports[best.backbone]
        support = support_of_bank(bank)
        features = torch.from_numpy(rows.features)[None].to(support.features.dtype)
        return next_labels(
            support,
            self.sources.heads[best.head],
            Unlabelled.of(features),
            [bank.classnames[c] for c in bank.classes()],
            rows.files,
            error=best.error,
            count=self.next_count,
        )

    @property
    def _next_notes(self) -> list[str]:
        """Why no image is listed that should be labelled next, where there are unlabelled ones."""
        reason = self._next_labels.reason
        return [f"no image to label next is listed: {reason}"] if reason else []

    def page(self, path: str | Path, fail_above: float | None = None) -> None:
        """Write it all as an HTML page that makes no request.

        Parameters
        ----------
        path : path
            A file; folders above it are made.
        fail_above : float in (0, 1), optional
            Error to mark in the page.

        Raises
        ------
        FewshotError
            The file cannot be written, what is there is no text, or `fail_above` is no share.
        """
        from fewshot.report.forecast.page import forecast_page
        from fewshot.report.static.page import write_page

        target = file_to_write("path", path, example="forecast.html")
        if fail_above is not None:
            check_share("fail_above", fail_above)
        text = forecast_page(
            self.decision,
            name=self.sources.name,
            supports=self.supports,
            fail_above=fail_above,
            labels=self.labels() if QUERY in self.sources.others else (),
            labelled=self.sources.images,
            others=list(self.sources.others.values()),
            created=datetime.now().strftime("%Y-%m-%d %H:%M"),
        )
        write_page(text, target, "path")

    def plot(self, kind: str = "curve") -> Figure:
        """A figure of matplotlib of the combination to take; notebooks show it.

        Parameters
        ----------
        kind : {"curve", "confusion"}
            Predicted error by further images per class, with its interval and the target if there
            is one; or which classes are taken for which.

        Raises
        ------
        FewshotError
            matplotlib is not installed, no such kind, or the confusions are not known.
        """
        from fewshot.report.charts.forecast import confusion_chart, curve_chart
        from fewshot.report.write import check_figures

        expect_choice("plot", kind, PLOTS)
        check_figures("plot", ["svg"])
        from fewshot.report.figures.lines import drawn
        from fewshot.report.figures.matrix import shaded

        curve = kind == PLOTS[0]
        figure = (
            drawn(curve_chart(self.best, self.level, self.aim))
            if curve
            else shaded(confusion_chart(self.best))
        )
        if figure is None:
            raise FewshotError("plot", f"confusions of {self.best.head} are not known")
        return figure

    def as_json(self, labels: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        """All of it in types of JSON; null where nothing is known.

        Parameters
        ----------
        labels : sequence of dict
            Rows of `labels`.
        """
        best, decision = self.best, self.decision
        numbers = {"error": best.error, "lower": best.lower, "upper": best.upper}
        combination = {"backbone": best.backbone, "head": best.head}
        content = {
            "answer": self.answer.as_json(),
            "taken": combination | numbers | {"level": self.level},
            "target": None if decision.target is None else asdict(decision.target),
            "images": self.sizes,
            "skipped": self.skipped,
            **({"notes": list(decision.notes)} if best.seen else {}),
            "best": combination,
            "forecasts": [row.row() for row in self.rows],
            "curve": [asdict(point) for point in best.outlook],
            "confusion": _confusion_as_json(best),
            "suspects": [asdict(suspect) for suspect in decision.suspects],
            "doubts": [asdict(doubt) for doubt in self._examined.doubts[:SHOWN_DOUBTS]],
            "next_labels": [asdict(image) for image in decision.next_labels],
            "scores": [entry.row() for entry in self.scores],
            "labels": list(labels),
        }
        plain: dict[str, Any] = without_nan(content)
        return plain

    def text(self, labels: Sequence[dict[str, Any]] = ()) -> str:
        """What the terminal prints, as wide as it is."""
        marks = marks_for(getattr(sys.stdout, "encoding", None))
        return decision_text(self.decision, labels, width=terminal_width(), marks=marks)

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        words = self.answer
        steps = "".join(f"<li>{escape(line)}</li>" for line in words.lines)
        shown = self.table[["backbone", "head", "error", "lower", "upper"]]
        return f"<p><strong>{escape(words.headline)}</strong></p><ul>{steps}</ul>{html_text(shown)}"


def _frame(kind: type, entries: Sequence[Any]) -> pd.DataFrame:
    """A data frame with a column per field of a dataclass."""
    import pandas as pd

    return pd.DataFrame([asdict(entry) for entry in entries],
                        columns=[entry.name for entry in fields(kind)])  # fmt: skip


def _confusion_as_json(best: Forecast) -> dict[str, Any] | None:
    if best.confusion is None:
        return None
    return {
        "classes": list(best.confusion.classes),
        "shares": best.confusion.shares.tolist(),
        "pairs": [pair._asdict() for pair in best.confusion.pairs()],
    }

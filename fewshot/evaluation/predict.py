"""Forecasts of the error of heads fitted on a few labelled images, under several backbones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.base import ImageDataset
from fewshot.datasets.files import load_files
from fewshot.estimators.auto import Auto
from fewshot.evaluation.build import warn_left_out
from fewshot.evaluation.named import named_heads
from fewshot.evaluation.networks import Extract, Usable, extractor
from fewshot.evaluation.notices import AsWarnings, Notices
from fewshot.evaluation.predict_inputs import (
    is_features,
    labelled_bank,
    labelled_folder,
    unlabelled_features,
    unlabelled_images,
)
from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.progress import counted_work
from fewshot.report.forecast.text import outlook_text
from fewshot.statistics.transferability import TRANSFER_SCORES
from fewshot.tasks.calibration.choosing import space_of
from fewshot.tasks.classification.backbone_scores import BackboneScores, backbone_scores
from fewshot.tasks.classification.forecast.choice import in_order
from fewshot.tasks.classification.forecast.forecast import Forecast, classify, forecast

if TYPE_CHECKING:
    import pandas as pd

BACKBONES, HEADS = ("efficientnet_lite0",), ("ncm", "lda")


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
    """

    rows: list[Forecast]
    sizes: dict[str, int]
    skipped: list[dict[str, Any]]
    level: float
    notes: tuple[str, ...] = ()
    _supports: dict[str, FeatureBank] = field(repr=False, default_factory=dict)
    _extracts: dict[str, Extract] = field(repr=False, default_factory=dict)
    _heads: dict[str, Head] = field(repr=False, default_factory=dict)
    _query: ImageDataset | None = field(repr=False, default=None)

    @property
    def best(self) -> Forecast:
        """The forecast to take: the lowest predicted error, unless a usual head is near it."""
        return self.rows[0]

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
        return [backbone_scores(bank) for bank in self._supports.values()]

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
            ``file``, ``label``, ``runner_up``, and ``lead``: the difference of their scores, in the
            head's own units.

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
        name, dataset = self.best.backbone, dataset or self._query
        if dataset is None:
            raise FewshotError("images", "expected images or folders of images, got none")
        if name not in self._extracts:
            raise FewshotError(
                "images", "expected a forecast made on images, this one has features"
            )
        queries = self._extracts[name](dataset)
        if dataset is not self._query:
            self.skipped.extend(queries.info["skipped"])
        return classify(self._supports[name], queries, self._heads[self.best.head])

    def __repr__(self) -> str:
        names = list(dict.fromkeys(str(image["path"]) for image in self.skipped))
        return outlook_text(self.rows, self.sizes, self.level, [], names, self.notes)


def predict(
    images: Any,
    *,
    backbone: str | Iterable[str] = BACKBONES,
    head: str | Head | Iterable[str | Head] = HEADS,
    base: Any = None,
    unlabelled: Any = None,
    query: Any = None,
    calibrator: str | None = None,
    level: float = 0.9,
    on_error: str = "raise",
    device: str = "auto",
    weights: str | Path | None = None,
    size: int | None = None,
    notices: Notices | None = None,
) -> Forecasts:
    """Predict the error of classifiers fitted on a few labelled images; no validation set needed.

    Parameters
    ----------
    images : str, Path or FeatureBank
        A folder with a sub-folder of images per class; or features: a bank, or a file with
        labels, which get unit length as those of images do.
    backbone : str, or several
        As for `fewshot.extract`. Of several, those that cannot be used, as without weights, are
        left out with a warning.
    head : str, Head, or several
    base : str, Path or FeatureBank, optional
        Other classes with labels, of the same kind of images: a sharper prediction.
    unlabelled : path, or several, optional
        Images without labels, or folders of them at any depth, most of them of the classes: a much
        sharper prediction, beside the one from the support alone. Shots among them and copies are
        left out. With features as the support: a file or bank of features, or an array (U, D).
    query : path, or several, optional
        Images to label (``.label()``), or folders of them. They count as unlabelled images too.
    calibrator : str, optional
        JSON of ``fewshot calibrate``.
    level : float
        Nominal coverage of the intervals.
    on_error : {"raise", "skip"}
        What to do about images that cannot be read.
    device : str
    weights : str or Path, optional
        Where weights are looked for first.
    size : int, optional
        Input of the network in pixels.
    notices : Notices, optional
        What warns; Python's warnings by default.

    Returns
    -------
    Forecasts
        Prints as sentences; ``.table``, ``.best``, ``.curve``, ``.unlabelled_curve``, ``.scores``,
        and ``.label(images)``.

    Raises
    ------
    FewshotError
        No such folder, fewer than two classes, an unknown head, no backbone that can be used;
        unlabelled images that are all shots.
    """
    names = [backbone] if isinstance(backbone, str) else list(backbone)
    expect(bool(names), "backbone", "expected at least one, got none")
    heads = dict(named_heads(head))
    expect(bool(heads), "head", "expected at least one, got none")
    estimator = Auto(calibrator=calibrator, level=level)
    notices = notices or AsWarnings()
    labelled = {"support": images} | ({} if base is None else {"base": base})
    extracts: dict[str, Extract] = {}
    listed: ImageDataset | None = None
    further: dict[str, NDArray | None] = {}  # features of unlabelled images
    if is_features(images):
        expect(query is None, "query", "expected a folder of images to go with it, got features")
        banks = {"": {kind: labelled_bank(data, kind) for kind, data in labelled.items()}}
        further[""], notes = unlabelled_features(unlabelled, banks[""]["support"])
    else:
        datasets = {kind: labelled_folder(data, kind, on_error) for kind, data in labelled.items()}
        others = unlabelled_images(unlabelled, query, datasets["support"], notices)
        listed, notes = others.query, others.notes
        usable = Usable(names, notices)
        networks = usable.of(
            usable.names, lambda name: extractor(name, device, weights, size, on_error)
        )
        banks = usable.of(
            networks,
            lambda name: {
                kind: networks[name](dataset)
                for kind, dataset in (datasets | others.datasets).items()
            },
        )
        further = {name: others.features_of(parts) for name, parts in banks.items()}
        extracts = {_name(parts["support"]): networks[name] for name, parts in banks.items()}
    rows: list[Forecast] = []
    for name, parts in counted_work([*banks.items()], "predictions", "backbones"):
        support = parts["support"]
        estimator.general().check_space(space_of(support))
        rows += forecast(
            support, heads, base=parts.get("base"), unlabelled=further[name], estimator=estimator
        )
    supports = {_name(parts["support"]): parts["support"] for parts in banks.values()}
    return Forecasts(
        in_order(rows),
        _sizes(next(iter(supports.values()))),
        [image for parts in banks.values() for bank in parts.values()
         for image in bank.info["skipped"]],
        level,
        notes,
        supports,
        extracts,
        heads,
        listed,
    )  # fmt: skip


def _name(bank: FeatureBank) -> str:
    return str(bank.info.get("backbone", "unknown"))


def _sizes(bank: FeatureBank) -> dict[str, int]:
    size = np.bincount(bank.labels, minlength=len(bank.classnames))
    return {name: int(size[c]) for c, name in enumerate(bank.classnames) if size[c]}

"""Tables, sentences, figures and page of segmentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fewshot.report.charts.details import Details
from fewshot.report.charts.segmentation import class_chart, details_of, scatter_of
from fewshot.report.comparison.ahead import ends
from fewshot.report.intervals import half_text, intervals_of, main_interval
from fewshot.report.payload.entries import MeasureEntry, measure_entry
from fewshot.report.tasks.base import Number, Parts, TaskReport
from fewshot.report.text.listed import listed
from fewshot.report.text.measured import Column, measured_columns, named_columns
from fewshot.report.text.segmentation import (
    PREDICTED,
    estimators_of,
    main_row,
    of_main,
    optimism_lines,
    prediction_text,
    reservation_lines,
    shared,
    typed,
)
from fewshot.report.wording import Cell
from fewshot.tasks.base import NEITHER, head_label
from fewshot.units import counted, is_number, percent

if TYPE_CHECKING:
    import pandas as pd

    from fewshot.report.comparison.paired import EvaluatedCell
    from fewshot.report.figures.plots import Plot

IMAGES = "images ±"
MISSING = "-"
TIMES = ("s ", "ms ")  # how units of time begin


class SegmentationReport(TaskReport):
    """mIoU by head and shots, what it was predicted to be, IoU of classes, and pictures."""

    order = 3
    titles: ClassVar[Mapping[str, str]] = {
        "miou": "mIoU",
        "pixel_accuracy": "pixels",
        "dice": "Dice",
        "fb_iou": "FB-IoU",
        "boundary_iou": "boundary",
        "miou_by_class": "summed",
        PREDICTED: "predicted",
        "mae": "MAE",
    }
    long_titles: ClassVar[Mapping[str, str]] = {
        "pixel_accuracy": "Pixel accuracy",
        "boundary_iou": "Boundary IoU",
        "miou_by_class": "mIoU of summed pixels",
        PREDICTED: "Predicted mIoU",
        "coverage": "Coverage",
    }
    meanings: ClassVar[Mapping[str, str]] = {
        "miou": "mean over the classes in the truth of the queries of intersection over union, at "
        "native resolution",
        "pixel_accuracy": "share of pixels of the right class, in percent as all of these",
        "dice": "mean over classes of 2 IoU / (1 + IoU)",
        "fb_iou": "mean IoU of foreground and background",
        "boundary_iou": "mean IoU of the bands along the boundaries of classes",
        "miou_by_class": "mIoU of episodes whose pixels are summed by class first, as papers on "
        "episodes report it",
        "images": "distinct annotated images of a draw, on average",
        PREDICTED: "mIoU predicted from the annotated images alone, on average",
        "mae": "mean of |predicted - actual| mIoU over draws, in points",
        "coverage": "share of draws whose mIoU lay in its predicted interval",
    }
    question = "the class of every pixel of new images, learned from a few annotated ones"
    columns: ClassVar[Mapping[str, Sequence[str]]] = {
        "segmentation_predictions": (
            "episode", "estimator", PREDICTED, "lower", "upper", "actual_miou",
        ),
        "segmentation_class_predictions": (
            "episode", "estimator", "class", "predicted_iou", "actual_iou",
        ),
        "segmentation_examples": ("episode", "rank", "file", "miou", "picture"),
    }  # fmt: skip
    population = "the 95 % interval of the mean over draws: other annotated images of this data set"
    caution = (
        "± over draws: other annotated images of this data set, the same queries. Over images: "
        "other queries. Both at 95 %."
    )
    episode = "draw"
    queries = "queries"
    cost_caption = "Times of a cell: its heads fitted on the annotated images, all queries judged."
    numbers = (
        Number("support_images", "Annotated", "images", 1, "lower"),
        Number("tokens", "Tokens", "an image", 0, "lower"),
        Number("input_pixels", "Input", "Mpx", 2, "lower", 1e6),
        Number("gflops", "Compute", "GFLOPs", 1, "lower"),
        Number("fit", "Fit", "s a draw", 2, "lower"),
        Number("features_per_image", "Features", "s an image", 2, "lower"),
        Number("heads_per_image", "Head", "ms an image", 1, "lower", 1e-3),
    )
    key_titles: ClassVar[Mapping[str, str]] = {"sampler": "Sampler", "resolution": "Resolution"}
    parts = Parts("Estimator")
    averaged = "mIoU"
    glossary = (
        (
            "mIoU, Dice, FB-IoU",
            "Intersection over union of a class: pixels that truth and prediction share, divided "
            "by those that either has; mIoU: its mean over the classes in the truth. Dice: mean of "
            "2 IoU / (1 + IoU). FB-IoU: mean IoU of foreground and background.",
        ),
        (
            "Draw",
            "A choice of annotated images. The queries are the same in all draws unless they are "
            "drawn too, as in episodes.",
        ),
        (
            "loo_image, loo_group, resubstitution",
            "What is predicted from the annotated images alone. loo_image: each is segmented by a "
            "head fitted on the others; loo_group: each group of them. Resubstitution: by the head "
            "that was fitted on them, which is too good and stands there as a warning.",
        ),
    )

    # -- Text.

    def about(self, cells: Sequence[Cell]) -> str:
        """``5 draws per row, 233 queries, per_class, 11 classes, 1,369 tokens, seed 0``."""
        draws = " or ".join(map(str, sorted({int(cell["episodes"]) for cell in cells})))
        parts = [
            f"{draws} draw{'s' * (draws != '1')} per row",
            *shared(cells, "queries", "queries"),
        ]
        for key in self.task.keys:
            parts += shared(cells, key)
        parts += shared(cells, "ways", "classes")
        for number in self._costs():
            values = {number.text(self.number(cell, number), "") for cell in cells}
            if len(values) == 1 and values != {""}:
                parts.append(_said(number, values.pop()))
        seeds = sorted({int(cell["seed"]) for cell in cells})
        return ", ".join([*parts, f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"])

    def table_columns(self, cells: Sequence[Cell]) -> list[Column]:
        """Means of all measures, the interval of mIoU alone: the table is to fit a terminal."""
        ways = len({cell["ways"] for cell in cells}) > 1
        named = [column for column in named_columns(self, cells) if ways or column[0] != "ways"]
        main, *others = measured_columns(self, cells)
        # Of background and one class FB-IoU is mIoU.
        same = all(self._mean("fb_iou")(cell) == self._mean("miou")(cell) for cell in cells)
        means = {f"{self.title(m.name)} %": m.name for m in self.task.measures}
        columns = [*named, main]
        if any(self._over_images(cell) != MISSING for cell in cells):
            columns.append((IMAGES, self._over_images))
        columns += [
            (self.title(means[title]), self._mean(means[title]))
            for title, _ in others
            if title in means and not (same and means[title] == "fb_iou")
        ]
        columns.append((self.title("images"), lambda cell: f"{typed(cell)['support_images']:.4g}"))
        if any(main_row(cell) for cell in cells):
            columns += [
                (self.title(PREDICTED), _of_main(PREDICTED)),
                (self.title("mae"), _of_main("mae")),
                ("coverage", _of_main("coverage")),
            ]
        differing = [
            number
            for number in self._costs()
            if len({number.text(self.number(cell, number)) for cell in cells}) > 1
        ]
        return [*columns, *((_title(number), self._text_of(number)) for number in differing)]

    def legend(self, cells: Sequence[Cell]) -> dict[str, str]:
        """What the columns mean that the table has."""
        titles = {title.removesuffix(" %") for title, _ in self.table_columns(cells)}
        meanings = {self.title(name): text for name, text in self.meanings.items()}
        meanings = {title: text for title, text in meanings.items() if title in titles}
        meanings["±"] = self.population
        if IMAGES in titles:
            meanings[IMAGES] = "the same interval of mIoU for other queries as well"
        return meanings

    def lines(self, evaluated: Sequence[EvaluatedCell]) -> list[str]:
        """The best heads, how well they were predicted, and what is not to be believed."""
        cells = [cell for cell, _ in evaluated]
        return [*super().lines(evaluated), *optimism_lines(cells), *reservation_lines(cells)]

    def brief(self, evaluated: Sequence[EvaluatedCell]) -> list[str]:
        """The best heads with the fewest and the most annotated images, and reservations."""
        best = ends(super().lines(evaluated))
        return [*best, *reservation_lines([cell for cell, _ in evaluated])]

    def about_best(self, cells: Sequence[Cell]) -> str:
        """``predicted from the support alone 46.1 % on average, off by 1.8 points; ...``."""
        return prediction_text(cells)

    # -- Figures.

    @property
    def plots(self) -> Mapping[str, str]:
        """Measures by shots, predictions of them, and IoU per class of the best head."""
        return {
            **super().plots,
            "predicted": "segmentation_predicted_vs_actual",
            "classes": "iou_by_class",
        }

    def figures(self, cells: Sequence[Cell], rows: Mapping[str, pd.DataFrame]) -> list[Plot]:
        """Figures of each data set and backbone."""
        from fewshot.report.figures.parts import parts_figure
        from fewshot.report.figures.plots import Plot, groups_with_suffixes
        from fewshot.report.figures.scatter import scattered

        plots = super().figures(cells, rows)
        for group, members, suffix in groups_with_suffixes(cells):
            best = max(members, key=lambda cell: self.main_value(cell) or 0.0)
            title = f"{group.text}, {self._where(best)}"
            figures = {
                "segmentation_predicted_vs_actual": scattered(
                    scatter_of(rows["segmentation_predictions"], members, self.task, group.text)
                ),
                "iou_by_class": parts_figure(class_chart(typed(best)), title),
            }
            plots += [Plot(f"{k}{suffix}", k, f) for k, f in figures.items() if f is not None]
        return plots

    # -- The page.

    def details(
        self, cells: Sequence[Cell], rows: Mapping[str, pd.DataFrame]
    ) -> Sequence[Details | None]:
        """IoU per class, predictions, and the worst, median and best queries of the first draw."""
        return details_of(self.task, [typed(cell) for cell in cells], rows)

    def measures(self, cell: Cell) -> list[MeasureEntry]:
        """Measures of the cell, then those of its estimators, the main one first."""
        whole = [
            entry
            for measure in self.task.measures
            if measure.of is None
            for entry in self._entries_of(cell, measure)
        ]
        better = {measure.name: measure.better for measure in self.task.measures}
        of_estimators = [
            measure_entry(name, better.get(name, NEITHER), {"episodes": {"mean": value}}, at=at)
            for name in (PREDICTED, "mae", "coverage")
            for at, row in estimators_of(cell).items()
            if is_number(value := cast("float | None", row.get(name)))
        ]
        return [*whole, *of_estimators]

    def number(self, cell: Cell, number: Number) -> float | None:
        """Also the seconds that parts of the work took."""
        seconds = typed(cell).get("seconds") or {}
        return super().number(cast("Cell", {**seconds, **cell}), number)

    def facts(self, cell: Cell) -> Iterable[tuple[str, str]]:
        """How images were drawn, the input, times, and notes."""
        for key in self.task.keys:
            yield self.key_title(key).lower(), str(cell.get(key, "-"))
        yield "classes", listed(typed(cell)["classnames"])
        for number in self._costs():
            text = number.text(self.number(cell, number), "")
            if text:
                yield number.title.lower(), f"{text} {number.unit}"
        costs = {number.key for number in self.numbers}
        for part, seconds in (typed(cell).get("seconds") or {}).items():
            if part not in costs:
                yield part.replace("_", " "), f"{seconds:.3g} s"
        for note in typed(cell).get("notes") or ():
            yield "note", note
        yield from ((name, str(fact)) for name, fact in (typed(cell).get("facts") or {}).items())

    def page(self) -> dict[str, Any]:
        """Also the predicted mIoU, which is no measure of how good a cell is."""
        page = super().page()
        words = {"title": self.long_title(PREDICTED), "short": self.title(PREDICTED)}
        page["measures"][PREDICTED] = {**words, "better": NEITHER, "fraction": True}
        return page

    # -- Columns.

    def _costs(self) -> list[Number]:
        return [number for number in self.numbers if number.key != "support_images"]

    def _where(self, cell: Cell) -> str:
        return f"{head_label(cell)}, {counted(int(cell['shots']), 'shot')}"

    def _mean(self, measure: str) -> Callable[[Cell], str]:
        return lambda cell: percent(
            (main_interval(intervals_of(self.task, cell, measure)) or {}).get("mean")
        )

    def _over_images(self, cell: Cell) -> str:
        return half_text(intervals_of(self.task, cell, "miou").get("images"), MISSING)

    def _text_of(self, number: Number) -> Callable[[Cell], str]:
        return lambda cell: number.text(self.number(cell, number))


def _of_main(name: str) -> Callable[[Cell], str]:
    """A share of the main estimator, in percent."""
    return lambda cell: percent(of_main(cell, name))


def _title(number: Number) -> str:
    """Of a column: ``Mpx``, ``tokens``, ``fit s``, ``head ms``."""
    if number.unit.startswith(TIMES):
        return f"{number.title.lower()} {number.unit.split()[0]}"
    return number.title.lower() if number.unit == "an image" else number.unit


def _said(number: Number, text: str) -> str:
    """``1,369 tokens``, ``0.69 Mpx``, ``fit 6.28 s a draw``."""
    if number.unit.startswith(TIMES):
        return f"{number.title.lower()} {text} {number.unit}"
    return f"{text} {_title(number)}"

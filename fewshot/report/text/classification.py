"""Tables of classification: measured and predicted errors. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fewshot.report.aligned import (
    LONGEST_HEAD,
    aligned,
    legend,
    markdown,
    short,
    terminal_width,
    wrapped,
)
from fewshot.report.comparison.order import no_order_notes
from fewshot.report.wording import (
    ORACLE_MARK,
    UNLABELLED_MARK,
    EstimatorColumn,
    any_partly_missing,
    differently_drawn,
    display_name,
    drawn_text,
    estimator_columns,
    fallback_notes,
    group_cells,
    half_width_text,
    head_notes,
    heading_text,
    interval_levels_text,
    level_text,
    missing_notes,
    nearest_estimators,
    number_text,
    oracle_names,
    percent_interval,
    plain,
    protocol_name,
    protocol_text,
    protocols_of,
    unlabelled_names,
)
from fewshot.results.schema import Interval
from fewshot.tasks.base import head_label
from fewshot.tasks.classification.schema import ClassificationSummary
from fewshot.units import is_number, percent

OTHER_CLASSES = "classes ±"
OF_QUERIES = "queries %"
ESTIMATOR_GAP = "   "
# Between estimators that saw unlabelled images and others.
GROUP_GAP = " | "
UNLABELLED = "unlabelled"
SEES_UNLABELLED = "sees the unlabelled images of the episode; others the support alone"
SEES_QUERIES = "sees the labelled queries: an upper bound, not an estimate"


def classification_text(cells: Sequence[ClassificationSummary], *, explained: bool = True) -> str:
    """Measured and predicted errors of every cell, a block per data set and backbone.

    Estimators that do not fit the width continue below. A legend explains the columns if
    `explained`.
    """
    blocks = [_block(rows) for rows in group_cells(cells).values()]
    return "\n\n".join([*blocks, *([_legend(cells)] if explained else [])])


def classification_markdown(cells: Sequence[ClassificationSummary]) -> str:
    """The same numbers as a GitHub-flavoured Markdown table per data set and backbone."""
    blocks = []
    for rows in group_cells(cells).values():
        names = estimator_columns(rows)
        titles = (f"{_title(rows, name)}: {_meaning(rows, name)}" for name in names)
        header = [*_left_header(rows), *titles]
        lines = [header, ["---", *["---:"] * (len(header) - 1)]]
        for cell in rows:
            entries = (_estimator_entry(cell, name, _covered(rows, name)) for name in names)
            texts = (f"{pred} ({'; '.join(rest)})" for pred, *rest in entries)
            lines.append([*_left_entries(cell, rows), *texts])
        table = "\n".join(f"| {' | '.join(map(markdown, line))} |" for line in lines)
        blocks.append(f"**{markdown(heading_text(rows))}**, {protocol_text(rows)}\n\n{table}")
        notes = [f"- {markdown(' '.join(part))}" for part in _notes(rows)]
        if oracle_names(rows):
            notes.append(f"- {ORACLE_MARK} {SEES_QUERIES}")
        if unlabelled_names(rows):
            notes.append(f"- {UNLABELLED_MARK} {SEES_UNLABELLED}")
        blocks += ["\n".join(notes)] if notes else []
    return "\n\n".join(blocks)


def _block(cells: Sequence[ClassificationSummary]) -> str:
    row_labels = aligned([_left_header(cells), *(_left_entries(cell, cells) for cell in cells)])
    lines = [heading_text(cells), *wrapped(protocol_text(cells), "  ")]
    for columns in _fitting(cells, row_labels):
        rows = [" " * len(row_labels[0]), *row_labels]
        for i, column in enumerate(columns):
            other = i > 0 and column.sees != columns[i - 1].sees
            gap = GROUP_GAP if other else ESTIMATOR_GAP
            rows = [a + gap + b for a, b in zip(rows, _column(cells, column), strict=True)]
        rule = "-" * max(len(row.rstrip()) for row in rows)
        # Cells that have none of these estimators, or in which they saw something else, are above.
        shown = [
            row
            for cell, row in zip(cells, rows[2:], strict=True)
            if not cell["estimators"] or any(column.row(cell) for column in columns)
        ]
        lines += ["", *(row.rstrip() for row in rows[:2]), rule, *(row.rstrip() for row in shown)]
    last_heading = ""
    for heading, note in _notes(cells):
        lines += ["", heading] if heading != last_heading else []
        lines += wrapped(f"  {note}", "    ")
        last_heading = heading
    return "\n".join(line for i, line in enumerate(lines) if line or lines[i - 1])


def _notes(cells: Sequence[ClassificationSummary]) -> Iterator[tuple[str, str]]:
    """Notes (heading, text) on heads, missing predictions, fallbacks and rank correlations."""
    for description, heads in head_notes(cells).items():
        yield "About the heads:", f"{', '.join(map(plain, heads))}: {description}"
    for name, where, reason in missing_notes(cells):
        yield "No prediction (-):", f"{name}, {where}: {reason}"
    for name, where, reason in fallback_notes(cells):
        yield "With a reservation:", f"{name}, {where}: {reason}"
    for name, where, reason in no_order_notes(cells):
        yield "Does not tell these episodes apart:", f"{name}, {where}: {reason}"


def _fitting(
    cells: Sequence[ClassificationSummary], row_labels: list[str]
) -> list[list[EstimatorColumn]]:
    """Estimator columns grouped into blocks that fit the width, at least one column each."""
    blocks: list[list[EstimatorColumn]] = [[]]
    used = len(row_labels[0])
    for column in estimator_columns(cells):
        needed = len(ESTIMATOR_GAP) + len(_column(cells, column)[0])
        if blocks[-1] and used + needed > terminal_width():
            blocks.append([])
            used = len(row_labels[0])
        blocks[-1].append(column)
        used += needed
    return blocks


def _column(cells: Sequence[ClassificationSummary], name: EstimatorColumn) -> list[str]:
    """Lines of an estimator's columns below its name, with room for the star."""
    covered = _covered(cells, name)
    header = ["pred", "MAE ", *["cov"] * covered]
    rows = [header]
    for cell in cells:
        predicted, mae, *rest = _estimator_entry(cell, name, covered)
        # The star is outside the alignment of the digits.
        rows.append([predicted, mae if "*" in mae else f"{mae} ", *rest])
    lines = aligned(rows, left_first=False)
    # The title is aligned with the last column; without coverage that one ends with the star.
    title = _title(cells, name) + " " * (not covered)
    width = max(len(title), len(lines[0]))
    return [title.rjust(width), *(line.rjust(width) for line in lines)]


def _title(cells: Sequence[ClassificationSummary], column: EstimatorColumn) -> str:
    return display_name(short(column.name), column.name in oracle_names(cells), column.sees)


def _meaning(cells: Sequence[ClassificationSummary], name: EstimatorColumn) -> str:
    return "pred (MAE; cov)" if _covered(cells, name) else "pred (MAE)"


def _covered(cells: Sequence[ClassificationSummary], column: EstimatorColumn) -> bool:
    """Whether the estimator has intervals in any of the cells."""
    return any(is_number(column.row(cell).get("coverage")) for cell in cells)


def _estimator_entry(
    cell: ClassificationSummary, column: EstimatorColumn, covered: bool
) -> list[str]:
    row = column.row(cell)
    star = "*" if row and column.name in nearest_estimators(cell) else ""
    entry = [percent(row.get("predicted_error")), percent(row.get("mae")) + star]
    return entry + [percent(row.get("coverage"), digits=0)] * covered


def _left_header(cells: Sequence[ClassificationSummary]) -> list[str]:
    seed = ["seed"] if len({cell["seed"] for cell in cells}) > 1 else []
    classes = [OTHER_CLASSES] if _has_classes(cells) else []
    unlabelled = [UNLABELLED] if differently_drawn(cells) else []
    protocol = ["protocol"] if len(protocols_of(cells)) > 1 else []
    queries = [OF_QUERIES] if _is_uneven(cells) else []
    return [
        "head",
        "ways",
        "shots",
        *protocol,
        *unlabelled,
        *seed,
        "accuracy %",
        *classes,
        *queries,
        "error %",
    ]


def _has_classes(cells: Sequence[ClassificationSummary]) -> bool:
    """Whether any cell has an interval for other classes."""
    return any(half_width_text(cell, "classes", "") for cell in cells)


def _is_closed_form(cell: ClassificationSummary) -> bool:
    """Whether the interval for other images is that of disjoint episodes."""
    images: Interval = (cell.get("accuracy_intervals") or {}).get("images") or {}
    return bool(images.get("closed_form"))


def _is_uneven(cells: Sequence[ClassificationSummary]) -> bool:
    """Whether episodes are not balanced, and the share of all right queries reads otherwise."""
    return any(
        percent_interval(queries) != percent_interval(cell["accuracy"])
        for cell in cells
        if cell.get("protocol") and (queries := cell.get("query_accuracy"))
    )


def _left_entries(cell: ClassificationSummary, cells: Sequence[ClassificationSummary]) -> list[str]:
    numbers: list[object] = [number_text(cell, "ways"), number_text(cell, "shots")]
    if "protocol" in _left_header(cells):
        numbers.append(protocol_name(cell.get("protocol")))
    if differently_drawn(cells):
        numbers.append(drawn_text(cell, cells))
    if "seed" in _left_header(cells):
        numbers.append(cell["seed"])
    measured = [percent_interval(cell["accuracy"])]
    if _has_classes(cells):
        measured.append(half_width_text(cell, "classes"))
    if _is_uneven(cells):
        measured.append(percent_interval(cell.get("query_accuracy")))
    error = percent(cell["actual_error"]["mean"])
    return [short(head_label(cell), LONGEST_HEAD), *map(str, numbers), *measured, error]


def _legend(cells: Sequence[ClassificationSummary]) -> str:
    oracles, level = oracle_names(cells), interval_levels_text(cells)
    apart = "; no image is in two episodes" * all(map(_is_closed_form, cells))
    others = "other images of these classes" if apart else "other draws from these images"
    farther = "Other classes" if apart else "Other images or classes"
    meaning = {
        "±": f"{level_text(cells)} interval of the mean over episodes{apart}: {others}. {farther} "
        "would differ by more."
    }
    if _has_classes(cells):
        meaning[OTHER_CLASSES] = "for other classes and images; - where every episode has all"
    if _is_uneven(cells):
        meaning["accuracy"] = "classes that have queries weigh alike"
        meaning[OF_QUERIES] = "share of all queries that are right, as papers on such episodes say"
    if estimator_columns(cells):
        unseen = f"made without a query{f', except {ORACLE_MARK}' * bool(oracles)}"
        meaning["pred"] = f"mean predicted error in %, {unseen}"
        meaning["MAE"] = "mean |predicted - actual| per episode, in points"
    if any(map(nearest_estimators, cells)):
        fair = " of those that predicted most episodes" if any_partly_missing(cells) else ""
        meaning["MAE"] += f"; * marks the lowest{fair}"
    if level:
        meaning["cov"] = f"share of errors in the estimator's interval: {level} if it is right"
    if unlabelled_names(cells):
        meaning[UNLABELLED_MARK] = f"{SEES_UNLABELLED}; * marks the lowest of either"
    if oracles:
        meaning[ORACLE_MARK] = f"{SEES_QUERIES}, left out of the comparison"
    return legend(meaning)

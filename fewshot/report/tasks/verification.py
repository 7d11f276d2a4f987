"""Tables and sentences of verification. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from fewshot.report.aligned import (
    aligned,
    legend,
    markdown,
    short,
    wrapped,
)
from fewshot.report.comparison.ahead import ahead_text, evenly_spaced
from fewshot.report.wording import (
    Cell,
    backbone_name,
    feature_kinds,
    group_cells,
    head_notes,
    heading_text,
    percent_interval,
    plain,
    protocol_text,
    shots_text,
)
from fewshot.statistics.intervals import Difference, half_width, over_seeds
from fewshot.units import percent

if TYPE_CHECKING:
    from fewshot.report.comparison.paired import EvaluatedCell

VERIFICATION = "verification"  # names of tasks, as in `fewshot.results.schema`
ONE_CLASS = "one_class"
TITLES = {"auroc": "AUROC", "average_precision": "AP", "fpr95": "FPR95"}
MEASURES = tuple(TITLES)
MEANINGS = {
    "auroc": "probability that a query of the class scores above one of another class; 50 by "
    "chance, whatever the number of classes",
    "average_precision": "average precision; by chance about the share of queries that are of the "
    "class",
    "fpr95": "share of other queries that are accepted with 95 % of those of the class; lower is "
    "better",
}
QUESTION = (
    "is this image of class c? One class at a time, the other classes of the episode are impostors"
)


def of_task(cells: Iterable[Cell], *, verification: bool) -> list[Any]:
    """Cells of verification, or those of classification."""
    others = (VERIFICATION, ONE_CLASS)
    return [
        cell
        for cell in cells
        if (cell.get("task") == VERIFICATION if verification else cell.get("task") not in others)
    ]


def header(cells: Sequence[Cell]) -> list[str]:
    """Names of the columns."""
    seed = ["seed"] if len({cell["seed"] for cell in cells}) > 1 else []
    measured = [title for name in MEASURES for title in (f"{TITLES[name]} %", "classes ±")]
    share = ["positive %"] if len(_shares(cells)) > 1 else []
    return ["head", "ways", "shots", *seed, *measured, *share]


def entries(cell: Cell, cells: Sequence[Cell]) -> list[str]:
    """Texts of the row of a cell: each measure with its intervals over episodes and classes."""
    columns = header(cells)
    numbers = [cell[name] for name in ("ways", "shots", "seed") if name in columns]
    measured = [text for name in MEASURES for text in _texts(cell[name])]
    share = [percent(cell["prevalence"])] if "positive %" in columns else []
    return [plain(cell["head"]), *map(str, numbers), *measured, *share]


def about(cells: Sequence[Cell]) -> str:
    """``600 episodes per row, all queries, seed 0; 20.0 % of the queries are of the class``."""
    shares = _shares(cells)
    rest = f"; {shares[0]} % of the queries are of the class" if len(shares) == 1 else ""
    return protocol_text(cells) + rest


def _shares(cells: Iterable[Cell]) -> list[str]:
    """Distinct shares of positives, in percent."""
    return sorted({percent(cell["prevalence"]) for cell in cells})


def _texts(intervals: Cell | None) -> tuple[str, str]:
    if intervals is None:
        return "-", "-"
    return percent_interval(intervals["episodes"]), half(intervals["classes"])


def half(interval: Cell) -> str:
    """``1.5``: half the width of an interval, in points."""
    return percent(half_width(interval))


Name = tuple[str, str]  # backbone and head


def verification_lines(judged: Sequence[EvaluatedCell]) -> list[str]:
    """Sentences on the head with the largest AUROC by shots, and whether it is clearly ahead."""
    cells = [cell for cell, _ in judged if cell["auroc"]]
    kinds = feature_kinds(cells)
    settings: dict[tuple[int, int], dict[Name, list[Cell]]] = {}
    for cell in cells:
        name = backbone_name(cell, kinds), str(cell["head"])
        seeds = settings.setdefault((cell["ways"], cell["shots"]), {})
        seeds.setdefault(name, []).append(cell)
    lines = []
    for (ways, shots), groups in evenly_spaced(sorted(settings.items())):
        # Only heads with the most seeds are compared: a single seed varies more than a mean.
        most = max(map(len, groups.values()))
        means = {name: _auroc(seeds) for name, seeds in groups.items() if len(seeds) == most}
        best = max(means, key=means.__getitem__)
        text = f"{ways}-way, {shots_text(shots)}: {' with '.join(best)}, AUROC "
        text += _auroc_text(groups[best])
        same = {n: mean for n, mean in means.items() if n[0] == best[0] and n != best}
        if same:
            other = max(same, key=same.__getitem__)
            text += f"; {_next_head(groups[best], groups[other], other[1])}"
        lines.append(f"{text}.")
    return lines


def _auroc(seeds: Sequence[Cell]) -> float:
    """Mean AUROC over seeds."""
    return fmean(cell["auroc"]["episodes"]["mean"] for cell in seeds)


def _auroc_text(seeds: Sequence[Cell]) -> str:
    if len(seeds) > 1:
        return f"{percent(_auroc(seeds))} % (mean of {len(seeds)} seeds)"
    intervals = seeds[0]["auroc"]
    classes = half(intervals["classes"])
    elsewhere = "" if classes == "-" else f" (± {classes} for other classes)"
    return f"{percent_interval(intervals['episodes'])} %{elsewhere}"


def _next_head(best: Sequence[Cell], other: Sequence[Cell], name: str) -> str:
    """A clause on whether the best head is clearly ahead, by the runs' paired differences."""
    by_seed = {cell["seed"]: cell for cell in other}
    pairs = [(cell, by_seed[cell["seed"]]) for cell in best if cell["seed"] in by_seed]
    gaps = [gap for gap in (_paired(*pair) for pair in pairs) if gap is not None]
    if not gaps:
        return f"the next head, {name}, was not compared episode by episode"
    return ahead_text(over_seeds(gaps), "head", name)


def _paired(best: Cell, other: Cell) -> Difference | None:
    """Difference of AUROC, best minus other, from the comparisons of either cell."""
    for cell in (best, other):
        for row in cell.get("comparisons") or []:
            if {row["first"], row["second"]} == {best["head"], other["head"]} and row["auroc"]:
                sign = 1 if row["first"] == best["head"] else -1
                return Difference.of(row["auroc"]["episodes"], row["auroc"]["classes"], sign)
    return None


POPULATION = (
    "the 95 % interval of the mean over episodes: other draws from these images of these classes"
)


OTHER = (
    "the same interval for other classes and images; - where every episode has all classes, or "
    "there is one episode"
)


def verification_text(cells: Sequence[Cell]) -> str:
    """Tables of verification, a block per data set and backbone, with a legend."""
    blocks = [_block(group, rows) for group, rows in group_cells(cells).items()]
    meanings = {TITLES[name]: text for name, text in MEANINGS.items()}
    meanings |= {"±": POPULATION, "classes ±": OTHER}
    return "\n\n".join([*blocks, legend(meanings)])


def _block(group: tuple[str, ...], cells: Sequence[Cell]) -> str:
    texts = [entries(cell, cells) for cell in cells]
    lines = aligned([header(cells), *([short(row[0]), *row[1:]] for row in texts)])
    top = [heading_text(group, cells), *wrapped(f"Verification: {QUESTION}.", ""), about(cells), ""]
    rows = [*top, lines[0], "-" * len(lines[0]), *lines[1:]]
    notes = head_notes(cells)
    if notes:
        rows += ["", "About the heads:"]
    for words, heads in notes.items():
        rows += wrapped(f"  {', '.join(map(plain, heads))}: {words}", "    ")
    return "\n".join(line.rstrip() for line in rows)


def verification_markdown(cells: Sequence[Cell]) -> str:
    """The same numbers as a GitHub-flavoured Markdown table per data set and backbone."""
    blocks = []
    for group, rows in group_cells(cells).items():
        titles = header(rows)
        lines = [titles, ["---", *["---:"] * (len(titles) - 1)]]
        lines += [[markdown(text) for text in entries(cell, rows)] for cell in rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        blocks.append(
            f"**{markdown(heading_text(group, rows))}**, verification, {about(rows)}\n\n{table}"
        )
    return "\n\n".join(blocks)

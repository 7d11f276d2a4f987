"""Names, cells and estimators as text. Standard library only."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from fewshot.results.schema import CellSummary, Interval
from fewshot.statistics.intervals import half_width
from fewshot.tasks.base import WHERE_EMPTY, dataset_label, head_label
from fewshot.tasks.classification.schema import ClassificationSummary, EstimatorSummary
from fewshot.units import counted, is_number, joined, percent, plus_minus, short_percent

Cell = CellSummary
AnyCell = TypeVar("AnyCell", bound=Cell)

# The recommended estimator, and the oracles of runs without the key ``sees_queries``.
RECOMMENDED = "auto"
SUPPORT_ALONE = "auto_support"
ORACLES = ("oracle", "oracle_sigma")
ORACLE_MARK = "\N{DAGGER}"
# Of estimators that saw unlabelled images.
UNLABELLED_MARK = "\N{DOUBLE DAGGER}"
IN_ALL = " in all"  # of numbers of queries that are not per class
NORMALIZED = {"none": "as given", "l2": "of unit length"}
KNOWN_IMAGES = (
    "the shipped calibrator was fitted on these images among others, which flatters it; for images "
    "that it was not fitted on see docs/error-estimation.md"
)
# Level of the intervals in runs that do not record it.
INTERVAL_LEVEL = 0.9

# Control characters move a terminal's cursor, direction marks reorder a line, lone surrogates
# (file names that were not UTF-8) cannot be written, and XML allows none of the three.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def plain(name: object) -> str:
    """`name` with control and direction characters replaced, hence one line."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", str(name))


def percent_interval(interval: Interval | None, missing: str = "-") -> str:
    """``63.1 ± 0.8``: a mean and half the width of its interval, in percent."""
    if interval is None:
        return missing
    return plus_minus(interval["mean"], half_width(interval), missing)


def half_width_text(cell: ClassificationSummary, population: str, missing: str = "-") -> str:
    """``4.5``: half the width of the accuracy's interval for other classes or images."""
    return percent(half_width(cell.get("accuracy_intervals", {}).get(population)), missing)


def level_text(cells: Iterable[ClassificationSummary]) -> str:
    """The level of the accuracies' intervals: ``95 %``."""
    levels = sorted({cast("float", cell["accuracy"].get("level", 0.95)) for cell in cells})
    return " or ".join(short_percent(level) for level in levels)


def comparisons_of(cell: Cell) -> Sequence[Mapping[str, Any]]:
    """Paired differences of a cell of any task: ``first``, ``second``, and intervals by measure."""
    return cast("Sequence[Mapping[str, Any]] | None", cell.get("comparisons")) or ()


def shots_text(shots: int) -> str:
    """``1 shot``, ``5 shots``."""
    return counted(shots, "shot")


class Group(NamedTuple):
    """Features of cells that can be compared: a block of the table and a set of plots."""

    dataset: str
    part: str
    backbone: str
    feature: str

    @classmethod
    def of(cls, cell: Cell) -> Group:
        """The group of a cell."""
        names = (cell["dataset"], cell["part"], cell["backbone"], cell["feature"])
        return cls(*map(str, names))

    @property
    def text(self) -> str:
        """``eurosat · resnet18 (pooled)``."""
        dataset = dataset_label(self._asdict())
        return f"{plain(dataset)} · {plain(self.backbone)} ({plain(self.feature)})"


def heading_text(cells: Sequence[Cell]) -> str:
    """``eurosat · resnet18 (pooled), features of unit length``, of cells of one group.

    The last part only if it is recorded.
    """
    kinds = {str(cell.get("normalize")) for cell in cells} & NORMALIZED.keys()
    kinds_text = " or ".join(NORMALIZED[kind] for kind in sorted(kinds))
    return Group.of(cells[0]).text + (f", features {kinds_text}" if kinds_text else "")


def group_cells(cells: Iterable[AnyCell]) -> dict[Group, list[AnyCell]]:
    """Cells by data set, part, backbone and feature kind, in the order in which they came."""
    groups: dict[Group, list[AnyCell]] = {}
    for cell in cells:
        groups.setdefault(Group.of(cell), []).append(cell)
    return groups


def protocol_text(cells: Iterable[Cell]) -> str:
    """``600 episodes per row, all queries, seed 0``."""
    cells = list(cells)
    numbers = sorted({cell["episodes"] for cell in cells})
    episodes = f"{' or '.join(map(str, numbers))} episode{'s' if numbers != [1] else ''}"
    seeds = sorted({cell["seed"] for cell in cells})
    unlabelled, protocols = unlabelled_about(cells), protocols_of(cells)
    balanced = protocols == [protocol_name("")]
    return (
        f"{episodes} per row, {'' if balanced else f'protocol {_either(protocols)}, '}"
        f"{queries_text(cells)}, {f'{unlabelled}, ' if unlabelled else ''}"
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    )


def queries_text(cells: Iterable[Cell]) -> str:
    """``all queries``, ``15 queries per class``, ``75 queries in all``."""
    queries = {str(cell["queries"]) for cell in cells}
    numbers_text = " or ".join(sorted(queries, key=lambda text: (len(text), text)))
    if queries == {"all"}:
        return "all queries"
    numbers, in_all, rest = plain(numbers_text).partition(IN_ALL)
    return f"{numbers} queries{in_all}{rest}" if in_all else f"{numbers} queries per class"


def unlabelled_about(cells: Iterable[Cell]) -> str:
    """``15 unlabelled images per class, equal shares, 25 % strangers``; empty without any.

    Ways of drawing them that differ between the cells are joined by "or".
    """
    numbers: dict[str, list[str]] = {}
    for cell in cells:
        number, rest = _unlabelled_parts(cell)
        if number not in numbers.setdefault(rest, []):
            numbers[rest].append(number)
    if not any(numbers):
        return ""
    texts = [
        _either(sorted(each, key=lambda text: (len(text), text))) + rest
        for rest, each in sorted(numbers.items())
    ]
    return " or ".join(text or "no unlabelled images" for text in texts)


def _either(texts: Sequence[str]) -> str:
    """``5, 15 or 50``."""
    return " or ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _unlabelled_parts(cell: Cell) -> tuple[str, str]:
    """Number of unlabelled images per class, and what is said of them after it."""
    number, shares, strangers = (
        cell.get(name) for name in ("unlabelled", "unlabelled_shares", "strangers")
    )
    if number is None:
        return "", ""
    if number == "queries":
        others = f", {share_text(strangers)} strangers" if strangers else ""
        return "the queries", f" without their labels as unlabelled images{others}"
    kind = f", {drawn_kind(cell)}" if shares else " on average"
    return plain(number), f" unlabelled images per class{kind}"


def drawn_kind(cell: Cell) -> str:
    """``equal shares, 25 % strangers``: how unlabelled images were drawn, beside their number."""
    shares, strangers = cell.get("unlabelled_shares"), cell.get("strangers")
    texts = [f"{plain(shares)} shares"] if shares else []
    return ", ".join([*texts, *([f"{share_text(strangers)} strangers"] if strangers else [])])


def share_text(share: object) -> str:
    """``25 %``; a text as it is."""
    return plain(share) if isinstance(share, str) else f"{100 * float(cast('float', share)):g} %"


def differently_drawn(cells: Iterable[Cell]) -> bool:
    """Whether the cells differ in their unlabelled images."""
    return len({cell.get("unlabelled_images") or "" for cell in cells}) > 1


def drawn_text(cell: Cell, cells: Iterable[Cell], missing: str = "-") -> str:
    """``15``; ``15 dirichlet + 25 % strangers`` where the cells differ in more than the number."""
    if cell.get("unlabelled") is None:
        return missing
    kinds = {_unlabelled_parts(other)[1] for other in cells if other.get("unlabelled") is not None}
    return plain(cell["unlabelled"] if len(kinds) == 1 else cell["unlabelled_images"])


def drawn_name(drawn: str) -> str:
    """``15 unlabelled + 25 % strangers``, from the text that identifies it; ``no unlabelled``."""
    number, plus, strangers = plain(drawn).partition(" + ")
    return f"{number or 'no'} unlabelled{plus}{strangers}"


def protocol_name(protocol: object) -> str:
    """``imbalanced(alpha=2)``; ``balanced`` for the empty text."""
    return plain(protocol or WHERE_EMPTY["protocol"])


def episodic_name(key: str, value: object) -> str:
    """The value of one of the `EPISODIC_KEYS` as it is read."""
    return protocol_name(value) if key == "protocol" else drawn_name(str(value or ""))


def protocols_of(cells: Iterable[Cell]) -> list[str]:
    """Names of the protocols of the cells, ``balanced`` first."""
    return [protocol_name(text) for text in sorted({cell.get("protocol") or "" for cell in cells})]


def told_apart(cell: Cell, cells: Iterable[Cell]) -> str:
    """``imbalanced(alpha=2), 15 unlabelled``: what differs in how the episodes were drawn."""
    cells = list(cells)
    texts = [protocol_name(cell.get("protocol"))] if len(protocols_of(cells)) > 1 else []
    if differently_drawn(cells):
        texts.append(drawn_name(cell.get("unlabelled_images") or ""))
    return ", ".join(texts)


def drawn_order(drawn: str) -> tuple[int, str]:
    """Sort key of texts that identify unlabelled images: none, few, many, the queries."""
    number = re.match(r"\d+", drawn)
    return int(number[0]) if number else sys.maxsize if drawn else 0, drawn


def unlabelled_short(cell: Cell) -> str:
    """``with 15 unlabelled images per class``; empty without any."""
    number, rest = _unlabelled_parts(cell)
    return f"with {number}{rest.replace(', equal shares', '')}" if number else ""


class EstimatorColumn(NamedTuple):
    """An estimator in cells in which it saw unlabelled images, or in which it saw none.

    Both are never in one column: they answer another question.
    """

    name: str
    sees: bool

    def row(self, cell: ClassificationSummary) -> EstimatorSummary:
        """Metrics of the estimator in a cell; empty where it saw something else."""
        row = cell["estimators"].get(self.name) or {}
        return row if sees_unlabelled(row) == self.sees else {}


def sees_unlabelled(row: EstimatorSummary) -> bool:
    """Whether an estimator saw unlabelled images."""
    return bool(row.get("sees_unlabelled"))


def estimator_columns(cells: Iterable[ClassificationSummary]) -> list[EstimatorColumn]:
    """Estimators of any of the cells: those that saw unlabelled images, others, oracles.

    In each group the recommended one comes first, then the one that is it from the support alone.
    """
    cells = list(cells)
    oracles = oracle_names(cells)
    columns = dict.fromkeys(
        EstimatorColumn(name, sees_unlabelled(row))
        for cell in cells
        for name, row in cell["estimators"].items()
    )
    first = {RECOMMENDED: 0, SUPPORT_ALONE: 1}
    return sorted(columns, key=lambda c: (c.name in oracles, not c.sees, first.get(c.name, 2)))


def estimator_names(cells: Iterable[ClassificationSummary]) -> list[str]:
    """Names of `estimator_columns`, each once."""
    return list(dict.fromkeys(column.name for column in estimator_columns(cells)))


def oracle_names(cells: Iterable[ClassificationSummary]) -> set[str]:
    """Oracles of the cells: estimators that use the queries, hence upper bounds."""
    return {
        name
        for cell in cells
        for name, row in cell["estimators"].items()
        if row.get("sees_queries", name in ORACLES)
    }


def unlabelled_names(cells: Iterable[ClassificationSummary]) -> set[str]:
    """Estimators that saw unlabelled images in any of the cells."""
    return {
        name for cell in cells for name, row in cell["estimators"].items() if sees_unlabelled(row)
    }


def missing_count(cell: ClassificationSummary, estimator: str) -> int:
    """Number of episodes of the cell for which the estimator is undefined."""
    return int(cell["episodes"] - cell["estimators"][estimator].get("defined", 0))


def fallback_count(cell: ClassificationSummary, estimator: str) -> int:
    """Number of episodes of the cell for which the estimator used a fallback."""
    return int(cell["estimators"][estimator].get("fallbacks") or 0)


def fallback_reason(row: EstimatorSummary) -> str:
    """Reason of the fallbacks in the row of an estimator."""
    return plain(row.get("fallback_reason") or row.get("reason") or "no reason was given")


def compared(cell: ClassificationSummary) -> dict[str, float]:
    """MAE by name of the estimators defined on the most episodes of the cell, without oracles."""
    oracles = oracle_names([cell])
    made = {
        name: (mae, row["defined"])
        for name, row in cell["estimators"].items()
        if is_number(mae := row.get("mae")) and name not in oracles
    }
    # A MAE over fewer episodes is a MAE over other, perhaps easier, episodes.
    most = max((defined for _, defined in made.values()), default=0)
    return {name: mae for name, (mae, defined) in made.items() if defined == most}


def nearest_estimators(cell: ClassificationSummary) -> set[str]:
    """The estimator with the lowest MAE of those that saw unlabelled images, and of the others.

    None of a group of one.
    """
    nearest = set()
    for sees in (True, False):
        errors = {
            name: mae
            for name, mae in compared(cell).items()
            if sees_unlabelled(cell["estimators"][name]) == sees
        }
        if len(errors) > 1:
            nearest.add(min(errors, key=errors.__getitem__))
    return nearest


def best_estimator(cell: ClassificationSummary) -> str | None:
    """Name of the estimator with the lowest MAE; None if none predicted anything."""
    errors = compared(cell)
    return min(errors, key=errors.__getitem__, default=None)


def shown_estimator(cell: ClassificationSummary) -> str | None:
    """Name of the estimator shown for the cell: the recommended one, else the best one."""
    recommended = cell["estimators"].get(RECOMMENDED, {})
    return RECOMMENDED if is_number(recommended.get("mae")) else best_estimator(cell)


def interval_level(row: EstimatorSummary) -> float:
    """Nominal coverage of an estimator's intervals."""
    level = row.get("level")
    return level if is_number(level) else INTERVAL_LEVEL


def interval_levels_text(cells: Iterable[ClassificationSummary]) -> str:
    """Levels of all estimators with intervals: ``90 %``; empty if there are none."""
    levels = {
        interval_level(row)
        for cell in cells
        for row in cell["estimators"].values()
        if is_number(row.get("coverage"))
    }
    return " or ".join(short_percent(level) for level in sorted(levels))


def display_name(name: str, oracle: bool, unlabelled: bool = False) -> str:
    """An estimator's name, with a dagger for oracles, two for those that saw unlabelled images."""
    if unlabelled:
        return f"{name} {UNLABELLED_MARK}"
    return f"{name} {ORACLE_MARK}" if oracle else name


USES = {
    "text": "reads the class names",
    "text_gaussians": "knows what texts of base classes say about their images",
    "base": "knows moments of the base classes, where there are any",
    "base_episodes": "chooses settings on episodes of the base classes, where there are any",
    "queries": "transductive: sees all queries of an episode together, in random order",
    "query_prior": "assumes the same number of queries of every class",
}


SEEN_STRANGERS = "transductive: sees all queries of an episode and the strangers together"


def learning_text(cell: Cell) -> str:
    """What a head learns from beside the shots: queries, or unlabelled images apart from them."""
    source = cell.get("learns_from")  # absent from cells of earlier versions, all transductive
    if source == "unlabelled":
        images = unlabelled_short(cell).removeprefix("with ")
        return f"semi-supervised: learns from {images}, and classifies every query by itself"
    return SEEN_STRANGERS if source == "queries and strangers" else USES["queries"]


def use_text(use: str, cell: Cell) -> str:
    """What a head uses beyond the shots, in words."""
    if use == "query_prior" and cell.get("learns_from") == "unlabelled":
        return "assumes the same number of unlabelled images of every class"
    return learning_text(cell) if use == "queries" else USES[use]


def head_notes(cells: Iterable[Cell]) -> dict[str, list[str]]:
    """Heads by a description of the information they use beyond the shots, if any."""
    notes: dict[str, list[str]] = {}
    for cell in cells:
        uses = [use for use in USES if use in cell.get("head_uses", ())]
        words = "; ".join(use_text(use, cell) for use in uses)
        if words and head_label(cell) not in notes.setdefault(words, []):
            notes[words].append(head_label(cell))
    return notes


def missing_notes(cells: Iterable[ClassificationSummary]) -> list[tuple[str, str, str]]:
    """Reasons of missing predictions: (estimator, where, reason), equal cells joined."""
    return notes_of(cells, missing_count, lambda row: row.get("reason") or "no reason was given")


def reservations_of(row: EstimatorSummary) -> dict[str, int]:
    """Number of episodes by reservation, the most frequent first; empty without any."""
    fallbacks, defined = int(row.get("fallbacks") or 0), int(row.get("defined") or 0)
    known = {KNOWN_IMAGES: defined} if row.get("knows_images") and defined else {}
    counts = row.get("reservations")
    if counts:
        return known | {plain(reason): int(count) for reason, count in counts.items()}
    return known | ({fallback_reason(row): fallbacks} if fallbacks else {})


def fallback_notes(cells: Iterable[ClassificationSummary]) -> list[tuple[str, str, str]]:
    """Reservations of predictions: (estimator, where, reason), equal cells joined."""
    return _notes(cells, lambda cell, name: reservations_of(cell["estimators"][name]))


def notes_of(
    cells: Iterable[ClassificationSummary],
    count: Callable[[ClassificationSummary, str], int],
    why: Callable[[EstimatorSummary], str],
) -> list[tuple[str, str, str]]:
    """Notes (estimator, where, reason) for cells where `count` is positive, equal cells joined.

    `count` maps a cell and an estimator to a number of episodes, `why` an estimator's row to the
    reason.
    """

    def reasons(cell: ClassificationSummary, name: str) -> dict[str, int]:
        number = count(cell, name)
        return {plain(why(cell["estimators"][name])): number} if number else {}

    return _notes(cells, reasons)


def _notes(
    cells: Iterable[ClassificationSummary],
    reasons: Callable[[ClassificationSummary, str], Mapping[str, int]],
) -> list[tuple[str, str, str]]:
    """Notes (estimator, where, reason) from numbers of episodes by reason, equal cells joined."""
    cells = list(cells)
    several, protocols = differently_drawn(cells), len(protocols_of(cells)) > 1
    places: dict[tuple[str, str], dict[str, list[str]]] = {}
    for cell in cells:
        for name in cell["estimators"]:
            for reason, number in reasons(cell, name).items():
                part = f"{number} of {cell['episodes']} episodes of "
                drawn = f", {drawn_name(drawn_text(cell, cells, ''))}" if several else ""
                protocol = f", {protocol_name(cell.get('protocol'))}" if protocols else ""
                setting = f"{_setting_text(cell)}{protocol}{drawn}"
                where = f"{part if number < cell['episodes'] else ''}{setting}"
                heads = places.setdefault((name, reason), {}).setdefault(where, [])
                heads.append(plain(head_label(cell)))
    everywhere = sum(len(cell["estimators"]) > 0 for cell in cells)
    return [
        (plain(name), _places_text(where, everywhere), reason)
        for (name, reason), where in places.items()
    ]


def _places_text(heads_by_setting: Mapping[str, Sequence[str]], everywhere: int) -> str:
    """``2-way 1-shot and 5-way 1-shot with ncm and lda``; ``all rows`` of several settings."""
    named = sum(map(len, heads_by_setting.values()))
    whole = not any(" episodes of " in setting for setting in heads_by_setting)
    if len(heads_by_setting) > 1 and whole and named == everywhere:
        return "all rows"
    settings: dict[tuple[str, ...], list[str]] = {}
    for setting, heads in heads_by_setting.items():
        settings.setdefault(tuple(heads), []).append(setting)
    return "; ".join(f"{joined(where)} with {joined(heads)}" for heads, where in settings.items())


def any_partly_missing(cells: Iterable[ClassificationSummary]) -> bool:
    """Whether any estimator is defined for some but not all episodes of a cell."""
    return any(
        0 < missing_count(cell, name) < cell["episodes"]
        for cell in cells
        for name in cell["estimators"]
    )


def _setting_text(cell: Cell) -> str:
    return f"{number_text(cell, 'ways')}-way {number_text(cell, 'shots')}-shot"


def number_text(cell: Cell, key: str) -> str:
    """The ways or shots of a cell; ``5-50`` where they vary."""
    facts: Mapping[str, Any] = cell
    smallest, largest = facts.get(f"{key}_range") or (facts[key], facts[key])
    return f"{facts[key]}" if smallest == largest else f"{smallest}-{largest}"


def backbone_name(cell: Cell, features: Mapping[str, set[str]]) -> str:
    """The backbone, with the feature kind where it was evaluated with several."""
    name = str(cell["backbone"])
    return f"{name} ({cell['feature']})" if len(features.get(name, ())) > 1 else name


def feature_kinds(cells: Iterable[Cell]) -> dict[str, set[str]]:
    """Feature kinds by backbone."""
    kinds: dict[str, set[str]] = {}
    for cell in cells:
        kinds.setdefault(str(cell["backbone"]), set()).add(str(cell["feature"]))
    return kinds

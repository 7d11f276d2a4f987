"""A paragraph on the protocol of runs for a paper, from what their summaries record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from fewshot.report.citing.parts import (
    BACKBONE,
    CALIBRATED,
    DATASET,
    ESTIMATOR,
    FEWSHOT,
    SAMPLER,
    SOFTWARE,
    TASK,
    CitedRun,
    Part,
    datasets_of,
    has_sampler,
    sampler_of,
    versions_of,
)
from fewshot.report.intervals import by_population, main_interval
from fewshot.report.tasks import report_of
from fewshot.report.wording import (
    NORMALIZED,
    head_notes,
    plain,
    queries_text,
    unlabelled_about,
)
from fewshot.results.schema import CellSummary
from fewshot.tasks import task_named
from fewshot.tasks.base import head_label
from fewshot.units import counted, joined, short_percent

# Around the keys of the papers that a sentence cites; no name has these characters.
OPEN, CLOSE = "\x01", "\x02"
SHOWN_HASHES, DIGITS = 4, 16
OVER = {
    "episodes": "over {}s (other draws from these images)",
    "images": "for other images of these classes",
    "classes": "for other classes",
}
CALIBRATED_ON = {
    "base": "calibrated on episodes of the base classes",
    "datasets": "calibrated on other data sets",
}


class Paragraph:
    """Sentences on cells of one task, of one run or several.

    Parameters
    ----------
    task : str
    runs : sequence of CitedRun
    parts : iterable of Part
        Of the runs, as `fewshot.report.citing.parts.parts_of` returns them.
    """

    def __init__(self, task: str, runs: Sequence[CitedRun], parts: Iterable[Part]) -> None:
        self.task, self.report = task_named(task), report_of(task)
        self.runs = runs
        self.of_run = [(run, [c for c in run.cells if c["task"] == task]) for run in runs]
        self.cells = [cell for _, cells in self.of_run for cell in cells]
        self.parts = {(part.role, part.name): part for part in parts}

    def sentences(self) -> list[str]:
        """The paragraph; papers stand as keys between `OPEN` and `CLOSE`."""
        written = [
            *self.data(),
            *self.features(),
            *self.episodes(),
            *self.heads(),
            *self.intervals(),
            *self.estimators(),
            *self.made_with(),
        ]
        return [f"{sentence[0].upper()}{sentence[1:]}." for sentence in written if sentence]

    def cite(self, role: str, name: str, *inside: str) -> str:
        """`` (Snell et al., 2017; what is `inside`)``, empty where there is neither."""
        part = self.parts.get((role, name))
        keys = ",".join(entry.key for entry in (part.references or ())) if part else ""
        texts = [f"{OPEN}{keys}{CLOSE}"] if keys else []
        texts += [text for text in inside if text]
        return f" ({'; '.join(texts)})" if texts else ""

    def data(self) -> list[str]:
        """The task, and the data sets with their images and classes."""
        facts: dict[str, str] = {}
        for run, cells in self.of_run:
            names = dict.fromkeys(name for cell in cells for name in datasets_of(cell))
            for name in names:  # the counts are those of both where queries are from another one
                facts.setdefault(name, _counts(run) if len(names) == 1 else "")
        named = [
            f"{plain(name)}{self.cite(DATASET, name, inside)}" for name, inside in facts.items()
        ]
        title = f"{self.report.name_in_headings}{self.cite(TASK, self.task.name)}"
        sentences = [f"the task is {title}, evaluated on {joined(named)}"]
        parts = {
            str(cell["part"]) for run, cells in self.of_run for cell in cells if _is_split(run)
        }
        if parts:
            sentences.append(f"{self.report.episode}s are drawn from the {joined(sorted(parts))} "
                             "classes")  # fmt: skip
        return sentences

    def features(self) -> list[str]:
        """Backbones, kinds of features, input and normalisation."""
        said: dict[str, None] = {}
        for run, cells in self.of_run:
            for cell in cells:
                said.setdefault(self._features_of(run, cell))
        of = "the backbone is" if len(said) == 1 else "backbones are"
        return [f"{joined(said)} are used; {of} frozen"] if said else []

    def _features_of(self, run: CitedRun, cell: CellSummary) -> str:
        data: Mapping[str, Any] = run.facts.get("data") or {}
        size = (data.get("transform") or {}).get("size")
        resolution = cast("Mapping[str, Any]", cell).get("resolution")
        words = [
            counted(data["feature_dim"], "dimension") if data.get("feature_dim") else "",
            f"resolution {plain(resolution)}" if resolution else
            f"images of {size} x {size} pixels" if size else "",
            NORMALIZED.get(str(cell.get("normalize")), ""),
        ]  # fmt: skip
        name = cell["backbone"]
        feature = f"{plain(cell['feature'])} features"
        return f"the {feature} of {plain(name)}{self.cite(BACKBONE, name, *words)}"

    def episodes(self) -> list[str]:
        """Ways, shots, how many, how they were drawn, queries and seeds."""
        cells, episode = self.cells, self.report.episode
        numbers = sorted({cell.get("episodes", 0) for cell in cells})
        count = f"{' or '.join(f'{number:,}' for number in numbers)} {episode}"
        seeds = sorted({cell["seed"] for cell in cells})
        sentence = f"every setting has {count}{'s' * (numbers != [1])}"
        if has_sampler(cells[0]):
            samplers = {
                plain(_protocol(run, cell)): self.cite(SAMPLER, sampler_of(run, cell))
                for run, own in self.of_run
                for cell in own
            }
            drawn = joined(f"{label}{cited}" for label, cited in samplers.items())
            sentence += (
                f", {_numbers(cells, 'ways', 'way')}, {_numbers(cells, 'shots', 'shot')}, "
                f"drawn by the sampler {drawn}"
            )
        sentences = [f"{sentence} with seed{'s' * (len(seeds) > 1)} {joined(map(str, seeds))}"]
        if all("queries" in cell for cell in cells):
            queries = queries_text(cells).replace("queries per class", self.report.queries)
            asked = "all other images as queries" if queries == "all queries" else queries
            sentences[0] += f"; each has {asked}"
        unlabelled = unlabelled_about(cells)
        return [*sentences, f"{episode}s come with {unlabelled}" if unlabelled else ""]

    def heads(self) -> list[str]:
        """Heads with what differs from their defaults, and what they see beyond the shots."""
        notes = head_notes(self.cells)
        words = {name: note for note, names in notes.items() for name in names}
        labels = set(map(head_label, self.cells))
        shared = (
            ""
            if len(notes) != 1 or len(labels) == 1 or words.keys() != labels
            else next(iter(notes))
        )
        named = []
        for label in dict.fromkeys(map(head_label, self.cells)):
            inside = "" if shared else words.get(label, "")
            named.append(f"{plain(label)}{self.cite(self.report.head, label, inside)}")
        verb = "is" if len(named) == 1 else "are"
        word = self.report.head if len(named) == 1 else self.report.heads
        sentences = [
            f"the {word} {verb} {joined(named)}, with default parameters but for those named"
            + (f"; each {shared}" if shared else "")
        ]
        if not has_sampler(self.cells[0]):
            return sentences
        transductive = [c for c in self.cells if "queries" in (c.get("head_uses") or ())]
        if not transductive and all("learns_from" in cell for cell in self.cells):
            sentences.append("every query is judged by itself (inductive)")
        elif len({head_label(c) for c in transductive}) < len(named):
            sentences.append("other heads judge every query by itself (inductive)")
        return sentences

    def intervals(self) -> list[str]:
        """Kind and level of the intervals of the main measure."""
        measure = self.task.measures[0].name
        found: dict[str, set[float]] = {}
        for cell in self.cells:
            for entry in self.task.entries(cell, measure):
                of = entry.get(f"{measure}_intervals") or by_population(entry.get(measure))
                for population, interval in cast("Mapping[str, Any]", of).items():
                    if interval.get("lower") is not None:
                        found.setdefault(population, set()).add(interval.get("level") or 0.95)
                main = main_interval(by_population(entry.get(measure)))
                if main is not None and main.get("lower") is not None:
                    found.setdefault("episodes", set()).add(main.get("level") or 0.95)
        if not found:
            return []
        levels = sorted({level for each in found.values() for level in each})
        over = joined(OVER[name].format(self.report.episode) for name in OVER if name in found)
        return [
            f"the mean {self.report.title(measure)} has {' or '.join(map(short_percent, levels))} "
            f"confidence intervals {over}"
        ]

    def estimators(self) -> list[str]:
        """Estimators of the error, their calibration, and the coverage of their intervals."""
        rows: dict[str, list[Mapping[str, Any]]] = {}
        for cell in self.cells:
            for name, row in (cast("Mapping[str, Any]", cell).get("estimators") or {}).items():
                rows.setdefault(name, []).append(row)
        named = [
            f"{plain(name)}{self.cite(ESTIMATOR, name, *self._calibration(each))}"
            for name, each in rows.items()
        ]
        if not named:
            return []
        estimates = joined(named)
        sentences = [f"the error of every {self.report.episode} is predicted by {estimates}"]
        base = {
            (base["classes"], base["episodes"])
            for cell in self.cells
            if {"classes", "episodes"} <= (base := cell.get("base") or {}).keys()
        }
        if len(base) == 1 and any(r.get("calibration") == "base" for e in rows.values() for r in e):
            classes, episodes = base.pop()
            sentences.append(f"there are {episodes} episodes of {classes} base classes to learn "
                             "from for each setting")  # fmt: skip
        return sentences

    def _calibration(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        texts = []
        if any(row.get("sees_queries") for row in rows):
            texts.append("sees the labels of queries: an upper bound")
        for method in dict.fromkeys(str(row.get("calibration")) for row in rows):
            if method in CALIBRATED_ON:
                texts.append(CALIBRATED_ON[method])
            elif (CALIBRATED, method) in self.parts:
                texts.append(f"calibrated by {method}{self.cite(CALIBRATED, method)}")
        levels = sorted({row["level"] for row in rows if row.get("level") is not None})
        covered = [row["coverage"] for row in rows if row.get("coverage") is not None]
        if covered and levels:
            low, high = short_percent(min(covered), 3), short_percent(max(covered), 3)
            covered_text = low if low == high else f"{low} to {high}"
            nominal = " or ".join(map(short_percent, levels))
            texts.append(f"intervals of nominally {nominal} held the actual value in "
                         f"{covered_text} of {self.report.episode}s")  # fmt: skip
        return texts

    def made_with(self) -> list[str]:
        """Version of the software, and hashes of the episodes."""
        known = versions_of(self.runs)
        sentences = [
            f"computed with fewshot{f' {known}' if known else ''}{self.cite(SOFTWARE, FEWSHOT)}"
        ]
        hashes: dict[str, None] = {}
        for cell in self.cells:
            digest = (cell.get("hashes") or {}).get("episodes")
            if digest:
                shots = counted(cell["shots"], "shot")
                hashes.setdefault(f"{plain(digest)[:DIGITS]} ({cell['ways']}-way, {shots})")
        if 0 < len(hashes) <= SHOWN_HASHES:
            sentences.append(f"SHA-256 of the {self.report.episode}s begins with {joined(hashes)}")
        elif hashes:
            sentences.append(f"SHA-256 of the {len(hashes)} sets of {self.report.episode}s: see "
                             "the runs")  # fmt: skip
        return sentences


def _is_split(run: CitedRun) -> bool:
    """Whether a data set has classes apart from those that episodes are drawn from."""
    by_part = (run.facts.get("data") or {}).get("classes_by_part") or {}
    return sum(count > 0 for count in by_part.values()) > 1


def _protocol(run: CitedRun, cell: CellSummary) -> str:
    """``effective(k_eff=5)``: the sampler with what is not as usual."""
    facts = cast("Mapping[str, Any]", cell)
    return str(facts.get("protocol") or facts.get("sampler") or sampler_of(run, cell))


def _numbers(cells: Iterable[CellSummary], key: str, unit: str) -> str:
    """``5-way``, ``1-shot and 5-shot``; ``5 to 20 ways`` where they vary within a cell."""
    texts = {}
    for cell in cells:
        facts = cast("Mapping[str, Any]", cell)
        low, high = facts.get(f"{key}_range") or (facts[key], facts[key])
        texts[low, high] = f"{low}-{unit}" if low == high else f"{low} to {high} {unit}s"
    return joined(texts[numbers] for numbers in sorted(texts))


def _counts(run: CitedRun) -> str:
    """``1,797 images of 10 classes: 5 base, 5 novel``; empty where it is not recorded."""
    data: Mapping[str, Any] = run.facts.get("data") or {}
    if not data.get("images") or not data.get("classes"):
        return ""
    classes = f"{data['classes']:,} {'class' if data['classes'] == 1 else 'classes'}"
    parts = {name: count for name, count in (data.get("classes_by_part") or {}).items() if count}
    split = ""
    if len(parts) > 1:
        split = ": " + joined(f"{count} {name}" for name, count in parts.items())
    elif data.get("support_part"):
        split = f": {data['support_part']} to annotate, {data['query_part']} to be segmented"
    return f"{counted(data['images'], 'image')} of {classes}{split}"

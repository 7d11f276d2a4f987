"""What determines the rows of one-class cells, as hashes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from fewshot.features.bank import FeatureBank
from fewshot.oneclass.drawing import OneClassTasks
from fewshot.oneclass.scores import Confusers, NameVectors
from fewshot.oneclass.settings import OneClassSettings
from fewshot.results.schema import ONE_CLASS
from fewshot.tasks.cell_keys import CELL_VERSION, array_digest, feature_causes
from fewshot.tasks.one_class_plan import Plan
from fewshot.tasks.one_class_summary import Key


def one_class_keys(
    bank: FeatureBank,
    names: NameVectors,
    wanted: OneClassSettings,
    tasks: OneClassTasks,
    plan: Plan,
    seed: int,
    base: dict[str, Any],
) -> dict[Key, str]:
    """SHA-256 over everything that a row depends on, for every rule and source of `plan`.

    All cells share the causes of all of them, since each is compared with the others. What was
    learned counts by its numbers, and by `base`, what the summary says of the base classes.
    """
    generic = None if names.generic is None else array_digest(names.generic)
    causes = {
        "version": CELL_VERSION,
        "task": ONE_CLASS,
        "seed": seed,
        "features": feature_causes(bank),
        "tasks": [tasks.hash(), wanted.against, wanted.draws],
        "base": base,
        "names": [array_digest(names.classes), generic],
        "confusers": {source: _confusers(one) for source, one in names.confusers.items()},
        "plan": {
            source: [[rule.name for rule in rules], asdict(known)]
            for source, (rules, known) in plan.items()
        },
    }
    whole = json.dumps(causes, sort_keys=True, default=str)
    pairs = [(rule.name, source) for source, (rules, _) in plan.items() for rule in rules]
    return {(rule, source): _digest(f"{rule} {source} {whole}") for rule, source in pairs}


def _confusers(given: Confusers) -> list[Any]:
    """Names and vectors, class by class."""
    places = [array_digest(one) for one in given.places]
    lists = given.lists
    return [array_digest(given.vectors), places, lists.names, lists.dropped, lists.record]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

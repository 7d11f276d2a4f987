"""``fewshot text show``: content of a file of descriptions, confusers or a predictor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.cli.arguments import Parser, expect_overrides

if TYPE_CHECKING:
    from fewshot.text.descriptions import Descriptions

# Classes that are shown, characters of a text of each, and names of a plain list.
FIRST, LONGEST, LISTED = 5, 100, 20
WITHOUT = {"descriptions": "a description", "confusers": "confusers"}


def main(argv: Sequence[str]) -> int:
    """Check a file of descriptions, confusers or a predictor; say what is in it and missing."""
    parser = Parser(
        prog="fewshot text show",
        usage="fewshot text show FILE [--json] [dataset=NAME ...]",
        description=main.__doc__,
    )
    parser.add_argument(
        "file", metavar="FILE",
        help="of fewshot text describe, confusers or fit, or texts by class name of others",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments, overrides = parser.parse_known_args(argv)
    expect_overrides("fewshot text show", overrides)
    from fewshot.tasks.one_class.confusers.lists import load_any

    file = Path(arguments.file).expanduser()
    if file.suffix == ".safetensors":
        return _show_predictor(file, arguments.json)
    answers = load_any(file, "fewshot text show")
    facts = {"file": str(file)} | _facts(answers, overrides)
    if arguments.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        _print(facts, answers)
    return 0


def _show_predictor(file: Path, as_json: bool) -> int:
    from fewshot.cli.text_fit import facts_of, in_words
    from fewshot.text.gaussians.fitted import load_text_gaussians

    facts = {"file": str(file)} | facts_of(load_text_gaussians(file))
    print(json.dumps(facts, indent=2, ensure_ascii=False) if as_json else in_words(facts))
    return 0


def _facts(answers: Descriptions, overrides: Sequence[str]) -> dict[str, Any]:
    common = list(getattr(answers, "common", ()))
    texts = [text for of_class in (*answers.classes.values(), common) for text in of_class]
    facts: dict[str, Any] = {
        "kind": answers.kind,
        "dataset": answers.dataset,
        "model": answers.model,
        "prompt": answers.prompt,
        "created": answers.created,
        "sha256": answers.sha256,
        "classes": len(answers.classes),
        "texts": len(texts),
        "words": sum(len(text.split()) for text in texts),
        "refused": answers.refused,
    }
    facts |= {"of_every_class": common} if common else {}
    if overrides:
        from fewshot.config.compose import settings_from

        names, ids = _classes(settings_from(overrides))
        known_texts = answers.of(names, ids)
        missing = [name for name, of_class in zip(names, known_texts, strict=True) if not of_class]
        others = answers.foreign(names, ids)
        near = _nearest(others, missing)
        facts |= {"missing": missing, "other_classes": others, "did_you_mean": near}
    return facts


def _classes(settings: dict[str, Any]) -> tuple[Sequence[str], Sequence[str] | None]:
    """Names and identifiers of the classes: of the card where it has them, else of the data.

    A card saves the download of a data set of which nothing but names is needed.
    """
    from fewshot.cli.text_asking import dataset_of
    from fewshot.datasets.cards import unique_names
    from fewshot.datasets.naming import AUTO
    from fewshot.paths import card

    facts = card(str(settings["dataset"].get("card")))
    names, ids = facts.get("classnames"), facts.get("ids")
    if settings["dataset"].get("classnames") != AUTO or not isinstance(names, list):
        dataset = dataset_of(settings)
        return dataset.classnames, dataset.ids
    return unique_names(names, ids or names), ids


def _nearest(others: Sequence[str], missing: Sequence[str]) -> dict[str, str]:
    """By class of the file that the data set lacks: a class without texts with a similar name."""
    from difflib import get_close_matches

    from fewshot.datasets.classnames import folded

    names = {folded(name): name for name in missing}
    near = {name: get_close_matches(folded(name), names, n=1) for name in others}
    return {name: names[found[0]] for name, found in near.items() if found}


def _print(facts: dict[str, Any], answers: Descriptions) -> None:
    print(
        f"{facts['dataset']}: {facts['texts']} {answers.kind} of {facts['classes']} classes, "
        f"{facts['words'] / max(facts['texts'], 1):.0f} words each on average\n"
        f"model {facts['model']}, prompt {facts['prompt']}, {facts['created']}\n"
        f"sha256 {facts['sha256']}\n"
    )
    for name, texts in list(answers.classes.items())[:FIRST]:
        text = ", ".join(texts) if answers.kind == "confusers" else texts[0]
        print(f"{name}: {text if len(text) <= LONGEST else text[: LONGEST - 3] + '...'}")
    if common := facts.get("of_every_class"):
        print(f"of every class: {', '.join(common[:LISTED])}{', ...' * (len(common) > LISTED)}")
    if len(answers.classes) > FIRST:
        print(f"... and {len(answers.classes) - FIRST} more classes")
    for name, reasons in answers.refused.items():
        print(f"refused for {name!r}: {reasons}")
    for key, words in (
        ("missing", f"without {WITHOUT[answers.kind]}"),
        ("other_classes", "of no class"),
    ):
        if facts.get(key):
            near = facts["did_you_mean"] if key == "other_classes" else {}
            names = (
                repr(name) + (f" (did you mean {near[name]!r}?)" if name in near else "")
                for name in facts[key]
            )
            print(f"{words}: {', '.join(names)}")

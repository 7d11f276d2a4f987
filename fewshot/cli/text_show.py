"""``fewshot text show``: content of a file of descriptions, confusers or a predictor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.cli.arguments import Parser, expect_overrides

if TYPE_CHECKING:
    from fewshot.text.descriptions import Descriptions

FIRST, LONGEST = 5, 100
WITHOUT = {"descriptions": "a description", "confusers": "confusers"}


def main(argv: Sequence[str]) -> int:
    """Check a file of descriptions, confusers or a predictor; say what is in it and missing."""
    parser = Parser(
        prog="fewshot text show",
        usage="fewshot text show FILE [--json] [dataset=NAME ...]",
        description=main.__doc__,
    )
    parser.add_argument("file", metavar="FILE", help="of fewshot text describe, confusers or fit")
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
    texts = [text for texts_of_class in answers.classes.values() for text in texts_of_class]
    facts = {
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
    if overrides:
        from fewshot.cli.text_asking import dataset_of
        from fewshot.config.compose import settings_from

        dataset = dataset_of(settings_from(overrides))
        names, ids = dataset.classnames, dataset.ids
        known_texts = answers.of(names, ids)
        facts["missing"] = [
            name
            for name, texts_of_class in zip(names, known_texts, strict=True)
            if not texts_of_class
        ]
        facts["other_classes"] = answers.foreign(names, ids)
    return facts


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
    if len(answers.classes) > FIRST:
        print(f"... and {len(answers.classes) - FIRST} more classes")
    for name, reasons in answers.refused.items():
        print(f"refused for {name!r}: {reasons}")
    for key, words in (
        ("missing", f"without {WITHOUT[answers.kind]}"),
        ("other_classes", "of no class"),
    ):
        if facts.get(key):
            print(f"{words}: {', '.join(map(repr, facts[key]))}")

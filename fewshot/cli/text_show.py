"""``fewshot text show``: what a file of descriptions or confusers holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.cli.arguments import Parser
from fewshot.exceptions import expect

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
    given, overrides = parser.parse_known_args(argv)
    for word in overrides:
        expect("=" in word, "fewshot text show", f"expected SETTING=VALUE, got {word!r}")
    from fewshot.tasks.one_class.confusers.lists import load_any

    file = Path(given.file).expanduser()
    if file.suffix == ".safetensors":
        return _show_predictor(file, given.json)
    found = load_any(file, "fewshot text show")
    facts = {"file": str(file)} | _facts(found, overrides)
    if given.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        _print(facts, found)
    return 0


def _show_predictor(file: Path, as_json: bool) -> int:
    from fewshot.cli.text_fit import facts_of, in_words
    from fewshot.text.gaussians.fitted import load_text_gaussians

    facts = {"file": str(file)} | facts_of(load_text_gaussians(file))
    print(json.dumps(facts, indent=2, ensure_ascii=False) if as_json else in_words(facts))
    return 0


def _facts(found: Descriptions, overrides: Sequence[str]) -> dict[str, Any]:
    texts = [text for own in found.classes.values() for text in own]
    facts = {
        "kind": found.kind,
        "dataset": found.dataset,
        "model": found.model,
        "prompt": found.prompt,
        "created": found.created,
        "sha256": found.sha256,
        "classes": len(found.classes),
        "texts": len(texts),
        "words": sum(len(text.split()) for text in texts),
        "refused": found.refused,
    }
    if overrides:
        from fewshot.cli.text_asking import dataset_of
        from fewshot.config.compose import settings_from

        dataset = dataset_of(settings_from(overrides))
        names, ids = dataset.classnames, dataset.ids
        has = found.of(names, ids)
        facts["missing"] = [name for name, own in zip(names, has, strict=True) if not own]
        facts["other_classes"] = found.foreign(names, ids)
    return facts


def _print(facts: dict[str, Any], found: Descriptions) -> None:
    print(
        f"{facts['dataset']}: {facts['texts']} {found.kind} of {facts['classes']} classes, "
        f"{facts['words'] / max(facts['texts'], 1):.0f} words each on average\n"
        f"model {facts['model']}, prompt {facts['prompt']}, {facts['created']}\n"
        f"sha256 {facts['sha256']}\n"
    )
    for name, texts in list(found.classes.items())[:FIRST]:
        text = ", ".join(texts) if found.kind == "confusers" else texts[0]
        print(f"{name}: {text if len(text) <= LONGEST else text[: LONGEST - 3] + '...'}")
    if len(found.classes) > FIRST:
        print(f"... and {len(found.classes) - FIRST} more classes")
    for name, reasons in found.refused.items():
        print(f"refused for {name!r}: {reasons}")
    for key, words in (
        ("missing", f"without {WITHOUT[found.kind]}"),
        ("other_classes", "of no class"),
    ):
        if facts.get(key):
            print(f"{words}: {', '.join(map(repr, facts[key]))}")

"""``fewshot text fit``: fit and save a predictor of class Gaussians from texts."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.cli.arguments import Parser, expect_overrides
from fewshot.exceptions import FewshotError, expect

if TYPE_CHECKING:
    from fewshot.features.bank import FeatureBank
    from fewshot.text.gaussians.fitted import TextGaussians

EPILOG = """\
Learned from are the base classes; all classes where the data set has no split. A run takes
the file in place of base classes of its own:

  fewshot text fit dataset=imagenet backbone=clip_vitb32 --output clip.safetensors
  fewshot dataset=dtd backbone=clip_vitb32 head=text_gaussian text.predictor=clip.safetensors
"""


def main(argv: Sequence[str]) -> int:
    """Learn class Gaussians from texts on the base classes of a data set, and write a file."""
    parser = Parser(
        prog="fewshot text fit",
        usage="fewshot text fit --output FILE [--json] [SETTING=VALUE ...]",
        description=main.__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--output", metavar="FILE", required=True, help="a .safetensors file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments, overrides = parser.parse_known_args(argv)
    expect_overrides("fewshot text fit", overrides)
    target = Path(arguments.output).expanduser()
    expect(
        target.suffix == ".safetensors", "--output", f"expected a .safetensors file, got {target}"
    )
    from fewshot.files import writing
    from fewshot.tasks.engine.class_gaussians import fit_text_gaussians

    fitted = fit_text_gaussians(_bank(overrides))
    with writing("--output", target):
        fitted.save(target)
    facts = {"file": str(target)} | facts_of(fitted)
    print(json.dumps(facts, indent=2, ensure_ascii=False) if arguments.json else in_words(facts))
    return 0


def _bank(overrides: Sequence[str]) -> FeatureBank:
    """Return features with text vectors; all classes are base classes without a split."""
    from fewshot.config.compose import settings_from
    from fewshot.evaluation.build import features_of
    from fewshot.hardware import device_named
    from fewshot.tasks.engine.judged_part import as_base

    settings = settings_from(overrides)
    if Path(str(settings["text"]["predictor"])).suffix:
        raise FewshotError("text.predictor", "expected a name to fit anew, got a file")
    return as_base(features_of(settings, device_named(settings["device"]), frozenset({"text"})))


def facts_of(fitted: TextGaussians) -> dict[str, Any]:
    """Return the facts of a predictor: fit, space, variances and pools."""
    gaussians = float((fitted.doubt / fitted.within).mean())
    return {
        "predictor": fitted.predictor.name,
        "parameters": fitted.predictor.get_params(),
        **{key: fitted.record.get(key) for key in ("dataset", "classes", "images")},
        "space": dict(fitted.space),
        "residual_variance_of_means": gaussians,
        "degrees_of_freedom_of_variances": fitted.freedom,
        "pools": {"/".join(key): asdict(pool) for key, pool in fitted.pools.items()},
    }


def in_words(facts: dict[str, Any]) -> str:
    """Format the facts of a predictor as text."""
    pool = facts["pools"]["diagonal/both"]
    space = facts["space"]
    return "\n".join(
        [
            f"Predictor    {facts['predictor']}, fitted on {facts['classes']} classes and "
            f"{facts['images']} images of {facts['dataset']}",
            f"Features     {space['backbone']}, {space['feature']}, {space['dimensions']} "
            f"dimensions, normalize={space['normalize']}",
            f"Means        residual variance {facts['residual_variance_of_means']:.2f} of that "
            "within classes",
            f"Variances    worth {facts['degrees_of_freedom_of_variances']:.0f} degrees of freedom",
            f"Pool         names {pool['names']:.3g}, regression {pool['regression']:.3g}, temper "
            f"{pool['temper']:.3g}, doubt {pool['doubt']:.3g}",
            f"File         {facts['file']}",
        ]
    )

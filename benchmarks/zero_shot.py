"""Zero-shot accuracy: every image takes the class whose name is nearest in the joint space.

    python zero_shot.py --images DIR --backbone conse_lite0       # DIR/<class>/<image>
    python zero_shot.py --images DIR --backbone clip_vitb32 --template "a photo of a {}."

The name of a folder is the name of its class, underscores read as spaces. The interval is over
images: other pictures of the same classes. Confidence is the mean highest probability under the
backbone's own scale; above the accuracy, its probabilities are too sure.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from common import write
from torch.nn.functional import normalize

import fewshot
from fewshot.backbones import load
from fewshot.statistics import mean_interval


def measure(images: str, name: str, template: str) -> dict[str, Any]:
    """Accuracy of one backbone on one folder, features taken from the cache if they are there."""
    dual = load(name).load_dual(torch.device("cpu"))
    bank = fewshot.extract(images, name, split="none", text=False)
    features = torch.as_tensor(bank.features).float()
    texts = dual.encode_text([template.format(c.replace("_", " ")) for c in bank.classnames])
    cosines = normalize(features, dim=-1) @ normalize(texts, dim=-1).T
    certainty, guess = (dual.logit_scale * cosines + dual.logit_bias).softmax(-1).max(-1)
    right = mean_interval((guess == torch.as_tensor(bank.labels)).double().numpy())
    return {
        "backbone": name,
        "template": template,
        "images": len(bank),
        "classes": len(bank.classnames),
        "chance (%)": f"{100 / len(bank.classnames):.1f}",
        "accuracy (%)": f"{100 * right['mean']:.2f}",
        "95 % interval": f"{100 * right['lower']:.2f} to {100 * right['upper']:.2f}",
        "confidence (%)": f"{100 * certainty.mean():.1f}",
    }


def main() -> None:
    """One row per backbone."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True, metavar="DIR", help="a sub-folder per class")
    parser.add_argument("--backbone", nargs="+", default=["conse_lite0"], metavar="NAME")
    parser.add_argument("--template", default="{}", help="with {} where the class name goes")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    try:
        rows = [measure(given.images, name, given.template) for name in given.backbone]
    except fewshot.FewshotError as error:
        parser.error(str(error))
    write(given.json, rows)


if __name__ == "__main__":
    main()

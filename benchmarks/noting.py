"""fewshot's command line, in a process that notes in its folder what it computes.

begun.txt gets a line per cell that is begun, extracted.txt the number of images of every batch that
passes a packaged network. Cells are noticed by the estimator ``constant``, which a run has to have.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from fewshot.backbones import kinds
from fewshot.estimators import Constant

Packaged: Any = kinds["packaged"].load()
configured, load = Constant.configured, Packaged.load


def note(name: str, text: object) -> None:
    """Append a line; short ones are written whole, whatever other processes write."""
    with Path(name).open("a") as file:
        file.write(f"{text}\n")


def configured_noted(estimator: Constant, settings: Any) -> Constant:
    """Configure the estimator, the first step of a cell."""
    note("begun.txt", "cell")
    return configured(estimator, settings)


def load_noted(backbone: Any, device: Any) -> Any:
    """Load the network."""
    encode = load(backbone, device)

    def encode_noted(images: Any) -> Any:
        note("extracted.txt", len(images))
        return encode(images)

    return encode_noted


if __name__ == "__main__":
    Constant.configured = configured_noted  # type: ignore[method-assign]
    Packaged.load = load_noted
    runpy.run_module("fewshot", run_name="__main__", alter_sys=True)

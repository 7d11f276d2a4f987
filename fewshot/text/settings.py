"""Settings of class texts: the section ``text`` of a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TextSettings:
    """What heads that read class names get, and what predicts class Gaussians from text.

    Attributes
    ----------
    source : {"templates", "descriptions", "both"}
        Texts of a class: prompts with its name, or sentences that a language model wrote.
    templates : str or sequence of str, optional
        Prompts with {} in place of the name: "name", "photo", "ensemble", "openai_imagenet" (80)
        and others, also as "ensemble@1"; "clip" or "coop", those of CLIP's or CoOp's authors for
        the data set; or a list of prompts. None or "card": those of the data set's card, else
        "photo".
    descriptions : str, optional
        What ``fewshot text describe`` wrote, or {class: [texts]} as published (JSON, YAML, CSV);
        None: the file for this data set in the cache.
    missing : {"raise", "templates"}
        A class without a description; "templates" is recorded in ``summary.json``.
    predictor : str
        What predicts class Gaussians from text, for ``head=text_gaussian``: "ridge" or "network",
        which learn from the base classes; or a .safetensors file of ``fewshot text fit``.
    rank : int >= 1, optional
        Main directions of a reduced-rank ridge; None: full rank.
    learn_from : str, optional
        Another data set to learn the predictor from: a name of ``fewshot list datasets``, or a file
        of features with text; all its base classes, or all classes where it has no split. None: the
        data set at hand.
    """

    source: str = "templates"
    templates: str | Sequence[str] | None = None
    descriptions: str | None = None
    missing: str = "raise"
    predictor: str = "ridge"
    rank: int | None = None
    learn_from: str | None = None

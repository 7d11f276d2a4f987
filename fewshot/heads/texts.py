"""Text vectors of the classes, for heads that read class names."""

from __future__ import annotations

from torch import Tensor

from fewshot.exceptions import FewshotError
from fewshot.heads.base import Support
from fewshot.heads.solvers.transforms import unit_length


def class_text(support: Support, name: str) -> Tensor:
    """Unit-length text vectors (E, N, D) for the head called `name`.

    Raises
    ------
    FewshotError
        The support comes without text vectors.
    """
    if support.context.text is None:
        raise no_text(name)
    return unit_length(support.context.text)


def no_text(name: str) -> FewshotError:
    """The message for features without text vectors."""
    return FewshotError(
        f"head={name}",
        "this head reads class names, and these features come without text vectors",
        "Take a dual encoder (backbone=clip_vitb32, backbone=conse_lite0), or give features "
        "with an array `text` (C, D).",
    )

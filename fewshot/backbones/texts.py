"""Input check and batching shared by the text encoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fewshot.exceptions import FewshotError

AT_ONCE = 256


def text_list(texts: Sequence[str]) -> list[str]:
    """`texts` as a list of str.

    Raises
    ------
    FewshotError
        Not a sequence of at least one string.
    """
    several = not isinstance(texts, str) and all(isinstance(text, str) for text in texts)
    if not several or len(texts) == 0:
        got = f"the text {texts!r}" if isinstance(texts, str) else repr(list(texts)[:3])
        raise FewshotError("texts", f"expected a list of at least one text, got {got}")
    return list(texts)


def encode_in_batches(
    encode: Callable[[list[str]], Tensor], texts: Sequence[str], at_once: int = AT_ONCE
) -> Tensor:
    """Features (T, D), float32, on the CPU, of T texts in batches of `at_once`."""
    texts, rows = text_list(texts), []
    for start in range(0, len(texts), at_once):
        with torch.inference_mode():
            rows.append(encode(texts[start : start + at_once]).float().cpu())
    return torch.cat(rows)

"""Sizes: how large an image is when the network sees it, and which grid of tokens that gives."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from fewshot.backbones.transform import BYTES_PER_PIXEL, SURE
from fewshot.exceptions import FewshotError, expect, shown
from fewshot.memory import available_memory
from fewshot.units import size as in_bytes

ARGUMENT = "segmentation.size"
KINDS = ("native", "short", "tokens", "paper")
REMEDY = (
    "Say native, short:384 (pixels of the short side), tokens:1369 (tokens per image) or paper "
    "(1024 x 1024)."
)
LOWER = "Set segmentation.size to short:N or tokens:N with a lower number."
PAPER = 1024  # pixels of both sides in arXiv 2401.11311 and its code, whatever the image's ratio
MOST = 2**24  # of the number: sides and tokens beyond have no use


@dataclass(frozen=True)
class InputSize:
    """The setting ``segmentation.size``.

    Attributes
    ----------
    kind : {"native", "short", "tokens", "paper"}
    number : int
        Pixels of the short side, or tokens; 0 for the others.
    """

    kind: str
    number: int = 0

    @classmethod
    def of(cls, value: object) -> InputSize:
        """Read ``native``, ``short:N``, ``tokens:N`` or ``paper``.

        Raises
        ------
        FewshotError
            Something else: names the setting.
        """
        if isinstance(value, cls):
            return value
        match = re.fullmatch(r"(native|paper)|(short|tokens):([0-9]{1,8})", str(value).strip())
        number = int(match[3] or 0) if match else 0
        if match is None or (match[2] and not 1 <= number <= MOST):
            raise FewshotError(
                ARGUMENT,
                f"expected native, short:N, tokens:N (N from 1 to {MOST}) or paper, got "
                f"{shown(value)}",
                REMEDY,
            )
        return cls(match[1] or match[2], number)

    def __str__(self) -> str:
        return f"{self.kind}:{self.number}" if self.number else self.kind

    def resized(self, width: int, height: int, stride: int, multiple: int) -> tuple[int, int]:
        """Width and height (>= 1) to which an image is resized; the sides' ratio is kept.

        Parameters
        ----------
        width, height : int
            Pixels of the image.
        stride : int
            Pixels per token.
        multiple : int
            Of pixels that the network takes. "paper" rounds 1024 down to it, as the benchmark's
            code does for patches of 14.
        """
        if self.kind == "native":
            return width, height
        if self.kind == "paper":
            side = max(PAPER // multiple, 1) * multiple
            return side, side
        if self.kind == "tokens":
            return with_tokens(width, height, stride, self.number)
        return short_side(width, height, self.number)


def short_side(width: int, height: int, edge: int) -> tuple[int, int]:
    """Width and height with `edge` pixels on the short side, rounded as `Transform.resized`.

    Examples
    --------
    >>> short_side(480, 360, 384)
    (512, 384)
    """
    if width <= height:
        return edge, edge * height // width
    return edge * width // height, edge


def with_tokens(width: int, height: int, stride: int, tokens: int) -> tuple[int, int]:
    """The largest width and height that give about `tokens` tokens.

    Among sizes with the sides' ratio of which one side is whole tokens, those whose number of
    tokens is nearest to `tokens`; the smaller one of two that are as near.

    Examples
    --------
    >>> with_tokens(640, 640, 14, 1369), grid((518, 518), 14)
    ((518, 518), (37, 37))
    >>> with_tokens(2048, 1024, 14, 1369), grid((728, 364), 14)
    ((728, 364), (26, 52))
    """
    candidates = set()
    for along, across, is_width in ((width, height, True), (height, width, False)):
        ideal = math.sqrt(tokens * along / across)
        near = {max(1, math.floor(ideal) + step) for step in (-1, 0, 1, 2)}
        for count in near | ({tokens} if ideal > tokens else set()):
            long = count * stride
            sides = long, max(1, long * across // along)
            candidates.add(sides if is_width else sides[::-1])

    def distance(sides: tuple[int, int]) -> tuple[int, int, tuple[int, int]]:
        number = math.prod(grid(sides, stride))
        return abs(number - tokens), number, (-sides[0], -sides[1])

    return min(candidates, key=distance)


def padded(resized: tuple[int, int], multiple: int) -> tuple[int, int]:
    """Width and height of the network's input: rounded up to a multiple."""
    width, height = (math.ceil(side / multiple) * multiple for side in resized)
    return width, height


def grid(resized: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of the tokens of an image of this width and height, padding left out."""
    width, height = resized
    return math.ceil(height / stride), math.ceil(width / stride)


def check_memory(width: int, height: int) -> None:
    """Raise FewshotError unless an input of this size can fit into the memory that is available."""
    pixels = width * height
    available = available_memory()
    if pixels <= SURE * SURE or available is None:
        return
    expect(
        BYTES_PER_PIXEL * pixels <= available,
        ARGUMENT,
        f"an image of {width} x {height} pixels needs {in_bytes(BYTES_PER_PIXEL * pixels)} of "
        f"memory or more, and {in_bytes(available)} are available",
        LOWER,
    )

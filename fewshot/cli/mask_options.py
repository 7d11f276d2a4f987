"""Options that `fewshot segment` and `fewshot fit --task segmentation` share."""

from __future__ import annotations

import argparse
import re

SETTING = re.compile(r"(dataset|backbone|segmentation|paths|head)\.[\w.]+=.*", re.DOTALL)


def add_dense_head(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which head is fitted, on features of which network."""
    add = parser.add_argument
    add("--head", metavar="NAME",
        help="`fewshot list heads --task segmentation` (default: pixel_lda); auto chooses by "
        "leaving annotated images out")  # fmt: skip
    add("-b", "--backbone", metavar="NAME",
        help="`fewshot list backbones` (default: efficientnet_lite0)")  # fmt: skip
    add(
        "--size",
        metavar="SIZE",
        help="native, short:N (pixels of the short side), tokens:N, paper (default: short:384)",
    )
    add(
        "--no-prediction",
        action="store_true",
        help="leave out the predicted mIoU: the head is fitted once per image for it",
    )

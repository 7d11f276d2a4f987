"""What is said of cells that fail, while the others go on."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from tqdm import tqdm

from fewshot.exceptions import FewshotError
from fewshot.report.left_out import failure_text


class FailureTeller:
    """Prints a line for each; before it the traceback of a defect, once if many cells have it."""

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def __call__(self, failed: Mapping[str, Any], error: Exception) -> None:
        """Tell of one cell, an entry of ``failed`` in ``summary.json``."""
        if not isinstance(error, FewshotError) and failed["error"] not in self._shown:
            self._shown.add(failed["error"])
            tqdm.write("".join(traceback.format_exception(error)), file=sys.stderr, end="")
        tqdm.write(f"fewshot: failed: {failure_text(failed)}", file=sys.stderr)


def exit_code(failed: Iterable[Mapping[str, Any]]) -> int:
    """1 if a cell met a defect, 2 if one failed otherwise, else 0."""
    codes = [1 if one["defect"] else 2 for one in failed]
    return min(codes, default=0)

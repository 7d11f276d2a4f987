"""What an evaluation tells on the way: warnings, what is left out, and cells that fail."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from fewshot.exceptions import FewshotError
from fewshot.paths import PACKAGE
from fewshot.report.text.left_out import failure_text, left_out_text
from fewshot.results.schema import Failed, LeftOut


class Notices:
    """Tells nothing; base of those that do."""

    def warn(self, text: str) -> None:
        """Something about the data that the user should know."""

    def left_out(self, entries: Sequence[LeftOut]) -> None:
        """Combinations that are not evaluated, with their reasons."""

    def failed(self, failed: Failed, error: Exception) -> None:
        """A cell that failed, while others go on."""


class OnTerminal(Notices):
    """Lines on standard error, and the traceback of each internal error once."""

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def warn(self, text: str) -> None:
        """Print a line."""
        print(f"fewshot: {text}", file=sys.stderr)

    def left_out(self, entries: Sequence[LeftOut]) -> None:
        """Print a line, if anything is left out."""
        if entries:
            self.warn(f"left out: {left_out_text(entries)}")

    def failed(self, failed: Failed, error: Exception) -> None:
        """Print one failed cell, an entry of ``failed`` in ``summary.json``."""
        if not isinstance(error, FewshotError) and failed["error"] not in self._shown:
            self._shown.add(failed["error"])
            tqdm.write("".join(traceback.format_exception(error)), file=sys.stderr, end="")
        tqdm.write(f"fewshot: failed: {failure_text(failed)}", file=sys.stderr)


class AsWarnings(Notices):
    """Warnings of Python, at the line outside of this package that called it."""

    def warn(self, text: str) -> None:
        """Issue a UserWarning."""
        warnings.warn(text, stacklevel=_frames_within_package() + 1)

    def left_out(self, entries: Sequence[LeftOut]) -> None:
        """Issue a UserWarning, if anything is left out."""
        if entries:
            self.warn(f"left out: {left_out_text(entries)}")

    def failed(self, failed: Failed, error: Exception) -> None:
        """Issue a UserWarning for a failed cell."""
        self.warn(f"failed: {failure_text(failed)}")


def _frames_within_package() -> int:
    """Number of frames from the caller of this function up that are of this package."""
    frame, count = sys._getframe(1), 0
    while frame.f_back is not None and Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
        frame, count = frame.f_back, count + 1
    return count

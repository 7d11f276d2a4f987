"""Arguments of the small commands."""

from __future__ import annotations

import argparse
from typing import NoReturn

from fewshot.exceptions import FewshotError


class Parser(argparse.ArgumentParser):
    """argparse, with its errors in the house form."""

    def error(self, message: str) -> NoReturn:
        """Raise where argparse would print its usage and exit."""
        raise FewshotError(self.prog, message, f"See {self.prog} --help.")

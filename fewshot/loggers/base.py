"""What all trackers have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib.util import find_spec
from typing import ClassVar

from fewshot.exceptions import FewshotError, install_command
from fewshot.loggers.record import Record


class Logger(ABC):
    """A tracker. The constructor keeps settings; nothing is imported or opened before `log`.

    Attributes
    ----------
    name : str
        As in ``logger=NAME``; also that of the extra of the package.
    modules : tuple of str
        What has to be installed.
    """

    name: ClassVar[str]
    modules: ClassVar[tuple[str, ...]]

    def check(self) -> None:
        """Raise if this logger could not work; called before anything is computed.

        Raises
        ------
        FewshotError
            A package is missing, or a setting is wrong.
        """
        self.expect_installed(*self.modules)

    def expect_installed(self, *modules: str) -> None:
        """Raise unless these can be imported."""
        missing = [module for module in modules if find_spec(module) is None]
        if missing:
            raise FewshotError(
                "logger",
                f"{self.name} needs {' and '.join(missing)}, not installed here",
                f"Run: {install_command(self.name)}.",
            )

    @abstractmethod
    def log(self, record: Record) -> None:
        """Write a record. Whatever this raises becomes a warning."""

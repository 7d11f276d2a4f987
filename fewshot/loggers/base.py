"""Base class of the experiment trackers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib.util import find_spec
from typing import ClassVar

from fewshot.exceptions import FewshotError, install_command
from fewshot.loggers.record import Record


class Logger(ABC):
    """Base class of trackers. The constructor keeps settings; `log` imports and opens the tracker.

    Attributes
    ----------
    name : str
        As in ``logger=NAME``; also the name of the optional dependency group (extra).
    modules : tuple of str
        Modules that have to be installed.
    """

    name: ClassVar[str]
    modules: ClassVar[tuple[str, ...]]

    def check(self) -> None:
        """Raise if this logger cannot be used; called before anything is computed.

        Raises
        ------
        FewshotError
            A package is missing, or a setting is wrong.
        """
        self.expect_installed(*self.modules)

    def expect_installed(self, *modules: str) -> None:
        """Raise `FewshotError` unless all `modules` can be imported."""
        missing = [module for module in modules if find_spec(module) is None]
        if missing:
            raise FewshotError(
                "logger",
                f"{self.name} needs {' and '.join(missing)}, not installed here",
                f"Run: {install_command(self.name)}.",
            )

    @abstractmethod
    def log(self, record: Record) -> None:
        """Write a record. The caller turns any exception into a warning."""

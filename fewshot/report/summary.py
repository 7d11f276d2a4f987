"""The summary that a report is made of."""

from __future__ import annotations

from typing import Any, NotRequired

from fewshot.results.schema import RunSummary


class JoinedSummary(RunSummary):
    """Summary of one run, or of several as `fewshot.results.joining.Store.summary` joins them."""

    runs: NotRequired[list[str]]
    made: NotRequired[list[dict[str, Any]]]
    left_aside: NotRequired[list[dict[str, Any]]]
    unreadable: NotRequired[list[dict[str, str]]]
    ahead: NotRequired[list[dict[str, str]]]

"""Results: typed rows and summaries, their storage, queries and comparison."""

from fewshot.results.result import Result

__all__ = ["Result"]

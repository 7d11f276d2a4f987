"""Typed rows, their statistics and where they are kept."""

from fewshot.results.result import Result

__all__ = ["Result"]

"""Intervals, paired tests and ranking measures: pure functions of arrays."""

"""Comparison of cells: candidates, paired differences, ranks and predicted errors."""

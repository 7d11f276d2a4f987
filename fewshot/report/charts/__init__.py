"""Figures as data: traces, axes and words, computed once for paper and page. No matplotlib."""

"""Terms of the glossary at the end of the page that several tasks share."""

from __future__ import annotations

RANKING = (
    "AUROC, AP, FPR95",
    "AUROC: probability that a query of the class scores above one of another class, ties counted "
    "half, 50 % by chance. AP: average precision, by chance about the share of positives. FPR95: "
    "share of the others that are accepted at the highest threshold that accepts 95 % of those of "
    "the class; lower is better.",
)

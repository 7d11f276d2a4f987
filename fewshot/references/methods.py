"""Papers of what settings choose by a word, and what has no class that could name them.

Empty where there is nothing to cite. Keys of `fewshot.references.known_references`.
"""

from __future__ import annotations

from collections.abc import Mapping

Keys = tuple[str, ...]

# `episodes.sampler`, of all tasks.
SAMPLERS: Mapping[str, Keys] = {
    "balanced": ("vinyals2016matching",),
    "imbalanced": ("veilleux2021realistic",),
    "all_way": ("radford2021learning",),
    "effective": ("martin2022towards", "martin2024transductive", "zanella2025realistic"),
    "disjoint": ("lafargue2024oops",),
    "meta_dataset": ("triantafillou2020meta",),
    "per_class": ("bensaid2024novel",),
    "greedy": ("bensaid2024novel",),
    "total": (),
    "episodic": ("shaban2017one", "boudiaf2021few"),
}
# `calibration.method`.
CALIBRATION: Mapping[str, Keys] = {
    "offset": ("bendou2023statistical",),
    "slope": (),
    "isotonic": ("zadrozny2002transforming",),
    "ridge": ("papke1996econometric",),
}
# `dataset.protocol`, and `dataset.class_split` of cards that have another than their own.
DATASET_PROTOCOLS: Mapping[str, Keys] = {
    "coop": ("zhou2022learning",),
    "meta_dataset": ("triantafillou2020meta",),
}
# Data sets with masks that their layout tells apart; others come in that of VOC or COCO, too.
LAYOUTS: Mapping[str, Keys] = {
    "cityscapes": ("cordts2016cityscapes",),
    "ade20k": ("zhou2017scene",),
    "scenes": (),
}
# `open_set.score`, and the rules of one class that are not from the paper of the task.
OPEN_SET_SCORES: Mapping[str, Keys] = {
    "probability": ("hendrycks2017baseline",),
    "entropy": (),
    "score": ("vaze2022open",),
}
ONE_CLASS_RULES: Mapping[str, Keys] = {
    "two_groups": ("novack2023chils", "dempster1977maximum", "fraley2007bayesian"),
}
# Statistics, by what a summary calls them.
STATISTICS: Mapping[str, Keys] = {
    "closed_form": ("lafargue2024oops",),
    "boundary_iou": ("cheng2021boundary",),
    "miou": ("graybill1980confidence",),
    "spearman": ("bonett2000sample",),
    "paired test": ("phipson2010permutation",),
}
# What `fewshot predict`, `fit` and `classify` work out; parts of model files by their names there.
FITTED_MODELS: Mapping[str, Keys] = {
    "card": ("mitchell2019model",),
    "probabilities": ("guo2017calibration",),
    "sets": ("sadinle2019least", "vovk2005algorithmic", "vovk2015cross"),
    "review": ("geifman2017selective",),
    "strangers": ("lee2018simple",),
    "next labels": ("frazier2009knowledge", "yu2006active"),
    "choice of a head": ("efron1993introduction",),
    "scores of backbones": (
        "you2021logme",
        "bao2019information",
        "ibrahim2022newer",
        "huang2022frustratingly",
        "pandy2022transferability",
    ),
}
TABLES = (
    SAMPLERS,
    CALIBRATION,
    DATASET_PROTOCOLS,
    LAYOUTS,
    OPEN_SET_SCORES,
    ONE_CLASS_RULES,
    STATISTICS,
    FITTED_MODELS,
)

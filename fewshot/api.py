"""The public verbs: extract features, evaluate heads, predict an error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fewshot.episodes import EpisodeSet
from fewshot.estimators.calibration.calibrators import SOURCES
from fewshot.evaluation.arguments import (
    UNKNOWN,
    is_number,
    sampler_settings,
    sampling_from,
    source_from,
    with_defaults,
    with_queries_from,
)
from fewshot.evaluation.evaluation import Evaluation
from fewshot.evaluation.inputs import BACKBONE, source_of
from fewshot.evaluation.named import (
    complete_estimators,
    is_single,
    named_estimators,
    named_heads,
)
from fewshot.evaluation.notices import AsWarnings
from fewshot.evaluation.results import Results
from fewshot.evaluation.run import run_summary
from fewshot.evaluation.sources import GivenFeatures
from fewshot.exceptions import expect, expect_choice, expect_number
from fewshot.features.bank import FeatureBank, make_bank
from fewshot.features.copies import with_copies
from fewshot.features.data_warnings import files_warnings
from fewshot.features.ranges import check_range
from fewshot.hardware import device_named
from fewshot.heads.base import Head
from fewshot.results.cells import CellStore
from fewshot.tasks import task_named
from fewshot.tasks.engine.settings import Settings

if TYPE_CHECKING:
    from fewshot.tasks.segmentation.draws import DrawSet
    from fewshot.tasks.segmentation.heads.base import DenseHead


def extract(
    images: Any,
    backbone: str = BACKBONE,
    *,
    split: str | None = None,
    text: bool | None = None,
    normalize: str = "auto",
    on_error: str = "raise",
    size: int | None = None,
    device: str | torch.device = "auto",
    threads: int | None = None,
    weights: str | Path | None = None,
    cache: str | Path | None = None,
) -> FeatureBank:
    """Features of images under a pretrained network, from the cache or extracted.

    Parameters
    ----------
    images : str, Path or ImageDataset
        A folder with a sub-folder of images per class, a name of ``fewshot list datasets``, or a
        data set as of `fewshot.datasets.Folder`.
    backbone : str
        A name of ``fewshot list backbones``, ``timm:MODEL``, ``torchvision:MODEL/PRETRAINED``,
        ``open_clip:MODEL/PRETRAINED``, ``resnet12:FILE`` or ``callable:MODULE:FUNCTION``.
    split : str, optional
        Base and novel classes: "random", "none", or a file that lists the parts; by default as the
        data set has it.
    text : bool, optional
        Whether the bank gets text vectors of the class names, for heads that read them; by default
        where the backbone has a text encoder.
    normalize : {"auto", "l2", "none"}
        Whether features are used at unit length; auto: those of images are.
    on_error : {"raise", "skip"}
        What to do about images that cannot be read.
    size : int, optional
        Input of the network in pixels.
    device : str or torch.device
    threads : int, optional
        Cores to use; all by default.
    weights, cache : str or Path, optional
        Where weights are looked for first, and where features are kept.

    Returns
    -------
    FeatureBank
        ``features`` (M, D), ``labels`` (M,), ``classnames``, ``paths``.

    Raises
    ------
    FewshotError
        No such folder or name, an unknown backbone, weights that cannot be had, unreadable images.
    """
    network_device = device_named(str(device))
    dataset = {"on_error": on_error} | ({} if split is None else {"split": split})
    paths = {"weights": weights, "cache": cache}
    given_paths = {name: str(path) for name, path in paths.items() if path is not None}
    source = source_of(
        images,
        network_device,
        argument="images",
        backbone=backbone,
        size=size,
        threads=threads,
        dataset=dataset,
        features={"normalize": normalize},
        paths=given_paths,
    )
    if isinstance(source, GivenFeatures):
        return source.bank(frozenset())
    with_text = source.has_text() if text is None else text
    bank = source.bank(frozenset({"text"} if with_text else ()))
    for warning in files_warnings(bank.info):
        AsWarnings().warn(warning)
    return bank


def evaluate(
    features: Any,
    labels: Any = None,
    split: Any = None,
    head: str | Head | DenseHead | Iterable[str | Head | DenseHead] | None = None,
    ways: int | Iterable[int] | str | None = None,
    shots: int | Iterable[int] | None = None,
    episodes: int | EpisodeSet | DrawSet | None = None,
    queries: int | str | None = None,
    seed: int | Iterable[int] = 0,
    estimators: Iterable[str] | Mapping[str, Any] | None = None,
    calibration: str = "none",
    *,
    method: str = "slope",
    level: float = 0.9,
    calibrator: str | None = None,
    classnames: Sequence[str] | None = None,
    normalize: str | None = None,
    min_images: str = "raise",
    text: Any = None,
    logit_scale: float = 100.0,
    predictor: Any = "ridge",
    subset: Any = None,
    sampler: str | Mapping[str, Any] | None = None,
    unlabelled: int | str | None = None,
    unlabelled_shares: str = "equal",
    strangers: float = 0.0,
    part: str = "novel",
    queries_from: Any = None,
    dataset: str = "features",
    backbone: str = UNKNOWN,
    task: str = "classification",
    options: Mapping[str, Any] | None = None,
    runs: str | Path | None = None,
    policy: str = "only-missing",
    device: str | torch.device = "cpu",
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Results:
    """Evaluate few-shot classifiers on frozen features, and the predictions of their errors.

    Defaults of arguments that are None are those of the task (`fewshot.tasks.Task.arguments`);
    here are those of "classification", "verification" and "one_class". For "segmentation" see
    docs/python.md.

    Parameters
    ----------
    features : array or tensor of shape (M, D), FeatureBank, ImageDataset, str or Path
        Features with `labels`; or a bank, a data set, a folder with a sub-folder of images per
        class, a name of ``fewshot list datasets``, a file of features: these have their labels.
        For segmentation a folder with ``images/`` and ``masks/``, a name, or a MaskDataset.
    labels : array or tensor of shape (M,), optional
        Integers or strings, none missing; of arrays only.
    split : array of M str, or str, optional
        "base", "validation" or "novel" for every row, classes being disjoint. Episodes come
        from the novel classes; base classes serve the ``constant`` baseline, the one-shot
        estimates and the calibration. Without it episodes come from all classes. Of images: a
        word or file for the setting ``dataset.split``, as "random".
    head : str, Head, or several of them, optional
        Names of ``fewshot list heads``, or objects; "ncm" by default.
    ways : int, several or "auto", optional
        N >= 2 classes of an episode. "auto", the default, takes what the card of the data set
        suggests, else 5; all classes where there are fewer.
    shots : int or several, optional
        Labelled images K per class, 5 by default; K = 0 for heads that know classes by their names.
    episodes : int or EpisodeSet, optional
        How many to draw, 600 by default, or drawn ones to replay (`ways`, `shots`, `queries` are
        then theirs).
    queries : int or "all", optional
        Query images per class, or all the rest, the default, which makes the actual error precise;
        15 with the samplers "imbalanced" and "disjoint".
    seed : int or several
        Decides the episodes.
    estimators : names of ``fewshot list estimators``, or a mapping of names to objects, optional
        "auto", "margin", "gaussian", "loo" and "constant" by default.
    calibration : {"none", "base", "datasets"}
        ``auto`` is always calibrated, on base classes if there are any. "base" and "datasets"
        calibrate the other estimators as well, on base-class episodes or by a calibrator fitted
        on other data sets, and give them intervals.
    method : {"slope", "offset", "isotonic"}
        How raw estimates are calibrated on base classes.
    level : float
        Nominal coverage of the prediction intervals.
    calibrator : str, optional
        JSON that ``fewshot calibrate`` wrote; the package's general-purpose one by default.
    classnames : sequence of str, optional
        Of arrays only.
    normalize : {"none", "l2"}, optional
        "l2" scales every feature to unit length first, as most few-shot work does. By default
        arrays are used unchanged, features of images have unit length, and a bank is used as it
        says. The table of the results says what was done.
    min_images : {"raise", "drop"}
        What to do about a class with fewer images than an episode needs.
    text : array or tensor of shape (C, D), optional
        A vector per class name in the space of the features, for heads that read class names. Of
        arrays only: banks and images under a dual encoder have theirs.
    logit_scale : float > 0
        Factor by which the encoder of `text` multiplies cosines; CLIP's by default.
    predictor : str, TextPredictor or TextGaussians
        Predictor of class Gaussians from `text` for ``text_gaussian``: "ridge" or "network", which
        learn from the base classes, or the content of a file of ``fewshot text fit``, read by
        ``fewshot.text.gaussians.fitted.load_text_gaussians``.
    subset : array of M str, optional
        "train", "validation" or "test" for every row, for the sampler "all_way". Of arrays only.
    sampler : {"balanced", "imbalanced", "all_way", "effective"} or mapping, optional
        "balanced" by default. "imbalanced" draws the share of each class among `ways` times
        `queries` queries from a Dirichlet distribution (alpha 2).
        "all_way" has every class in every episode: `episodes` draws of `shots` training images, all
        test images as queries; `ways` and `queries` are ignored.
        "effective" has shots of `ways` classes, of all by default, and 75 queries of only five of
        them. A mapping has the ``name`` and settings of ``conf/episodes/<name>.yaml`` that other
        samplers do not have: ``{"name": "effective", "k_eff": 10, "queries_total": 100}``.
        "meta_dataset" has 5 to 50 ways, unequal shots and at most 10 queries per class; `ways` and
        `queries` are the largest numbers, `shots` is none. ``{"name": "meta_dataset", "taxonomy":
        "names"}`` draws related classes, see `fewshot.episodes.sample_meta_dataset`.
    unlabelled : int or "queries", optional
        Unlabelled images of every episode, for estimators that see them and heads that learn from
        them: N per class of its classes, apart from shots and queries and the same for all numbers
        of shots; or the queries without their labels. With ``queries="all"`` the queries are what
        is left. Transductive heads learn from the N images where there are any and classify every
        query by itself (semi-supervised); else from the queries, and strangers beside them.
    unlabelled_shares : {"equal", "dirichlet"}
        Whether every class has N of them, or the classes share N times `ways` by a Dirichlet
        distribution (alpha 2).
    strangers : float in [0, 1)
        Share, of all unlabelled images, of images of classes outside of the episode.
    part : {"novel", "validation", "base"}
        Which classes episodes come from, where there is a `split`. Hyper-parameters are chosen on
        "base" or "validation" classes, which then no longer serve as base classes; the column
        ``part`` of the rows records it.
    queries_from : FeatureBank, ImageDataset, str, Path, or (features, labels), optional
        Another data set whose images are the queries, of the same classes by name (domain shift):
        whatever `features` takes, or a pair of arrays. The column ``dataset`` says ``A -> B``.
    dataset : str
        Name for the rows, of arrays.
    backbone : str
        Of arrays, a name for the rows; of images, the network: a name of ``fewshot list
        backbones``, EfficientNet-Lite0 by default.
    task : str
        A name of ``fewshot list tasks``.
    options : mapping, optional
        Settings of the task itself, the section of its name in ``fewshot --cfg job``.
    runs : str or Path, optional
        Folder of runs in which finished cells are found, and kept until `Results.save` has
        written them there. By default every cell is computed.
    policy : {"only-missing", "always", "never"}
        Which cells are computed, where there are `runs`.
    device : str or torch.device
    threads : int, optional
        Cores to use; all by default. The rows do not depend on it.
    progress : callable, optional
        Called with the number of episodes finished since the last call, in place of a progress
        bar.

    Returns
    -------
    Results
        Of every head, number of ways and shots, and seed: ``.episodes``, ``.predictions`` and
        ``.table`` are data frames; ``.summary`` is a dict of a single cell, and ``.table`` of
        several; ``.compare``, ``.plot``, ``.report`` and ``.save`` go on from there.

    Warns
    -----
    UserWarning
        Labels of -1 beside numbers from 0 on; rows with the same features as others; heads that
        need more shots; cells that failed where others did not.

    Raises
    ------
    FewshotError
        An invalid argument. The message names the argument, the allowed values, the value
        received and a remedy.

    Examples
    --------
    >>> import numpy as np, fewshot
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat(np.arange(10), 50)
    >>> features = rng.normal(size=(10, 64))[labels] + rng.normal(size=(500, 64))
    >>> result = fewshot.evaluate(features, labels, ways=5, shots=5, episodes=100)
    >>> result.episodes.shape[0], bool(result.summary["accuracy"]["mean"] > 0.9)
    (100, True)
    >>> both = fewshot.evaluate(features, labels, head=["ncm", "lda"], shots=[1, 5], episodes=50)
    >>> len(both.table), sorted(set(both.episodes["head"]))
    (4, ['lda', 'ncm'])
    """
    begun = time.perf_counter()
    expect_choice("calibration", calibration, SOURCES)
    expect(isinstance(backbone, str), "backbone", f"expected one name, got {backbone!r}",
           "Evaluate each, then join them: fewshot.Results.join([a, b]).")  # fmt: skip
    chosen = task_named(task)
    heads = chosen.registry("head")
    given = {"head": head, "ways": ways, "shots": shots, "episodes": episodes, "queries": queries,
             "sampler": sampler, "estimators": estimators}  # fmt: skip
    values = with_defaults(chosen, given)
    single = is_single(values["head"], heads) and all(
        is_number(value) for value in (values["ways"], values["shots"], seed)
    )
    settings = Settings(
        calibration,
        method,
        level,
        calibrator,
        device=torch.device(device),
        threads=threads,
        progress=progress,
    )
    of_arrays = {"classnames": classnames, "text": text, "subset": subset}
    if labels is None:
        source = source_from(chosen, features, settings, split, normalize, backbone, of_arrays)
    else:
        expect(chosen.takes_features, "labels", f"expected none with task={task!r}")
        info = {"dataset": dataset, "backbone": backbone, "feature": "given"}
        bank = make_bank(
            features, labels, split=split, info=info, normalize=normalize or "none", **of_arrays
        )
        check_range(bank)
        expect_number("logit_scale", logit_scale, 0, above=True)
        bank = replace(bank, logit_scale=float(logit_scale), predictor=predictor)
        source = GivenFeatures(with_copies(bank))
    if queries_from is not None:
        source = with_queries_from(chosen, source, queries_from, min_images, part)
    sampling = sampling_from(
        chosen,
        **{name: values[name] for name in ("episodes", "shots", "ways", "queries")}
        | sampler_settings(values["sampler"], ways, shots, queries, episodes),
        unlabelled=(unlabelled, unlabelled_shares, strangers),
        min_images=min_images,
        part=part,
    )
    named = named_estimators(values["estimators"], chosen.registry("estimator"))
    evaluation: Evaluation[Any, Any, Any, Any] = Evaluation(
        task=chosen,
        source=source,
        heads=named_heads(values["head"], heads),
        estimators=complete_estimators(named, sampling),
        sampling=sampling,
        seeds=tuple(seed) if isinstance(seed, Iterable) else (seed,),
        settings=settings,
        options=options or {},
        store=CellStore(None if runs is None else Path(runs).expanduser(), policy),
        notices=AsWarnings(),
    )
    output = evaluation.run()
    run = run_summary(output, settings, round(time.perf_counter() - begun, 3), {})
    facts = {name: (run["data"] or {}).get(name) for name in ("copies", "labelled_minus_one")}
    for cell in output.cells:
        cell.summary["data"] = facts
    # "auto" may be several numbers of ways.
    return Results(output.cells, run, single and len(output.cells) == 1, output)

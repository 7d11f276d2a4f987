"""Which array of a file of features is what: by the documented names, usual names, or shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fewshot.datasets.labels import as_array
from fewshot.exceptions import FewshotError
from fewshot.features.contents import KNOWN, Contents, Shape

# Whole names, folded: "ImageFeatures", "image-features" and "image_features" are one.
NAMES: dict[str, frozenset[str]] = {
    "features": frozenset({"x", "xs", "data", "inputs", "z", "h", "codes"}),
    "labels": frozenset({
        "y", "ys", "t", "gt", "class", "classes", "classid", "classids", "classindex",
        "classindices", "classidx", "lbl", "lbls", "category", "categories", "groundtruth",
        "ytrue",
    }),
    "classnames": frozenset({
        "classnames", "classname", "classes", "class", "names", "labelnames", "labelname",
        "targetnames", "categories", "category", "categorynames", "idxtoclass", "classtoidx",
        "idx2class", "class2idx", "vocabulary",
    }),
    "paths": frozenset({
        "paths", "path", "filenames", "filename", "filepaths", "filepath", "files", "file",
        "imagepaths", "imagepath", "imgpaths", "imgpath", "imagefiles", "imagenames", "fnames",
        "imgs",
    }),
    "text": frozenset({"zeroshotweights", "textweights"}),
}  # fmt: skip
# Words within names: "clip_features", "train_embeddings", "test_labels".
FEATURE_WORDS = frozenset({
    "features", "feature", "feats", "feat", "embeddings", "embedding", "embeds", "embed", "embs",
    "emb", "vectors", "vector", "vecs", "representations", "representation", "reps", "latents",
    "activations", "descriptors", "encodings", "pooled",
})  # fmt: skip
LABEL_WORDS = frozenset({"labels", "label", "targets", "target"})
TEXT_WORDS = frozenset({"text", "texts", "txt", "class", "prompt", "prompts", "zeroshot"})
NAME_WORDS = frozenset({"name", "names", "path", "paths", "file", "files"})
PLACE = "NAME"  # in lines of code, where nothing fits


def arrays_of(
    contents: Contents, code: Callable[[str, str], str], labelled: bool = True
) -> dict[str, str]:
    """Names of the arrays of a file by what they are; features and labels are among them.

    Documented names are what they say. Others are taken where one array alone fits, by its name
    and then by its shape; a line in ``contents.notices`` says so.

    Parameters
    ----------
    contents : Contents
    code : callable
        Line of Python that saves the arrays of two names, or expressions, as a file that is read.
    labelled : bool
        Whether there have to be labels; without, those of the documented name are not missed.

    Raises
    ------
    FewshotError
        No array, or several, may be the features or the labels; all are listed.
    """
    roles = {name: name for name in KNOWN if name in contents.arrays}
    taken = set(roles.values())
    if "features" not in roles:
        roles["features"] = _features(contents, taken, code)
        taken.add(roles["features"])
    if labelled and "labels" not in roles:
        roles["labels"] = _labels(contents, taken, roles["features"], code)
        taken.add(roles["labels"])
    rows = _rows(contents.arrays[roles["features"]])
    for role, fits in _OTHERS.items():
        names = [
            name for name, shape in contents.arrays.items()
            if name not in taken and _is_named(name, role) and fits(shape, rows)
        ]  # fmt: skip
        if role not in roles and len(names) == 1:
            roles[role] = names[0]
            taken.add(names[0])
    if new := {role: name for role, name in roles.items() if role != name}:
        words = ", ".join(f"{name!r} as {role}" for role, name in new.items())
        contents.notices.append(f"{contents.file.name}: took {words}")
    return roles


def _features(contents: Contents, taken: set[str], code: Callable[[str, str], str]) -> str:
    matrices = {
        name: shape for name, shape in contents.arrays.items()
        if name not in taken and shape.kind in "fi?b" and len(shape.shape) > 1
    }  # fmt: skip
    named = [name for name in matrices if _is_named(name, "features")]
    flat = [name for name in named or matrices if _is_matrix(matrices[name])]
    if not named and len(flat) > 1:  # labels may be one-hot
        flat = [name for name in flat if not _is_one_hot(contents.read(name))]
    chosen = flat or named
    if len(chosen) == 1:
        return chosen[0]
    labels = "labels" if "labels" in contents.arrays else None
    raise _undecided(contents, "features", chosen, labels, code)


def _labels(
    contents: Contents,
    taken: set[str],
    features: str,
    code: Callable[[str, str], str],
) -> str:
    rows = _rows(contents.arrays[features])
    fitting = {
        name: shape for name, shape in contents.arrays.items()
        if name not in taken and shape.kind in "fibUO" and _is_column(shape, rows)
    }  # fmt: skip
    named = [name for name in fitting if _is_named(name, "labels")]
    # Numbers stand for classes, and texts beside them are their names, row by row.
    if len(named) > 1:
        numbers = [name for name in named if fitting[name].kind in "ib"]
        named = numbers if len(numbers) == 1 else named
    chosen = named or [
        name for name, shape in fitting.items()
        if name not in KNOWN and not any(_is_named(name, role) for role in ("paths", "text"))
        and shape.kind != "O" and _repeats(contents.read(name), rows)
    ]  # fmt: skip
    transposed = [
        name for name, shape in contents.arrays.items()
        if _is_named(name, "labels") and shape.shape == contents.arrays[features].shape[1:]
    ]  # fmt: skip
    chosen = chosen or transposed  # whoever reads them says that features are transposed
    if len(chosen) == 1:
        return chosen[0]
    raise _undecided(contents, "labels", chosen, features, code)


def _undecided(
    contents: Contents,
    role: str,
    names: list[str],
    other: str | None,
    code: Callable[[str, str], str],
) -> FewshotError:
    """The error where no array, or several, may be the features or the labels.

    `other` is the array of the other role, if that is known.
    """
    problem = f"{contents.file} has no array {role!r}; it has {contents.listing()}"
    remedy = "Save features (M, D) and labels (M,)."
    if sum("." in name for name in contents.arrays) > len(contents.arrays) / 2:
        remedy = "These are the weights of a network (backbone.weights=FILE), not features."
    elif contents.arrays:
        if len(names) > 1:
            several = " and ".join(map(repr, names[:4]))
            problem = problem.replace("; it", f", and {several} may be it; it", 1)
        expressions = _expressions(contents, role, names, other)
        remedy = f"Save it with features (M, D) and labels (M,): {code(*expressions)}"
    return FewshotError("dataset.path", problem, remedy)


def _expressions(
    contents: Contents, role: str, names: list[str], other: str | None
) -> tuple[str, str]:
    """Python for features and labels of the content `a` of a file, as far as names tell."""
    if role == "labels":
        return f'a["{other}"]', f'a["{names[0]}"]' if names else "labels"
    pairs = [(name, _partner(contents, name)) for name in names]
    if len(pairs) > 1 and all(label for _, label in pairs):
        joined = (", ".join(f'a["{pair[i]}"]' for pair in pairs) for i in (0, 1))
        features, labels = (f"np.concatenate([{part}])" for part in joined)
        return features, labels
    feature, label = pairs[0] if pairs else (PLACE, None)
    return f'a["{feature}"]', f'a["{other or label or PLACE}"]'


def _partner(contents: Contents, name: str) -> str | None:
    """The labels that go with features by name and length, as test_labels with test_features."""
    rest = [word for word in _words(name) if word not in FEATURE_WORDS | {"x"}]
    for other, shape in contents.arrays.items():
        words = _words(other)
        if (
            _is_named(other, "labels")
            and [word for word in words if word not in LABEL_WORDS | {"y"}] == rest
            and _is_column(shape, _rows(contents.arrays[name]))
        ):
            return other
    return None


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def _is_named(name: str, role: str) -> bool:
    """Whether a name is one of those usual for a role."""
    words = _words(name)
    whole, within = "".join(words), set(words)
    if whole in NAMES.get(role, ()):
        return True
    if role == "features":
        plain = {"x"} & within and len(within) == 2 and {"train", "val", "test"} & within
        return bool(plain) or bool(
            FEATURE_WORDS & within and not (TEXT_WORDS | LABEL_WORDS | NAME_WORDS) & within
        )
    if role == "labels":
        plain = {"y"} & within and len(within) == 2 and {"train", "val", "test"} & within
        return bool(plain) or bool(
            LABEL_WORDS & within and not (FEATURE_WORDS | NAME_WORDS) & within
        )
    return role == "text" and bool(FEATURE_WORDS & within and TEXT_WORDS & within)


def _rows(shape: Shape) -> int:
    """Number of rows of features; (1, M, D) has M."""
    sizes = shape.shape
    return sizes[1] if len(sizes) == 3 and sizes[0] == 1 else sizes[0] if sizes else 0


def _is_matrix(shape: Shape) -> bool:
    """Whether a shape is (M, D), apart from axes of length 1."""
    sizes = shape.shape
    return len(sizes) == 2 or sum(size > 1 for size in sizes[1:]) <= 1 or sizes[0] == 1


def _is_column(shape: Shape, rows: int) -> bool:
    """Whether there is a label per row: (M,), (M, 1), (1, M), or a column per class."""
    sizes = shape.shape
    if len(sizes) == 1 or (len(sizes) == 2 and 1 in sizes):
        return max(sizes) == rows or rows == 1
    return len(sizes) == 2 and sizes[0] == rows and shape.kind in "fib"


def _repeats(values: Any, rows: int) -> bool:
    """Whether values may be labels: whole numbers or texts, some of them several times."""
    array = as_array(values)
    if array.ndim == 2 and 1 not in array.shape:
        return _is_one_hot(array)
    if array.dtype.kind == "f" and not bool((array == np.round(array)).all()):
        return False
    return len(np.unique(array)) < rows


def _is_one_hot(values: Any) -> bool:
    array = as_array(values)
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        return False
    return bool(((array == 0) | (array == 1)).all() and (array.sum(1) == 1).all())


def _is_list_of_names(shape: Shape, rows: int) -> bool:
    return shape.kind in "UO" and len(shape.shape) == 1


def _is_per_row(shape: Shape, rows: int) -> bool:
    return shape.shape == (rows,)


def _is_text(shape: Shape, rows: int) -> bool:
    return shape.kind == "f" and len(shape.shape) == 2 and shape.shape[0] < rows


# What else is taken by its usual name, and the shape that it must have.
_OTHERS: dict[str, Callable[[Shape, int], bool]] = {
    "classnames": _is_list_of_names,
    "paths": lambda shape, rows: shape.kind == "U" and _is_per_row(shape, rows),
    "text": _is_text,
}


def alias_of(role: str, names: Iterable[str]) -> list[str]:
    """The names that are usual for a role, of columns of a table."""
    return [name for name in names if name == role or _is_named(name, role)]

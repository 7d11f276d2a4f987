"""Writing a data set with masks as a folder that is read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fewshot.exceptions import expect
from fewshot.tasks.segmentation.masks.base import IGNORED, MaskDataset
from fewshot.tasks.segmentation.pictures import indexed

IGNORE_VALUE = 255


def write_folder(dataset: MaskDataset, path: str | Path) -> Path:
    """Write ``images/``, ``masks/``, ``classes.txt``, ``train.txt`` and ``test.txt``.

    Masks are PNG files of class numbers with a palette; ignored pixels are 255.

    Parameters
    ----------
    dataset : MaskDataset
        Of at most 255 classes.
    path : str or Path
        Folder, which is created.

    Returns
    -------
    Path
    """
    expect(
        len(dataset.classnames) <= IGNORE_VALUE,
        "dataset",
        f"expected at most {IGNORE_VALUE} classes, got {len(dataset.classnames)}",
    )
    folder = Path(path)
    names = [Path(file).with_suffix("").as_posix().replace("/", "_") for file in
             dataset.images.paths]  # fmt: skip
    if len(set(names)) < len(names):
        names = [f"{row:05d}_{name}" for row, name in enumerate(names)]
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for row, name in enumerate(names):
        dataset.images.read(row).save(folder / "images" / f"{name}.png")
        mask = dataset.read_mask(row)
        values = np.where(mask == IGNORED, IGNORE_VALUE, mask).astype(np.uint8)
        indexed(values).save(folder / "masks" / f"{name}.png")
    _write_lines(folder / "classes.txt", list(dataset.classnames))
    if dataset.queries is not None or len(dataset.support) < len(dataset):
        _write_lines(folder / "train.txt", [names[row] for row in dataset.support])
    if dataset.queries is not None:
        _write_lines(folder / "test.txt", [names[row] for row in dataset.queries])
    return folder


def _write_lines(file: Path, lines: list[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

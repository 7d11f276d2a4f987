"""Labels of images as a CSV file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from fewshot.files import path_error
from fewshot.report.text.csv_cells import write_csv
from fewshot.tasks.classification.labelling.labels import COLUMNS, Label


def write_labels(argument: str, target: Path, rows: Sequence[Label]) -> None:
    """Write a row per image; sets of classes are JSON lists, flags ``true`` or ``false``.

    Folders above the file are made.

    Parameters
    ----------
    argument : str
        For errors.
    target : Path
    rows : sequence of Label
        In their order.

    Raises
    ------
    FewshotError
        The file cannot be written.
    """
    try:
        write_csv(argument, target, COLUMNS, map(_cells, rows))
    except OSError as error:  # no folder can be made there
        raise path_error(error, argument, target) or error from None


def _cells(row: Label) -> dict[str, object]:
    cells = asdict(row) | {"classes": json.dumps(row.classes, ensure_ascii=False)}
    return {k: str(v).lower() if isinstance(v, bool) else v for k, v in cells.items()}

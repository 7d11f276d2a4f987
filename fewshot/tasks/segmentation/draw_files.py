"""Draws in files: safetensors, as those of episodes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fewshot.exceptions import FewshotError, expect
from fewshot.files import atomic_path, path_error, regular_file
from fewshot.tasks.segmentation.draws import DrawSet

FORMAT = "fewshot-draws-1"
ARRAYS = ("support", "annotated", "queries", "labels")
ARGUMENT = "episodes.path"
EXPECTED = "Give a file that a run with task=segmentation has in episodes/."


def save_draws(draws: DrawSet, path: Path) -> Path:
    """Write a ``.safetensors`` file; `load_draws` gives equal draws back."""
    from safetensors.numpy import save

    note = {"sampler": draws.sampler, "shots": draws.shots, "ways": draws.ways}
    metadata = {"format": FORMAT, "draws": json.dumps(note), "hash": draws.hash()}
    with atomic_path(path) as partial:
        arrays = {name: np.ascontiguousarray(getattr(draws, name), "<i8") for name in ARRAYS}
        partial.write_bytes(save(arrays, metadata=metadata))
    return path


def load_draws(path: Path) -> DrawSet:
    """Read what `save_draws` wrote.

    Raises
    ------
    FewshotError
        Another file, or a damaged one.
    """
    from safetensors import SafetensorError, safe_open

    try:
        regular_file(ARGUMENT, path, largest=None)
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            expect(metadata.get("format") == FORMAT, ARGUMENT, f"{path}: no file of draws",
                   EXPECTED)  # fmt: skip
            arrays = {name: file.get_tensor(name) for name in ARRAYS}
        draws = DrawSet(**json.loads(metadata["draws"]), **arrays)
    except FewshotError:
        raise
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise path_error(error, ARGUMENT, path) or FewshotError(
            ARGUMENT, f"{path}: cannot be read: {error}", EXPECTED
        ) from error
    expect(draws.hash() == metadata.get("hash"), ARGUMENT, f"{path}: damaged: other content than "
           "when it was written")  # fmt: skip
    return draws

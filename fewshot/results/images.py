"""Table of the images that were shots in a run, by file name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.features.bank import FeatureBank
from fewshot.results.schema import SCHEMA_VERSION

IMAGES = "images.parquet"


def write_images(folder: Path, bank: FeatureBank, drawn: Sequence[EpisodeSet]) -> None:
    """Write ``images.parquet``: row of the features, class and file name of every shot drawn.

    Queries are left out: they may be all images, in every episode. Without file names, or without
    shots, nothing is written.

    Parameters
    ----------
    folder : Path
        Must exist.
    bank : FeatureBank
    drawn : sequence of EpisodeSet
        Of `bank`.
    """
    if bank.paths is None:
        return
    shots = [np.unique(episode_set.support) for episode_set in drawn]
    rows = np.unique(np.concatenate(shots)) if shots else np.empty(0, dtype=np.int64)
    rows = rows[rows >= 0]  # without padding
    if not len(rows):
        return
    files = [str(bank.paths[row]).encode("utf-8", "backslashreplace").decode() for row in rows]
    table = pa.table(
        {
            "row": pa.array(rows, pa.int64()),
            "class": pa.array([bank.classnames[c] for c in bank.labels[rows]], pa.string()),
            "file": pa.array(files, pa.string()),
        },
        metadata={"fewshot.schema_version": str(SCHEMA_VERSION)},
    )
    pq.write_table(table, folder / IMAGES, compression="zstd")

"""The dense features of annotated images, kept on disk."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fewshot.datasets.base import ImageDataset
from fewshot.features.extraction.pipeline import ordered
from fewshot.features.grids import DTYPE, FORMAT, Grid, Grids
from fewshot.features.store import bank_key
from fewshot.files import plain_name, writing
from fewshot.hardware import freed_memory_kept
from fewshot.progress import stage
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures, Tokens

SHA256 = re.compile("[0-9a-f]{64}")


class DenseBank:
    """Grids of tokens of a data set's images, extracted as they are asked for.

    Every grid is a file that is written at once: what a killed process has finished is kept, and
    several processes may fill one bank. The files are named by the images' content, so that other
    images are never taken for them.

    Parameters
    ----------
    cache : Path
        Folder of banks.
    features : DenseFeatures
    dataset : ImageDataset
    """

    def __init__(self, cache: Path, features: DenseFeatures, dataset: ImageDataset) -> None:
        self.cache, self.features, self.dataset = cache, features, dataset
        self._names: dict[int, str] = {}

    @cached_property
    def causes(self) -> dict[str, Any]:
        """What decides the content of the files, beside the images."""
        return {"format": FORMAT, "features": self.features.fingerprint(), "dtype": DTYPE}

    @cached_property
    def key(self) -> str:
        """SHA-256 of the causes."""
        return bank_key(self.causes)

    @cached_property
    def folder(self) -> Path:
        """The bank's folder; it need not exist."""
        names = (plain_name(part.name, 60) for part in (self.dataset, self.features.backbone))
        return self.cache / "-".join(["dense", *names, self.key[:16]])

    @cached_property
    def _grids(self) -> Grids:
        return Grids(self.folder, self.features.dim)

    def missing(self, rows: Iterable[int]) -> list[int]:
        """Those of the rows whose grid is not on disk, or damaged; one of images that are equal."""
        present = self._grids.names()
        by_name = {self._name(row): row for row in dict.fromkeys(map(int, rows))}
        return [row for name, row in by_name.items() if name not in present]

    def ensure(self, rows: Iterable[int], threads: int = 1) -> int:
        """Extract what is missing of some rows, and return how many images that were.

        Parameters
        ----------
        rows : iterable of int
            Of the data set.
        threads : int
            Each decodes images and runs the network on them, on a CPU with one core.

        Raises
        ------
        FewshotError
            An image that cannot be read, or a folder that cannot be written.
        """
        with writing("paths.cache", self.cache):
            self._grids.begin(self._note())
            missing = self.missing(rows)
            what = f"dense features of {self.dataset.name}"
            with freed_memory_kept(), stage(what, len(missing), "images") as work:
                for _ in ordered(self._extract, missing, threads, ahead=1):
                    work.update()
        return len(missing)

    def tokens(self, row: int) -> Tokens:
        """Tokens of an image as they are stored; extracted if it is missing.

        Values are rounded to float16, whether they come from the disk or not.
        """
        row = int(row)
        grid = self._grids.get(self._name(row))
        if grid is None:
            self.ensure([row])
            grid = self._grids.get(self._name(row))
            assert grid is not None
        height, width = grid.native
        rows, columns, dim = grid.features.shape
        features = torch.from_numpy(grid.features.astype(np.float32)).view(rows * columns, dim)
        return Tokens(features, (rows, columns), self.features.placement(width, height))

    def _note(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "causes": self.causes,
            "dataset": self.dataset.name,
            "backbone": self.features.backbone.name,
            "feature": "dense",
            "dim": self.features.dim,
            "precision": "float32",
        }

    def _extract(self, row: int) -> None:
        image = self.dataset.read(row)
        name = self._name(row, image)
        tokens = self.features.tokens(image)
        grid = tokens.features.view(*tokens.grid, -1).numpy()
        self._grids.put(name, Grid(grid, tokens.placement.native))

    def _name(self, row: int, image: Image.Image | None = None) -> str:
        """A hash of the image: of its file, else of its pixels."""
        digest = self._digests[row] if self._digests is not None else ""
        if SHA256.fullmatch(digest):  # not of an unreadable file
            return digest
        if row not in self._names:
            image = self.dataset.read(row) if image is None else image
            self._names[row] = hashlib.sha256(
                f"{image.size}".encode() + image.tobytes()
            ).hexdigest()
        return self._names[row]

    @cached_property
    def _digests(self) -> list[str] | None:
        return None if self.dataset.digests is None else list(self.dataset.digests())

"""Settings of segmentation: the section of its name in a configuration, and ``episodes``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from fewshot.estimators.calibration.intervals import check_level
from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_bool,
    expect_positive_int,
    suggestion,
)
from fewshot.files import path_of
from fewshot.tasks.segmentation.draw_files import load_draws
from fewshot.tasks.segmentation.draws import DrawSet
from fewshot.tasks.segmentation.sampling import DrawSampling
from fewshot.tasks.segmentation.schema import NAME


@dataclass(frozen=True)
class SegmentationSettings:
    """How images are taken in, and what is worked out beside mIoU.

    Attributes
    ----------
    size : str
        Input of the network: "native", "short:N" (short side of N pixels), "tokens:N" (about N
        tokens, the same for all backbones), or "paper".
    stride : int, optional
        Pixels between two tokens; None: that of the backbone.
    layers : str or list of int
        "last", "multilayer" (all stages of the backbone, or four of its blocks), or numbers of
        blocks.
    boundary : bool
        Whether boundary IoU is measured, which takes longer.
    level : float in (0, 0.99]
        Nominal coverage of the intervals of predicted mIoU.
    pictures : int >= 0
        Examples with a picture in every cell: the worst, a median and the best query; 0: none.
    """

    size: str = "short:384"
    stride: int | None = None
    layers: str | list[int] = "multilayer"
    boundary: bool = False
    level: float = 0.9
    pictures: int = 3

    def __post_init__(self) -> None:
        expect(
            isinstance(self.size, str) and bool(self.size),
            f"{NAME}.size",
            f"expected native, short:N, tokens:N or paper, got {self.size!r}",
        )
        if self.stride is not None:
            expect_positive_int(f"{NAME}.stride", self.stride)
        expect_bool(f"{NAME}.boundary", self.boundary)
        check_level(f"{NAME}.level", self.level)
        expect_positive_int(f"{NAME}.pictures", self.pictures, minimum=0)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> SegmentationSettings:
        """The settings of a configuration, or of the argument ``options`` of Python.

        Raises
        ------
        FewshotError
            An unknown name, or a value that is not allowed.
        """
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise FewshotError(
                    f"{NAME}.{name}", "there is no such setting", suggestion(name, known)
                )
        return cls(**options)


# Settings of ``episodes`` for episodes of images that have one class, and the value that says so.
OF_WHOLE_IMAGES = {
    "part": "novel",
    "unlabelled": None,
    "unlabelled_shares": "equal",
    "strangers": 0.0,
}


def draw_sampling_of(episodes: Mapping[str, Any]) -> DrawSampling:
    """What draws annotated images and queries, from the settings ``episodes``.

    Raises
    ------
    FewshotError
        A setting that draws of annotated images do not have, or a wrong value.
    """
    replay, path = episodes.get("replay"), episodes.get("path")
    if path:
        replay = load_draws(path_of("episodes.path", path))
    if replay is not None and not isinstance(replay, DrawSet):
        raise FewshotError(
            "episodes", f"expected a number or a DrawSet, got {type(replay).__name__}"
        )
    known = ("sampler", "count", "ways", "queries", "annotate", "min_pixels", "min_images")
    for name in episodes.keys() - {*known, "shots", "path", "replay"}:
        expect(
            name in OF_WHOLE_IMAGES and episodes[name] in (None, OF_WHOLE_IMAGES[name]),
            f"episodes.{name}",
            f"draws of annotated images do not have it, got {episodes[name]!r}",
            "Choose episodes=per_class, greedy, total or episodic.",
        )
    if replay is not None:  # it has its own shots, classes and queries
        return DrawSampling(replay=replay)
    if episodes.get("queries") == "all":  # as for whole images
        episodes = {**episodes, "queries": None}
    shots = episodes["shots"]
    return DrawSampling(
        shots=tuple(shots) if isinstance(shots, list | tuple) else (shots,),
        **{name: episodes[name] for name in known if name in episodes},
    )

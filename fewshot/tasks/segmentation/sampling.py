"""How annotated images and queries are drawn."""

from __future__ import annotations

from dataclasses import dataclass

from fewshot.tasks.segmentation.draws import DrawSet


@dataclass(frozen=True)
class DrawSampling:
    """How annotated images and queries are drawn."""

    sampler: str = "per_class"
    shots: tuple[int, ...] = (1, 5)
    count: int = 5
    ways: int | None = None
    queries: int | None = None
    annotate: str = "all"
    min_pixels: int = 1
    replay: DrawSet | None = None

    @property
    def numbers_of_shots(self) -> tuple[int, ...]:
        """Numbers of shots; of replayed draws, theirs."""
        return self.shots if self.replay is None else (self.replay.shots,)

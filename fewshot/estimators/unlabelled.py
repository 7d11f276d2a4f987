"""Unlabelled images of episodes, as estimators receive them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from fewshot.exceptions import expect
from fewshot.heads.base import Head, Query, check_scores, check_squares


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Unlabelled features of a batch of episodes. There is no field for labels.

    The images of an episode are in random order; some may be of none of its classes.

    Attributes
    ----------
    features : Tensor of shape (E, U, D), floating
        Zero in the padding.
    mask : Tensor of shape (E, U), bool
        False where an episode has fewer than U images.
    measured : bool
        Whether they are the images whose error is asked for, the queries of the episodes.
    """

    features: Tensor
    mask: Tensor
    measured: bool = False

    @classmethod
    def of(cls, features: Tensor, mask: Tensor | None = None, measured: bool = False) -> Unlabelled:
        """Check shapes and that numbers can be squared, and zero the padding.

        Raises
        ------
        FewshotError
            Shapes that do not fit, numbers that cannot be squared.
        """
        shape = tuple(features.shape)
        expect(features.ndim == 3, "unlabelled", f"expected (E, U, D), got {shape}")
        if mask is None:
            mask = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        expect(
            mask.shape == features.shape[:2] and mask.dtype == torch.bool,
            "unlabelled.mask",
            f"expected bool of shape {shape[:2]}, got {mask.dtype} of {tuple(mask.shape)}",
        )
        if not bool(mask.all()):
            features = features.masked_fill(~mask[..., None], 0.0)
        check_squares("unlabelled", features)
        return cls(features, mask, measured)

    @cached_property
    def memory(self) -> dict[Any, Any]:
        """What was computed of these images and may be asked for again."""
        return {}

    @cached_property
    def counts(self) -> Tensor:
        """Images per episode: (E,), same dtype as the features."""
        return self.mask.sum(-1).to(self.features.dtype)

    def scores(self, head: Head) -> Tensor:
        """Scores (E, U, N) of a fitted head, computed once.

        Raises
        ------
        FewshotError
            A largest score is NaN or infinite.
        """
        key = ("scores", id(head))
        if key not in self.memory:
            scores = head.scores(Query(self.features, self.mask))
            check_scores(head, scores.amax(-1), self.mask)
            self.memory[key] = (head, scores)  # with the head, so that its id stays its own
        scores_of_head: Tensor = self.memory[key][1]
        return scores_of_head

    def decisions(self, head: Head) -> Tensor:
        """Way numbers (E, U) that a fitted head decides for; any in the padding."""
        return self.scores(head).argmax(-1)

    def __getitem__(self, episodes: Any) -> Unlabelled:
        """The same for a selection of episodes."""
        return Unlabelled(self.features[episodes], self.mask[episodes], self.measured)

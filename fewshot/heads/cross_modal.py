"""Cross-modal adaptation: the text vectors of the classes as further shots."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_number,
    expect_positive_int,
    expect_repeats,
)
from fewshot.heads import heads
from fewshot.heads.base import Head, LinearForm, LinearHead, Query, Support
from fewshot.heads.solvers.training import (
    Parameters,
    Shots,
    cross_entropy_gradient,
    shots_of,
    train,
)
from fewshot.heads.tags import HeadTags
from fewshot.heads.texts import class_text

PROBE = "probe"
MOST_COPIES = 1000
# The largest of the authors' 0, 0.0001 and 0.01.
WEIGHT_DECAY = 0.01


class CrossModal(Head):
    """A head fitted on the shots and on the text vectors of their classes, which count as shots.

    Lin, Yu, Kuang, Pathak and Ramanan, "Multimodality Helps Unimodality: Cross-Modal Few-Shot
    Learning with Multimodal Models", CVPR 2023. Their classifier, ``head="probe"``, has the scores
    ``s f . w_c`` with s the scale of the dual encoder; the w_c start as the text vectors t_c, and
    half the cross-entropy of the shots plus half that of the text vectors moves them by AdamW. Any
    other head gets the text vectors beside the shots of every class.

    Parameters
    ----------
    head : str or Head
        "probe", the name of a head, ``module:Name`` of one of another package, or an object.
    text_shots : int >= 1, or "balanced"
        As how many shots of its class a text vector counts. "balanced", as in the paper: as all
        shots of the class together, and at no shots as one.
    learning_rate : float >= 0
        Of AdamW; for the probe alone. The authors take the better of 0.001 and 0.0001 on validation
        images.
    steps : int >= 0
        Steps, each on all shots and texts; for the probe alone. The authors stop by validation
        images, after at most 12,800 steps on 4 or 16 images and as many texts.
    wise_ft : float in [0, 1]
        Share of the text vectors in the final class vectors, for the probe alone: the paper's
        WiSE-FT is 0.5.

    Notes
    -----
    The paper takes images at unit length, as are features of dual encoders by default. For features
    that are not, text vectors get the root mean square length of the shots, so that queries stay as
    they are and a linear head stays linear. Moments of base classes, if the head reads them, are
    those of images alone.

    Attributes
    ----------
    head_ : Head
        Fitted.
    """

    def __init__(
        self,
        head: str | Head = PROBE,
        text_shots: int | Literal["balanced"] = "balanced",
        learning_rate: float = 1e-4,
        steps: int = 300,
        wise_ft: float = 0.0,
    ) -> None:
        self.head = head
        self.text_shots = text_shots
        self.learning_rate = learning_rate
        self.steps = steps
        self.wise_ft = wise_ft

    @property
    def uses(self) -> frozenset[str]:
        """Class names, and what the head uses."""
        return self._unfitted().uses | {"text"}

    @property
    def is_linear(self) -> bool:  # type: ignore[override]
        """Whether the head is."""
        return self._unfitted().is_linear

    @property
    def least_shots(self) -> int:
        """One less than the head needs, as the text is one."""
        return max(0, self._unfitted().least_shots - 1)

    @property
    def tags(self) -> HeadTags:
        """Those of the head; a shift of the images does not shift the text."""
        check_with = {"steps": 20} if self.head == PROBE else {}
        return replace(self._unfitted().tags, shift_invariant=False, check_with=check_with)

    def fit(self, support: Support) -> Self:
        """Fit the head on shots and text."""
        self._check_parameters()
        shots = support if self.head == PROBE else with_text(support, self.text_shots)
        self.head_ = self._unfitted().fit(shots)
        return self

    def scores(self, query: Query) -> Tensor:
        """Those of the head: (E, T, N)."""
        return self.head_.scores(query)

    def linear(self) -> LinearForm | None:
        """That of the head, whose response to shots the text changes."""
        form = self.head_.linear()
        return None if form is None else form._replace(response=None)

    def _unfitted(self) -> Head:
        """The head without shots."""
        if self.head == PROBE:
            return TextProbe(self.text_shots, self.learning_rate, self.steps, self.wise_ft)
        return head_of(self.head, "head.cross_modal.head")

    def _check_parameters(self) -> None:
        if self.text_shots != "balanced":
            setting, remedy = "head.cross_modal.text_shots", "Or 'balanced', as many as images."
            expect_positive_int(setting, self.text_shots, 1, MOST_COPIES, remedy=remedy)
        expect_number("head.cross_modal.learning_rate", self.learning_rate, 0)
        expect_repeats("head.cross_modal.steps", self.steps, minimum=0)
        expect_number("head.cross_modal.wise_ft", self.wise_ft, 0, 1)
        if self.head == PROBE:
            return
        default = type(self)()
        for name in ("learning_rate", "steps", "wise_ft"):
            expect(
                getattr(self, name) == getattr(default, name),
                f"head.cross_modal.{name}",
                f"expected nothing with head={self.head!s}, got {getattr(self, name)!r}",
                f"It is a setting of head={PROBE}.",
            )


def head_of(head: str | Head, setting: str) -> Head:
    """An unfitted head by its name, by ``module:Name``, or a clone of an object.

    Raises
    ------
    FewshotError
        There is none of that name, or it is no head; it begins with `setting`.
    """
    if isinstance(head, Head):
        return head.clone()
    expect(isinstance(head, str), setting, f"expected the name of a head or a Head, got {head!r}")
    try:
        made: Head = heads.create(head)
    except FewshotError as error:
        raise FewshotError(setting, error.problem, error.remedy) from error
    except TypeError as error:  # a class of another package that takes parameters
        raise FewshotError(setting, f"{head!r} is not made from its name: {error}") from error
    return made


def with_text(support: Support, text_shots: int | Literal["balanced"]) -> Support:
    """The support with the text vectors of the classes as further shots.

    Their length is the root mean square of the lengths of the shots.

    Parameters
    ----------
    support : Support
        Features (E, N, K, D); K may be 0.
    text_shots : int or "balanced"
        How many copies, or one for every shot of the class.
    """
    features, mask = support.features, support.mask
    text = class_text(support, "cross_modal")
    if features.shape[2]:
        squares = features.square().sum((1, 2, 3)) / mask.sum((1, 2))
        text = text * squares.sqrt()[:, None, None]
    number = (features.shape[2] or 1) if text_shots == "balanced" else text_shots
    copies = text[:, :, None].expand(-1, -1, number, -1)
    there = torch.ones_like(copies[..., 0], dtype=torch.bool)
    if text_shots == "balanced" and features.shape[2]:
        there = mask
    return Support.of(
        torch.cat([features, copies], 2), torch.cat([mask, there], 2), support.context
    )


class TextProbe(LinearHead):
    """The paper's linear probe on shots and text; its parameters are those of `CrossModal`."""

    tags = HeadTags(scale_invariant=True)

    def __init__(
        self,
        text_shots: int | Literal["balanced"],
        learning_rate: float,
        steps: int,
        wise_ft: float,
    ) -> None:
        self.text_shots = text_shots
        self.learning_rate = learning_rate
        self.steps = steps
        self.wise_ft = wise_ft

    @property
    def least_shots(self) -> int:
        """None: without shots it is the zero-shot classifier."""
        return 0

    def fit(self, support: Support) -> Self:
        """Train the text vectors on shots and on themselves."""
        shots = shots_of(support, "cross_modal")
        examples = examples_of(shots, self.text_shots)

        def gradient(parameters: Parameters) -> Parameters:
            logits = shots.logit_scale * parameters["vectors"] @ examples.features.mT
            slope = cross_entropy_gradient(logits, examples) @ examples.features
            return {"vectors": shots.logit_scale * slope}

        vectors = shots.text
        if support.features.shape[2]:
            trained = train(
                gradient,
                {"vectors": shots.text},
                steps=self.steps,
                learning_rate=self.learning_rate,
                weight_decay=WEIGHT_DECAY,
            )
            vectors = trained["vectors"].lerp(shots.text, self.wise_ft)
        self.weights_ = shots.logit_scale * vectors
        self.biases_ = torch.zeros_like(self.weights_[..., 0])
        return self

    def linear(self) -> LinearForm:
        """Weights that follow the shots of all classes."""
        return LinearForm(self.weights_, self.biases_, None)


def examples_of(shots: Shots, text_shots: int | Literal["balanced"]) -> Shots:
    """Shots, and behind them the N text vectors, with their weights in the mean loss.

    "balanced" gives all text vectors together half of it; a number as much as so many shots each.
    """
    episodes, ways = shots.text.shape[:2]
    own = torch.eye(ways, dtype=shots.text.dtype, device=shots.text.device)
    if text_shots == "balanced":
        of_text = shots.share.new_full((episodes, 1, 1), 0.5)
    else:
        number = shots.targets.sum((1, 2))[:, None, None]
        of_text = text_shots * ways / (number + text_shots * ways)
    each = (of_text / ways).expand(-1, -1, ways)
    return replace(
        shots,
        features=torch.cat([shots.features, shots.text], 1),
        targets=torch.cat([shots.targets, own.expand(episodes, -1, -1)], 2),
        share=torch.cat([shots.share * (1 - of_text), each], 2),
    )

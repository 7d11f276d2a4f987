"""Cross-modal adaptation: the text vectors of the classes as further shots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, Self, get_args

import torch
from torch import Tensor

from fewshot.exceptions import (
    expect,
    expect_choice,
    expect_number,
    expect_positive_int,
    expect_repeats,
)
from fewshot.heads.base import Head, LinearForm, LinearHead, Query, Support
from fewshot.heads.inner import inner_head
from fewshot.heads.labelled import LabelledBatch, LabelledEpisodes
from fewshot.heads.solvers.text_weight import visual_weight
from fewshot.heads.solvers.training import (
    Parameters,
    Shots,
    cross_entropy_gradient,
    shots_of,
    train,
)
from fewshot.heads.tags import HeadTags
from fewshot.heads.texts import class_text

TextShots = Literal["auto", "balanced", "spread"]

PROBE = "probe"
MOST_COPIES = 100
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
        "probe", the name of a head, ``module:Name`` of one of another package, or an object. Heads
        by name weigh classes alike where they can (`class_weight`); objects stay as they are.
    text_shots : int in 1..100, or {"auto", "balanced", "spread"}
        As how many shots of its class a text vector counts. "balanced", as in the paper: as all
        shots of the class together, and at no shots as one. "spread": as K_c / a, rounded, for the
        K_c shots of a class, with the weight a of class means in `SSText`, where a shot disturbs
        the scores a quarter as much as the text does: about 10 sqrt(K) with CLIP, at most 100.
        "auto": "balanced" for the probe, which starts from the text, and "spread" for others, which
        mostly would be below zero-shot if text counted as little as images.
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
        text_shots: int | TextShots = "auto",
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

    @property
    def references(self) -> tuple[str, ...]:
        """That of the method, and those of the head."""
        return tuple(dict.fromkeys(["lin2023multimodality", *(self._unfitted().references or ())]))

    @torch.no_grad()
    def fit(self, support: Support) -> Self:
        """Fit the head on shots and text."""
        self._check_parameters()
        shots = support if self.head == PROBE else self._with_text(support)
        self.head_ = self._unfitted().fit(shots)
        return self

    def scores(self, query: Query) -> Tensor:
        """Those of the head: (E, T, N)."""
        return self.head_.scores(query)

    def linear(self) -> LinearForm | None:
        """That of the head, whose response to shots the text changes."""
        form = self.head_.linear()
        return None if form is None else form._replace(response=None)

    def _with_text(self, support: Support) -> Support:
        """Shots and text, in the episodes of base classes that the head chooses on as well."""
        rule: int | TextShots = "spread" if self.text_shots == "auto" else self.text_shots
        shots, episodes = with_text(support, rule), support.context.base_episodes
        if episodes is None or "base_episodes" not in self._unfitted().uses:
            return shots
        chosen_on = episodes.choose(self, lambda base: with_text_in(base, rule))
        return replace(shots, context=replace(shots.context, base_episodes=chosen_on))

    def _unfitted(self) -> Head:
        """The head without shots."""
        if self.head == PROBE:
            return TextProbe(self.text_shots, self.learning_rate, self.steps, self.wise_ft)
        head = inner_head(self.head, "head.cross_modal.head")
        if isinstance(self.head, str) and "class_weight" in head.get_params():
            head.set_params(class_weight="balanced")  # copies of the text multiply unequal shots
        return head

    def _check_parameters(self) -> None:
        setting, rules = "head.cross_modal.text_shots", get_args(TextShots)
        if isinstance(self.text_shots, str):
            expect_choice(setting, self.text_shots, rules)
        else:
            remedy = f"Or one of {', '.join(rules)}."
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


def with_text(support: Support, text_shots: int | TextShots) -> Support:
    """The support with the text vectors of the classes as further shots, in front of the others.

    Their length is the root mean square of the lengths of the shots.

    Parameters
    ----------
    support : Support
        Features (E, N, K, D); K may be 0.
    text_shots : int, "balanced" or "spread"
        How many copies; of no shots, the rules make one.
    """
    features, mask = support.features, support.mask
    text = class_text(support, "cross_modal")
    number = mask.new_ones(mask.shape[:2], dtype=torch.long)
    if not isinstance(text_shots, str):
        number = number * text_shots
    elif features.shape[2]:
        number = mask.sum(-1) if text_shots == "balanced" else copies_by_spread(support)
    if features.shape[2]:
        squares = features.square().sum((1, 2, 3)) / mask.sum((1, 2))
        text = text * squares.sqrt()[:, None, None]
    most = int(number.max())
    there = torch.arange(most, device=number.device) < number[..., None]
    copies = text[:, :, None].expand(-1, -1, most, -1)
    features, mask = torch.cat([copies, features], 2), torch.cat([there, mask], 2)
    return Support.of(features, mask, support.context)


def with_text_in(episodes: LabelledEpisodes, text_shots: int | TextShots) -> LabelledEpisodes:
    """Labelled episodes whose supports are those of `with_text`; choices on them are their own."""

    def drawn() -> Iterator[LabelledBatch]:
        for batch in episodes:
            yield batch._replace(support=with_text(batch.support, text_shots))

    return LabelledEpisodes(drawn)


def copies_by_spread(support: Support) -> Tensor:
    """How many shots a text vector counts as: (E, N), in proportion to the shots of its class.

    Images lie apart from texts: a class whose images count more than those of others beside its
    text would get most of the queries, which are images.
    """
    weight = visual_weight(shots_of(support, "cross_modal"), support.typical_shots)
    each = (1 / weight.clamp_min(1 / MOST_COPIES)).clamp_max(MOST_COPIES)
    number = (support.counts * each[:, None]).round()
    return number.clamp(1, MOST_COPIES).long()


class TextProbe(LinearHead):
    """The paper's linear probe on shots and text; its parameters are those of `CrossModal`."""

    references = ("lin2023multimodality", "loshchilov2019decoupled")
    tags = HeadTags(scale_invariant=True)

    def __init__(
        self,
        text_shots: int | TextShots,
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

    @torch.no_grad()
    def fit(self, support: Support) -> Self:
        """Train the text vectors on shots and on themselves."""
        shots = shots_of(support, "cross_modal")
        vectors = self._trained(shots, support) if support.features.shape[2] else shots.text
        self.weights_ = shots.logit_scale * vectors.lerp(shots.text, self.wise_ft)
        self.biases_ = torch.zeros_like(self.weights_[..., 0])
        return self

    def _trained(self, shots: Shots, support: Support) -> Tensor:
        examples = with_text_examples(shots, text_share(shots, support, self.text_shots))

        def gradient(parameters: Parameters) -> Parameters:
            logits = shots.logit_scale * parameters["vectors"] @ examples.features.mT
            slope = cross_entropy_gradient(logits, examples) @ examples.features
            return {"vectors": shots.logit_scale * slope}

        return train(
            gradient,
            {"vectors": shots.text},
            steps=self.steps,
            learning_rate=self.learning_rate,
            weight_decay=WEIGHT_DECAY,
        )["vectors"]

    def linear(self) -> LinearForm:
        """Weights that follow the shots of all classes."""
        return LinearForm(self.weights_, self.biases_, None)


def text_share(shots: Shots, support: Support, text_shots: int | TextShots) -> Tensor:
    """Share (E, 1, 1) of all text vectors together in the mean loss."""
    if text_shots in ("auto", "balanced"):
        return shots.share.new_full((len(shots.text), 1, 1), 0.5)
    if isinstance(text_shots, str):
        number = copies_by_spread(support)[:, :1, None].to(shots.share)
    else:
        number = shots.share.new_tensor(text_shots)
    of_text = number * shots.text.shape[1]
    return of_text / (shots.targets.sum((1, 2))[:, None, None] + of_text)


def with_text_examples(shots: Shots, of_text: Tensor) -> Shots:
    """Shots, and behind them the N text vectors, which have this share (E, 1, 1) of the loss."""
    episodes, ways = shots.text.shape[:2]
    own = torch.eye(ways, dtype=shots.text.dtype, device=shots.text.device)
    each = (of_text / ways).expand(-1, -1, ways)
    return replace(
        shots,
        features=torch.cat([shots.features, shots.text], 1),
        targets=torch.cat([shots.targets, own.expand(episodes, -1, -1)], 2),
        share=torch.cat([shots.share * (1 - of_text), each], 2),
    )

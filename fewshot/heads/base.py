"""What a head receives, what it gives, and what it must declare."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch
from torch import Tensor

from fewshot.exceptions import FewshotError, expect, suggestion
from fewshot.heads.labelled import LabelledEpisodes
from fewshot.heads.tags import HeadTags
from fewshot.registry import parameter_names, variant_text

if TYPE_CHECKING:
    from fewshot.text.gaussians.class_gaussians import ClassGaussians


@dataclass(frozen=True, eq=False)
class Context:
    """What a head may know beside the shots; what it declares in ``uses`` is there.

    Attributes
    ----------
    text : Tensor of shape (E, N, D), or None
        Unit-length text vectors of the classes, in the space of the features ("text").
    logit_scale : float
        What the dual encoder multiplies cosines of image and text by.
    base_mean : Tensor of shape (D,), or None
        Mean of the features of the base classes, classes alike ("base").
    base_covariance : Tensor of shape (D, D), or None
        Their pooled covariance within classes ("base").
    base_images : int
        How many images these two come from.
    gaussians : ClassGaussians, or None
        Gaussians of the classes that were predicted from text, (E, N, D) ("text_gaussians").
    base_episodes : LabelledEpisodes, or None
        Labelled episodes of base classes, to choose settings on ("base_episodes"). None where there
        are no base classes, or too few.
    """

    text: Tensor | None = None
    logit_scale: float = 100.0
    base_mean: Tensor | None = None
    base_covariance: Tensor | None = None
    base_images: int = 0
    gaussians: ClassGaussians | None = None
    base_episodes: LabelledEpisodes | None = None

    def to(self, dtype: torch.dtype) -> Context:
        """The same with tensors of another dtype."""
        tensors = (self.text, self.base_mean, self.base_covariance)
        text, mean, covariance = (None if one is None else one.to(dtype) for one in tensors)
        gaussians = None if self.gaussians is None else self.gaussians.to(dtype)
        return replace(
            self, text=text, base_mean=mean, base_covariance=covariance, gaussians=gaussians
        )

    def like(self, features: Tensor) -> Context:
        """The same in the dtype of the features, as those of users may differ."""
        tensors = (self.text, self.base_mean, self.base_covariance)
        if all(one is None or one.dtype == features.dtype for one in tensors):
            return self
        return self.to(features.dtype)

    def __getitem__(self, episodes: Any) -> Context:
        """The same for a selection of episodes, or of episodes and ways."""
        if self.text is None:
            return self
        gaussians = None if self.gaussians is None else self.gaussians[episodes]
        return replace(self, text=self.text[episodes], gaussians=gaussians)


NOTHING_MORE = Context()

# Largest absolute value whose square, summed over dimensions and shots, is a number; its inverse
# for the smallest.
SQUARED = {torch.float64: 2.0**480}
SQUARED_SINGLE = 2.0**56


# Their squares and small steps of training would be lost.
HALF = (torch.float16, torch.bfloat16)


def at_least_single(features: Tensor) -> Tensor:
    """Features in half precision as float32, others as they are."""
    return features.float() if features.dtype in HALF else features


def check_squares(argument: str, features: Tensor, smallest: bool = False) -> None:
    """Raise if squares of features leave the range of their dtype, as all scores would be equal.

    Parameters
    ----------
    argument : str
        What to call them.
    features : Tensor of any shape
    smallest : bool
        Whether they must also not be too small, all zeros excepted.

    Raises
    ------
    FewshotError
        NaN, infinity, or a largest absolute value above 2^56 (float64: 2^480) or below its inverse.
    """
    if not features.numel():
        return
    limit = SQUARED.get(features.dtype, SQUARED_SINGLE)
    low, high = torch.aminmax(features.detach())
    largest = float(torch.maximum(high, -low))
    fits = largest <= limit and not (smallest and 0 < largest < 1 / limit)
    expect(
        fits,
        argument,
        f"expected features whose squares {features.dtype} can hold, got {largest:.2g} as the "
        "largest absolute value",
        "Multiply all features, shots and queries alike, by one number.",
    )


@dataclass(frozen=True, eq=False)
class Support:
    """Labelled features of a batch of episodes.

    Attributes
    ----------
    features : Tensor of shape (E, N, K, D), floating
        Shots of every class; padding must be finite.
    mask : Tensor of shape (E, N, K), bool
        False where a class has fewer than K shots. Every class has at least one, unless K = 0:
        heads whose `Head.least_shots` is 0 may get features (E, N, 0, D) and mask (E, N, 0), which
        tell shapes, device and dtype; what they know of the classes is in the context.
    context : Context
        What else the head may know: text vectors of the classes, moments of base classes.
    """

    features: Tensor
    mask: Tensor
    context: Context = NOTHING_MORE

    @classmethod
    def of(
        cls,
        features: Tensor,
        mask: Tensor | None = None,
        context: Context = NOTHING_MORE,
        least_shots: int = 1,
    ) -> Support:
        """Check shapes and zero the padding, so that sums over shots need no mask.

        With `least_shots` 0, as heads say it, K may be 0. Half precision becomes float32, and the
        tensors of the context get the dtype of the features.

        Raises
        ------
        FewshotError
            Shapes that do not fit, a class without shots, numbers that cannot be squared.
        """
        expect(features.ndim == 4, "support", f"expected (E, N, K, D), got {tuple(features.shape)}")
        expect(features.is_floating_point(), "support", f"expected floats, got {features.dtype}")
        features = at_least_single(features)
        context = context.like(features)
        if mask is None:
            mask = torch.ones(features.shape[:3], dtype=torch.bool, device=features.device)
        expect(
            mask.shape == features.shape[:3] and mask.dtype == torch.bool,
            "support.mask",
            f"expected bool of shape {tuple(features.shape[:3])}, got {mask.dtype} of "
            f"{tuple(mask.shape)}",
        )
        empty = least_shots == 0 and features.shape[2] == 0
        expect(empty or bool(mask.any(-1).all()), "support.mask", "a class has no shot")
        if not bool(mask.all()):
            features = features.masked_fill(~mask[..., None], 0.0)
        check_squares("support", features, smallest=True)
        if context.text is not None:
            expect(
                context.text.shape == (*features.shape[:2], features.shape[-1]),
                "support.context.text",
                f"expected (E, N, D) = {(*features.shape[:2], features.shape[-1])}, got "
                f"{tuple(context.text.shape)}",
            )
        return cls(features, mask, context)

    def to(self, dtype: torch.dtype) -> Support:
        """The same in another dtype."""
        return Support(self.features.to(dtype), self.mask, self.context.to(dtype))

    @cached_property
    def counts(self) -> Tensor:
        """Shots per class: (E, N), same dtype as the features."""
        return self.mask.sum(-1).to(self.features.dtype)

    @cached_property
    def typical_shots(self) -> Tensor:
        """Harmonic mean of the shots of the classes: (E,).

        What few shots cost falls with 1 / K, so that the classes with the fewest decide.
        """
        return 1 / (1 / self.counts).mean(-1)

    @cached_property
    def memory(self) -> dict[str, Any]:
        """What was worked out of these shots and may be asked for again."""
        return {}

    @cached_property
    def complete(self) -> bool:
        """Whether every class has K shots."""
        return bool(self.mask.all())

    def means(self) -> Tensor:
        """Class means (E, N, D)."""
        expect(self.features.shape[2] > 0, "support", "without shots there are no class means")
        if self.complete:
            return self.features.mean(2)
        return self.features.sum(2) / self.counts[..., None]

    def deviations(self, means: Tensor | None = None) -> Tensor:
        """Shots minus their class mean, zero in the padding: (E, N, K, D)."""
        means = self.means() if means is None else means
        deviations = self.features - means[:, :, None]
        return deviations if self.complete else deviations * self.mask[..., None]

    def __getitem__(self, episodes: Any) -> Support:
        """The same for a selection of episodes, or of episodes and ways."""
        return Support(self.features[episodes], self.mask[episodes], self.context[episodes])


@dataclass(frozen=True, eq=False)
class Query:
    """Unlabelled features to classify. There is no field for labels, so no head can see one.

    Attributes
    ----------
    features : Tensor of shape (E, T, D)
        T = N * Q query features of every episode.
    mask : Tensor of shape (E, T), bool
        False in the padding.
    learn_from : Tensor of shape (E, T), bool, or None
        Which of them a head with "queries" in its `Head.uses` may learn from: the unlabelled images
        of a semi-supervised episode, whose queries are then classified each by itself. None: all of
        them, as in transductive episodes. Other heads have no use for it.
    """

    features: Tensor
    mask: Tensor
    learn_from: Tensor | None = None

    @property
    def learning_mask(self) -> Tensor:
        """Rows (E, T), bool, that a head may learn from: no padding, and no query set apart."""
        return self.mask if self.learn_from is None else self.mask & self.learn_from

    @classmethod
    def of(
        cls, features: Tensor, mask: Tensor | None = None, learn_from: Tensor | None = None
    ) -> Query:
        """Check shapes and that numbers can be squared; no mask means no padding.

        Half precision becomes float32.
        """
        expect(features.ndim == 3, "query", f"expected (E, T, D), got {tuple(features.shape)}")
        expect(features.is_floating_point(), "query", f"expected floats, got {features.dtype}")
        features = at_least_single(features)
        if mask is None:
            mask = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        check_squares("query", features)
        if learn_from is not None:
            expect(
                learn_from.shape == features.shape[:2] and learn_from.dtype == torch.bool,
                "query.learn_from",
                f"expected bool of shape {tuple(features.shape[:2])}, got {learn_from.dtype} of "
                f"{tuple(learn_from.shape)}",
            )
        return cls(features, mask, learn_from)


class LinearForm(NamedTuple):
    """A head seen as linear scores: ``score_c(x) = weights_c . x + biases_c``.

    Attributes
    ----------
    weights : Tensor of shape (E, N, D)
    biases : Tensor of shape (E, N)
    response : Tensor of shape (E, N), or None
        r_c when the support enters a class's weights only through its own mean, as
        ``weights_c = r_c mean_c + something independent of the shots of c``: 1 for nearest
        class mean, 1 - alpha for means mixed with text. None when the weights depend on the
        shots in another way (an estimated covariance, say).
    """

    weights: Tensor
    biases: Tensor
    response: Tensor | None

    def balanced(self) -> LinearForm:
        """The same decisions with weights of about 1, so that scores can be squared.

        An episode's weights, biases and response over a power of two, which rounds nothing.
        """
        exponent = torch.frexp(self.weights.abs().amax((1, 2))).exponent
        factor = torch.ldexp(torch.ones_like(self.biases[:, 0]), -exponent)[:, None]
        response = None if self.response is None else self.response * factor
        return LinearForm(self.weights * factor[..., None], self.biases * factor, response)


class Head(ABC):
    """A classifier on features, fitted on the supports of a whole batch of episodes.

    The constructor stores its arguments under their own names; ``fit`` learns attributes that
    end in ``_`` and returns self; ``scores`` changes nothing.

    Attributes
    ----------
    is_linear : bool
        Whether `linear` returns the form of every fitted head of this class. It may be set before
        fitting: with all images as queries, linear heads read each class once for many episodes.
    means_at_one_shot : bool
        Whether one shot of every class makes a linear head nearest class mean, whatever it is with
        more.
    means_alone : bool
        Whether ``fit`` takes nothing of the shots but ``support.means()``, which are added up as
        shots are read: more episodes are then fitted at a time.
    """

    is_linear: bool = False
    means_at_one_shot: bool = False
    means_alone: bool = False

    @property
    def uses(self) -> frozenset[str]:
        """What the head needs beyond the labelled features; empty by default.

        "text": class names through a text encoder. "text_gaussians": Gaussians predicted from them,
        which takes base classes, or a predictor that was fitted on some. "base": moments of base
        classes. "base_episodes": labelled episodes of base classes with the ways and shots of the
        evaluated ones, to choose settings on (`fewshot.heads.labelled`); None in the context
        where base classes are too few, so that a head needs an answer without them. "queries": the
        unlabelled queries together (transductive; ``scores`` of a query depends on the others).
        "query_prior": an assumption on the share of each class among the queries.
        """
        return frozenset()

    @property
    def least_shots(self) -> int:
        """How many shots of every class the head needs; 1 by default.

        Heads that say 0 are asked for the zero-shot end of curves as well. With K = 0 they get
        support features of shape (E, N, 0, D), whose device and dtype hold, a mask (E, N, 0), and
        ``context.text`` for the rest. No other head ever gets such a support.
        """
        return 1

    @property
    def tags(self) -> HeadTags:
        """Tolerances, and properties that the head promises, for `fewshot.testing.check_head`.

        A head declares others by a class attribute ``tags = HeadTags(tolerance=1e-5)``.
        """
        return HeadTags()

    @property
    def references(self) -> Sequence[str] | None:
        """Papers that it rests on, for ``fewshot cite``: keys of `fewshot.references`, or BibTeX.

        A head gives them by a class attribute ``references = ("snell2017prototypical",)``, or as
        entries of BibTeX where the papers are not among those of this package; empty where there is
        none to cite. None, the default, says nothing.
        """
        return None

    @abstractmethod
    def fit(self, support: Support) -> Self:
        """Learn from the supports of E episodes."""

    @abstractmethod
    def scores(self, query: Query) -> Tensor:
        """Scores (E, T, N) of every query for every class; the largest wins."""

    def predict(self, query: Query) -> Tensor:
        """Way numbers (E, T) of the largest scores; the first among equals.

        Raises
        ------
        FewshotError
            A largest score is NaN or infinite.
        """
        best, answers = self.scores(query).max(-1)
        check_scores(self, best, query.mask)
        return answers

    def linear(self) -> LinearForm | None:
        """The fitted head as weights and biases; None if its scores are not linear in the query.

        Estimators have closed forms of the error for linear heads, and refit the others.
        """
        return None

    def leave_one_out(self, support: Support) -> Tensor | None:
        """Scores (E, N, K, N) of every shot by this head fitted without it, NaN if undefined.

        For heads that know better than to refit N K times; None means that this one does not.
        """
        return None

    def leave_one_of_each_out(self, support: Support) -> Tensor | None:
        """Scores (E, N, K, N) of the k-th shots of all classes by this head fitted without them.

        For heads that know better than to refit K times; None means that this one does not. What
        is returned for padding does not matter.
        """
        return None

    def get_params(self) -> dict[str, Any]:
        """Constructor arguments by name."""
        return {name: getattr(self, name) for name in parameter_names(type(self))}

    def variant(self) -> str:
        """Parameters that differ from the defaults: ``shrinkage=0.1``; empty for the defaults."""
        accepted = inspect.signature(type(self)).parameters
        defaults = {name: parameter.default for name, parameter in accepted.items()}
        return variant_text(self.get_params(), defaults)

    def set_params(self, **parameters: Any) -> Self:
        """Change constructor arguments, as searches of scikit-learn do (``head__shrinkage``).

        Raises
        ------
        FewshotError
            A name that the constructor does not accept.
        """
        accepted = self.get_params()
        for name in parameters.keys() - accepted.keys():
            remedy = suggestion(name, accepted) if accepted else "It has none."
            raise FewshotError("head", f"{type(self).__name__} has no setting {name!r}", remedy)
        changed = type(self)(**accepted | parameters)
        for name, value in changed.get_params().items():
            setattr(self, name, value)
        return self

    def clone(self) -> Self:
        """An unfitted head with the same parameters."""
        return type(self)(**self.get_params())

    def __sklearn_clone__(self) -> Self:
        """What ``sklearn.base.clone`` makes of a head that is a parameter of a classifier."""
        return self.clone()

    def __repr__(self) -> str:
        parameters = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({parameters})"


class LinearHead(Head):
    """A head whose scores are linear in the query once it is fitted."""

    is_linear = True
    weights_: Tensor
    biases_: Tensor

    def scores(self, query: Query) -> Tensor:
        """``weights . x + biases``: (E, T, N)."""
        return linear_scores(query.features, self.weights_, self.biases_)

    @abstractmethod
    def linear(self) -> LinearForm:
        """The fitted weights and biases, and how a class's weights follow its mean."""


def check_scores(head: Head, best: Tensor, mask: Tensor | None = None) -> None:
    """Raise if the largest score of a query is no finite number, which none of its classes wins.

    Parameters
    ----------
    head : Head
        For its name.
    best : Tensor of any shape
        Largest score of every query; NaN if any of them is.
    mask : Tensor of the shape of `best`, bool, optional
        False in the padding.
    """
    finite = best.isfinite() if mask is None else best.isfinite() | ~mask
    expect(
        bool(finite.all()),
        f"head={type(head).__name__}",
        "expected finite scores, got NaN or infinity",
        "Its numbers left the range of floating point: are features or its parameters very large?",
    )


def linear_scores(features: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """Scores (E, T, N) of features (E, T, D) under weights (E, N, D) and biases (E, N)."""
    return torch.baddbmm(biases[:, None], features, weights.mT)

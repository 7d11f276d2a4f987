"""What must leave the scores of a head alone: order, padding, batches; scale if it promises so."""

from __future__ import annotations

from dataclasses import replace

import torch

from fewshot.heads.base import Head, Query, Support
from fewshot.testing.check import require, require_close
from fewshot.testing.gaussians import E, N, T, declared, labelled_episodes
from fewshot.testing.head_cases import prepared, relative, require_same


def batch_equals_loop(head: Head, case: str) -> None:
    """The episodes of a batch know nothing of each other."""
    head, support, query = prepared(head, case)
    whole = head.fit(support).scores(query)
    for e in range(E):
        single = head.clone().fit(support[e : e + 1])
        require_same(
            single.scores(Query.of(query.features[e : e + 1])),
            whole[e : e + 1],
            "scores of an episode by itself and in a batch, as episodes know nothing of each other",
            head,
        )


def permutation_of_classes(head: Head, case: str) -> None:
    """Classes in another order have the same scores in that order."""
    head, support, query = prepared(head, case)
    order = torch.tensor([2, 0, 3, 1])
    scores = head.fit(support).scores(query)
    other = head.fit(support[:, order]).scores(query)
    require_same(other, scores[..., order], "scores with classes in another order", head)


def permutation_of_queries(head: Head, case: str) -> None:
    """Queries in another order have the same scores in that order."""
    head, support, query = prepared(head, case)
    scores = head.fit(support).scores(query)
    other = head.scores(Query.of(query.features.flip(1)))
    require_same(other, scores.flip(1), "scores with queries in another order", head)


def permutation_of_shots(head: Head, case: str) -> None:
    """The order of the shots of a class does not matter, unless the tags say so."""
    head, support, query = prepared(head, case)
    if not (head.tags.any_order_of_shots or support.complete):
        return
    scores = head.fit(support).scores(query)
    shuffled = Support.of(support.features.flip(2), support.mask.flip(2), support.context)
    what = "scores with shots in another order (or tags = HeadTags(any_order_of_shots=False))"
    require_same(head.fit(shuffled).scores(query), scores, what, head)


def queries_by_themselves(head: Head, case: str) -> None:
    """A head that does not declare "queries" scores each query without regard to the others."""
    head, support, query = prepared(head, case)
    if "queries" in head.uses:
        return
    scores = head.fit(support).scores(query)
    fewer = head.scores(Query.of(query.features[:, ::2]))
    what = 'scores of a query among fewer others, as `uses` does not have "queries"'
    require_same(fewer, scores[:, ::2], what, head)


def uses_what_it_declares(head: Head, case: str) -> None:
    """With nothing else in the context than what ``uses`` declares, the scores are the same."""
    head, support, query = prepared(head, case)
    scores = head.fit(support).scores(query)
    names = sorted(head.uses) or "nothing"
    alone = Support.of(support.features, support.mask, declared(support.context, head.uses))
    try:
        other = head.clone().fit(alone).scores(query)
    except Exception as error:
        raise AssertionError(
            f"expected it to do with what `uses` declares, {names}, got {type(error).__name__}: "
            f"{error}"
        ) from error
    require_same(other, scores, f"scores with what `uses` declares alone, {names}", head)


def padding_is_ignored(head: Head, case: str) -> None:
    """What stands behind the mask of the support changes nothing."""
    head, support, query = prepared(head, case)
    scores = head.fit(support).scores(query)
    rubbish = support.features.new_full((E, N, 2, support.features.shape[-1]), 1e3)
    features = torch.cat([support.features, rubbish], 2)
    mask = torch.cat([support.mask, torch.zeros(E, N, 2, dtype=torch.bool)], 2)
    padded = head.fit(Support.of(features, mask, support.context)).scores(query)
    require_same(padded, scores, "scores with shots that support.mask leaves out", head)


def padding_among_the_queries(head: Head, case: str) -> None:
    """What stands behind the mask of the queries changes nothing."""
    head, support, query = prepared(head, case)
    scores = head.fit(support).scores(query)
    rubbish = query.features.new_full((E, 3, query.features.shape[-1]), 1e3)
    mask = torch.cat([query.mask, torch.zeros(E, 3, dtype=torch.bool)], 1)
    padded = head.scores(Query.of(torch.cat([query.features, rubbish], 1), mask))
    require_same(padded[:, : N * T], scores, "scores with queries that the mask leaves out", head)


def queries_set_apart(head: Head, case: str) -> None:
    """Queries outside of `learn_from` are scored, each by itself, and teach nothing."""
    head, support, query = prepared(head, case)
    head.fit(support)
    learn = torch.arange(N * T) % 3 != torch.arange(E)[:, None] % 3  # others in every episode
    scores = head.scores(Query.of(query.features, None, learn))
    alone = head.scores(Query.of(query.features, learn))
    kept = learn[..., None]
    what = "scores of queries to learn from, with and without others that `learn_from` leaves out"
    require_same(scores * kept, alone * kept, what, head)
    first = ~learn & (learn.cumsum(1) < T)
    moved = torch.where((learn | first)[..., None], query.features, 3 - 2 * query.features)
    kept = (learn | first)[..., None]
    what = "scores of queries whatever others are that `learn_from` leaves out"
    require_same(head.scores(Query.of(moved, None, learn)) * kept, scores * kept, what, head)
    every = head.scores(Query.of(query.features, None, torch.ones_like(learn)))
    what = "scores with `learn_from` None and with all queries in it"
    require_same(every, head.scores(query), what, head)
    nothing = head.scores(Query.of(query.features, None, torch.zeros_like(learn)))
    require(bool(nothing.isfinite().all()), "expected finite scores with nothing to learn from")
    fewer = query.features[:, ::4]
    fewer_scores = head.scores(Query.of(fewer, None, torch.zeros(fewer.shape[:2]).bool()))
    what = "scores of a query among fewer others, with nothing to learn from"
    require_same(fewer_scores, nothing[:, ::4], what, head)


def features_with_gradients(head: Head, case: str) -> None:
    """Features, text and moments that carry gradients: the same scores, with a gradient or none."""
    head, support, query = prepared(head, case)
    expected = head.fit(support).scores(query)
    context = support.context
    names = ("text", "base_mean", "base_covariance")
    tensors = {name: getattr(context, name).clone().requires_grad_() for name in names}
    context = replace(context, **tensors)
    shots = support.features.clone().requires_grad_()
    queries = Query.of(query.features.clone().requires_grad_())
    with torch.enable_grad():
        scores = head.fit(Support.of(shots, support.mask, context)).scores(queries)
        head.predict(queries)
        if scores.requires_grad:
            scores.square().sum().backward()
    require_same(scores.detach(), expected, "scores of features with and without gradients", head)


def shift_of_features(head: Head, case: str) -> None:
    """A shift of all features changes nothing, if the tags promise it."""
    head, support, query = prepared(head, case)
    if not head.tags.shift_invariant:
        return
    scores = head.fit(support).scores(query)
    shift = torch.linspace(-1, 1, query.features.shape[-1], dtype=torch.float64)
    moved = Support.of(support.features + shift, support.mask, support.context)
    shifted = head.fit(moved).scores(Query.of(query.features + shift))
    require_same(shifted, scores, "scores after a shift, as the tags promise", head, least=1e-6)


def scale_of_features(head: Head, case: str, power: int, dtype: torch.dtype) -> None:
    """A factor of all features changes no answer, if the tags promise it."""
    head, support, query = prepared(head, case)
    if not head.tags.scale_invariant:
        return
    expected = head.fit(support.to(dtype)).predict(Query.of(query.features.to(dtype)))
    factor, context = 2.0**power, support.context
    assert context.base_mean is not None and context.base_covariance is not None
    context = replace(
        context,
        base_mean=context.base_mean * factor,
        base_covariance=context.base_covariance * factor**2,
    )
    context = replace(context, base_episodes=labelled_episodes(context, factor))
    scaled = Support.of((support.features * factor).to(dtype), support.mask, context.to(dtype))
    answers = head.fit(scaled).predict(Query.of((query.features * factor).to(dtype)))
    share = float((answers == expected).double().mean())
    require(
        share > 0.98,
        f"expected the same answers at another scale, as the tags promise, got {share}",
    )


def float32_agrees(head: Head, case: str) -> None:
    """Scores in float32 are those in float64, to its precision."""
    head, support, query = prepared(head, case)
    exact = relative(head.fit(support).scores(query))
    single = support.to(torch.float32)
    rough = relative(head.fit(single).scores(Query.of(query.features.float()))).double()
    difference = float((rough - exact).abs().max() / exact.abs().max())
    limit = max(1e-5, head.tags.tolerance)
    require(
        difference <= limit,
        f"expected float32 within {limit:g} of float64, relative to the largest score, got "
        f"{difference:g}",
    )


def accelerator(head: Head, case: str) -> None:
    """The same scores on an accelerator."""
    head, support, query = prepared(head, case)
    scores, context = head.fit(support).scores(query), support.context
    assert context.text is not None and context.gaussians is not None
    assert context.base_mean is not None and context.base_covariance is not None
    moved = replace(
        context,
        text=context.text.cuda(),
        base_mean=context.base_mean.cuda(),
        base_covariance=context.base_covariance.cuda(),
        gaussians=context.gaussians.to("cuda"),
    )
    moved = replace(moved, base_episodes=labelled_episodes(moved, device="cuda"))
    there = head.fit(Support.of(support.features.cuda(), support.mask.cuda(), moved))
    answer = there.scores(Query.of(query.features.cuda())).cpu()
    require_close(relative(answer), relative(scores), "equal scores on an accelerator", 1e-6)

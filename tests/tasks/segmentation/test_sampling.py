"""Draws of annotated images."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from fewshot.exceptions import FewshotError
from fewshot.tasks.segmentation.draw_files import load_draws, save_draws
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.sampling import DrawSampling

SAMPLERS = ("per_class", "greedy", "total", "episodic")


def dataset(images=40, classes=5, seed=0, queries=None, groups=None, background=0, rare=None):
    """Images of which each shows about half of the classes."""
    rng = np.random.default_rng(seed)
    presence = rng.integers(1, 100, (images, classes)) * (rng.random((images, classes)) < 0.5)
    presence[:, 0] = 50
    if rare is not None:
        presence[:, rare] = 0
        presence[:2, rare] = 1
    support = np.arange(images) if queries is None else np.setdiff1d(np.arange(images), queries)
    return MaskDataset(
        "made", None, tuple(f"{i}.png" for i in range(images)),
        tuple(f"class {c}" for c in range(classes)), lambda row: None, lambda: presence,
        lambda: "x", support, queries, groups, background,
    )  # fmt: skip


def sampling(sampler, **settings):
    ways = {"ways": 2} if sampler == "episodic" else {}
    return DrawSampling(sampler, **({"shots": (1, 2, 3), "count": 4} | ways | settings))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_k_shots_are_the_first_of_k_plus_one_with_the_same_queries(sampler):
    sets = sampling(sampler).draw(dataset(), seed=3)
    for fewer, more in pairwise(sets):
        for e in range(len(fewer)):
            assert set(fewer.support_of(e)) <= set(more.support_of(e))
            assert (fewer.queries_of(e) == more.queries_of(e)).all()
            assert not set(more.support_of(e)) & set(more.queries_of(e))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_draw_depends_on_its_number_and_the_seed_alone(sampler):
    few, many = (sampling(sampler, count=count).draw(dataset(), seed=5) for count in (2, 6))
    for one, other in zip(few, many, strict=True):
        for e in range(2):
            assert one.support_of(e).tolist() == other.support_of(e).tolist()
            assert one.queries_of(e).tolist() == other.queries_of(e).tolist()
    again, other_seed = (sampling(sampler).draw(dataset(), seed=s)[2] for s in (5, 6))
    assert again.hash() == sampling(sampler).draw(dataset(), seed=5)[2].hash()
    assert again.hash() != other_seed.hash()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_more_shots_asked_for_leave_fewer_as_they_are(sampler):
    small = sampling(sampler, shots=(1,), count=20).draw(dataset(), seed=0)[0]
    large = sampling(sampler, shots=(1, 6), count=20).draw(dataset(), seed=0)[0]
    assert (small.support == large.support).all()


def test_per_class_draws_k_distinct_images_of_every_class():
    data = dataset()
    drawn = sampling("per_class", shots=(3,)).draw(data, seed=0)[0]
    presence = data.presence() > 0
    for e in range(len(drawn)):
        rows = drawn.support_of(e)
        assert len(set(rows)) == len(rows) == 15
        assert (presence[rows].sum(0) >= 3).all()
    assert drawn.images.tolist() == [15] * 4


def test_greedy_needs_fewer_images_for_as_many_of_every_class():
    data = dataset()
    greedy, per_class = (sampling(s).draw(data, seed=0)[2] for s in ("greedy", "per_class"))
    presence = data.presence() > 0
    for e in range(len(greedy)):
        assert (presence[greedy.support_of(e)].sum(0) >= 3).all()
    assert (greedy.images < per_class.images).all()


def test_total_draws_as_many_images_as_it_says():
    assert [d.images.tolist() for d in sampling("total").draw(dataset(), seed=0)] == [
        [1] * 4, [2] * 4, [3] * 4,
    ]  # fmt: skip


def test_images_of_a_class_are_drawn_alike():
    data = dataset(images=20)
    drawn = sampling("per_class", shots=(1,), count=2000).draw(data, seed=0)[0]
    presence = data.presence()[:, 0] > 0
    counts = Counter(int(drawn.support[e, 0]) for e in range(len(drawn)))
    observed = [counts[row] for row in np.flatnonzero(presence)]
    assert stats.chisquare(observed).pvalue > 1e-4


def test_episodes_have_queries_with_and_without_the_class():
    data = dataset()
    drawn = sampling("episodic", ways=1, shots=(1,), count=50, queries=2).draw(data, seed=0)[0]
    presence = data.presence() > 0
    assert drawn.ways == 2
    for e in range(len(drawn)):
        (number,) = np.flatnonzero(drawn.labels[e] == 1)
        assert number != data.background
        assert presence[drawn.support_of(e), number].all()
        shows = presence[drawn.queries_of(e), number]
        assert shows.sum() == 2
        assert (~shows).sum() == 2


def test_target_annotation_names_the_class_that_an_image_was_drawn_for():
    data = dataset()
    drawn = sampling("per_class", annotate="target", shots=(1,)).draw(data, seed=0)[0]
    assert sorted(drawn.annotated[0]) == list(range(5))
    for row, number in zip(drawn.support[0], drawn.annotated[0], strict=True):
        assert data.presence()[row, number] > 0


def test_groups_are_never_shared_by_support_and_queries():
    groups = tuple(f"drive {i // 5}" for i in range(40))
    data = dataset(groups=groups, queries=np.arange(20, 40))
    mixed = dataset(groups=tuple(f"drive {i % 4}" for i in range(40)))
    drawn = sampling("per_class", shots=(1,)).draw(data, seed=0)[0]
    assert (drawn.queries >= 0).sum() == 4 * 20
    with pytest.raises(FewshotError, match=r"no image of made is left"):
        sampling("per_class", shots=(2,)).draw(mixed, seed=0)
    some = sampling("total", shots=(1,)).draw(mixed, seed=0)[0]
    for e in range(len(some)):
        taken = {mixed.groups[row] for row in some.support_of(e)}
        assert not taken & {mixed.groups[row] for row in some.queries_of(e)}


def test_a_class_without_enough_images_is_named():
    with pytest.raises(FewshotError, match=r"3 annotated images of every class, and 'class 4'.*2"):
        sampling("per_class").draw(dataset(rare=4), seed=0)
    data = dataset(rare=4, queries=np.arange(2))
    with pytest.raises(FewshotError, match="'class 4' has no pixel in the support part"):
        sampling("per_class", shots=(1,)).draw(data, seed=0)


def test_classes_with_too_few_images_can_be_left_out():
    drawn = sampling("per_class", min_images="drop").draw(dataset(rare=4), seed=0)[0]
    assert drawn.ways == 4
    assert drawn.labels[0].tolist() == [0, 1, 2, 3, -1]


def test_pixels_from_which_on_an_image_shows_a_class():
    data = dataset()
    drawn = sampling("per_class", shots=(1,), min_pixels=40, annotate="target").draw(data, seed=0)[
        0
    ]
    for row, number in zip(drawn.support[0], drawn.annotated[0], strict=True):
        assert data.presence()[row, number] >= 40
    with pytest.raises(FewshotError, match=r"of 60 pixels or more of every class"):
        sampling("per_class", shots=(1,), min_pixels=60).draw(data, seed=0)


@pytest.mark.parametrize(
    ("settings", "argument"),
    [
        ({"sampler": "balanced"}, "episodes.sampler"),
        ({"shots": ()}, "episodes.shots"),
        ({"shots": (0,)}, "episodes.shots"),
        ({"count": 0}, "episodes.count"),
        ({"ways": 3}, "episodes.ways"),
        ({"queries": 0}, "episodes.queries"),
        ({"shots": (1, 2, 1)}, "episodes.shots"),
        ({"sampler": "episodic", "ways": 0}, "episodes.ways"),
        ({"annotate": "some"}, "episodes.annotate"),
        ({"sampler": "total", "annotate": "target"}, "episodes.annotate"),
        ({"min_pixels": 0}, "episodes.min_pixels"),
        ({"min_images": "skip"}, "episodes.min_images"),
    ],
)
def test_wrong_settings_are_named(settings, argument):
    with pytest.raises(FewshotError) as caught:
        DrawSampling(**settings)
    assert caught.value.argument == argument


def test_more_than_there_is():
    with pytest.raises(FewshotError, match="at most the 40"):
        sampling("total", shots=(41,)).draw(dataset(), seed=0)
    with pytest.raises(FewshotError, match=r"episodes.ways: expected at most 4"):
        sampling("episodic", ways=9).draw(dataset(), seed=0)


def test_saved_draws_are_replayed(tmp_path):
    data = dataset()
    drawn = sampling("greedy").draw(data, seed=0)[1]
    replay = load_draws(save_draws(drawn, tmp_path / "draws.safetensors"))
    assert replay.hash() == drawn.hash()
    again = DrawSampling(replay=replay)
    assert again.numbers_of_shots == (2,)
    assert again.draw(data, seed=9)[0].hash() == drawn.hash()
    with pytest.raises(FewshotError, match="expected draws of made"):
        again.draw(dataset(classes=7), seed=0)


@pytest.mark.parametrize("sampler", ["per_class", "episodic"])
def test_draws_annotated_for_one_class_have_a_kind_of_their_own(sampler):
    """Rows of both stand beside each other in a report: neither takes the place of the other."""
    whole, target = (
        sampling(sampler, annotate=annotate).draw(dataset(), seed=0)[0].kind
        for annotate in ("all", "target")
    )
    assert (whole, target) == (sampler, f"{sampler} target")

"""One-class tasks: sampled rows, their classes, and distances of classes in a taxonomy."""

import numpy as np
import pytest

from fewshot.exceptions import FewshotError
from fewshot.tasks.one_class.sampling import draw_tasks
from fewshot.tasks.one_class.taxonomy import ancestors_of, distances

SIZES = (5, 9, 12, 30, 8)
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(5), SIZES))
SHARES = (0.5, 0.2, 0.1)


def draw(tasks=12, shares=SHARES, seed=0, **more):
    return draw_tasks(LABELS, np.arange(5), tasks, shares, seed, **more)


def test_rows_are_of_the_target_first_and_of_others_then():
    drawn = draw()
    for c, rows, positives in zip(drawn.targets, drawn.rows, drawn.positives, strict=True):
        assert (LABELS[rows[:positives]] == c).all()
        assert (LABELS[rows[positives:]] != c).all()
        assert len(set(rows.tolist())) == len(rows)


def test_shares_are_kept_with_fewer_positives_where_negatives_are_short():
    drawn = draw()
    total = len(LABELS)
    for c, (half, fifth, tenth) in zip(drawn.targets, drawn.counts, strict=True):
        size = SIZES[c]
        assert half.tolist() == [min(size, total - size)] * 2
        expected = min(size, (total - size) // 4)
        assert fifth.tolist() == [expected, 4 * expected]
        assert tenth[1] == 9 * tenth[0]
    lengths = [len(rows) for rows in drawn.rows]
    assert drawn.counts.max(1).sum(-1).tolist() == lengths


def test_a_share_that_cannot_be_is_left_out():
    drawn = draw(shares=(0.5, 0.01))
    assert (drawn.counts[:, 1] == 0).all()
    assert (drawn.counts[:, 0] > 0).all()
    with pytest.raises(FewshotError, match=r"Raise one_class\.prevalences"):
        draw(shares=(0.01,))


def test_a_task_depends_on_its_number_alone():
    many, few = draw(30), draw(7)
    for t in range(7):
        assert many.rows[t].tolist() == few.rows[t].tolist()
    assert many.hash() != few.hash()
    assert draw().hash() == draw().hash()
    assert draw(seed=1).hash() != draw().hash()
    assert draw(stream=1).hash() != draw().hash()
    alone, both = draw(shares=(0.5,)), draw(shares=(0.5, 0.2))
    for t in range(12):
        P, N = alone.counts[t, 0]
        ours, theirs = alone.rows[t], both.rows[t]
        assert ours[:P].tolist() == theirs[:P].tolist()
        assert ours[P : P + N].tolist() == theirs[both.positives[t] :][:N].tolist()


def test_every_class_is_a_target_before_any_is_again():
    drawn = draw(10)
    assert sorted(drawn.targets[:5]) == sorted(drawn.targets[5:]) == list(range(5))


def test_negatives_are_uniform_over_images():
    labels = np.repeat([0, 1, 2], [3, 10, 30])
    drawn = draw_tasks(labels, np.arange(3), 3000, (0.5,))
    seen = [row for c, rows in zip(drawn.targets, drawn.rows, strict=True) if c == 0
            for row in rows[3:]]  # fmt: skip
    share = np.bincount(seen, minlength=43)[3:] / len(seen)
    assert np.abs(share - 1 / 40).max() < 5 * (1 / 40 / len(seen)) ** 0.5


def test_only_classes_apart_give_negatives():
    apart = np.zeros((5, 5), bool)
    apart[0, 1] = apart[1, 0] = apart[2, 3] = apart[3, 2] = True
    drawn = draw(apart=apart)
    assert drawn.dropped == (4,)
    partner = {0: 1, 1: 0, 2: 3, 3: 2}
    for c, rows, positives in zip(drawn.targets, drawn.rows, drawn.positives, strict=True):
        assert (LABELS[rows[positives:]] == partner[c]).all()


@pytest.mark.parametrize("wrong", [[], 0.5, [0], [1], [0.5, -1], ["half"], [float("nan")]])
def test_prevalences_out_of_range(wrong):
    with pytest.raises(FewshotError, match=r"one_class\.prevalences"):
        draw(shares=wrong)


def test_one_class_only():
    with pytest.raises(FewshotError, match="two classes with images or more, got 1"):
        draw_tasks(np.zeros(9, int), np.array([0]))


TREE = {
    "house cat": ["animal", "mammal", "feline"],
    "Lynx": ["animal", "mammal", "feline"],
    "wolf": ["animal", "mammal", "canine"],
    "wasp": ["animal", "insect", "hymenopteran"],
    "cup": ["artifact", "vessel", "crockery"],
}


def test_distances_are_levels_to_the_lowest_common_ancestor():
    names = ["house_cat", "lynx", "wolf", "wasp", "cup"]
    levels = distances(ancestors_of(names, TREE))
    assert levels[0].tolist() == [0, 1, 2, 3, 4]
    assert (levels == levels.T).all()
    inat = [
        "00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris",
        "00001_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_rubellus",
        "00002_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Eisenia_fetida",
        "00003_Plantae_Tracheophyta_Magnoliopsida_Rosales_Rosaceae_Rosa_canina",
    ]
    assert distances(ancestors_of(inat))[0].tolist() == [0, 1, 2, 7]


def test_taxonomies_that_do_not_fit():
    with pytest.raises(FewshotError, match="needs a taxonomy"):
        ancestors_of(["cat", "dog"])
    with pytest.raises(FewshotError, match=r"1 of 2 classes are not in the taxonomy.*'dog'"):
        ancestors_of(["wolf", "dog"], TREE)
    with pytest.raises(FewshotError, match=r"one depth.*'wolf' has 3 ancestors and 'bee' has 2"):
        ancestors_of(["wolf", "bee"], TREE | {"bee": ["animal", "insect"]})
    for wrong in ("animal", [], [3]):
        with pytest.raises(FewshotError, match="list of names for 'bee'"):
            ancestors_of(["bee"], {"bee": wrong})

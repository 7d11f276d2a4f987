"""What `auto` chooses, and by which images."""

import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.tasks.segmentation.heads import heads
from fewshot.tasks.segmentation.heads.auto import Auto, held_out_confusions
from fewshot.tasks.segmentation.heads.base import DenseSupport, SupportImage
from fewshot.tasks.segmentation.heads.dense_knn import DenseKNN
from fewshot.tasks.segmentation.heads.leave_out import (
    best_candidate,
    mean_iou,
    splits,
    token_confusion,
)
from fewshot.tasks.segmentation.heads.pixel_lda import PixelLDA
from fewshot.tasks.segmentation.heads.prototype import Prototype
from fewshot.testing.dense_supports import annotated_image, dense_support


def rings(images):
    """Two classes around the same mean, one inside the other: no linear head tells them apart."""
    generator = torch.Generator().manual_seed(3)
    drawn = []
    for _ in range(images):
        angles = 6.28 * torch.rand(60, generator=generator)
        classes = torch.arange(60) % 2
        height = torch.where(classes == 1, 0.1, 1.0) * torch.sign(angles - 3.14)
        tokens = torch.stack([angles.cos(), angles.sin(), height], 1)
        labels = torch.nn.functional.one_hot(classes, 2) * 16.0
        drawn.append(SupportImage(tokens, labels, (6, 10)))
    return DenseSupport(drawn, 2)


def test_it_takes_neighbours_where_no_linear_head_can_do_it():
    support = rings(4)
    head = Auto().fit(support)
    assert head.chosen_ == "dense_knn" and not head.is_linear
    tokens, grid = support.images[0].tokens, support.images[0].grid
    expected = DenseKNN().fit(support).scores(tokens, grid)
    assert torch.equal(head.scores(tokens, grid), expected)
    assert head.ious_["dense_knn"] == max(head.ious_.values())
    assert head.ious_["dense_knn"] > head.ious_["pixel_lda"] + 0.2


def test_means_are_compared_as_they_are_counted_by_hand():
    support = dense_support(4, soft=True)
    confusion = torch.zeros(3, 3, dtype=torch.float64)
    for index in range(4):
        image = support.images[index]
        scores = PixelLDA(0.3).fit(support.without(index)).scores(image.tokens, image.grid)
        for token, labels in zip(scores, image.labels, strict=True):
            for truth, pixels in enumerate(labels):
                confusion[truth, int(token.argmax())] += float(pixels)
    hits = confusion.diagonal()
    expected = float((hits / (confusion.sum(0) + confusion.sum(1) - hits)).mean())
    candidates = [Prototype(), PixelLDA(0.3), DenseKNN(5)]
    confusions = held_out_confusions(candidates, support, 0)
    assert confusions.shape == (4, 3, 3, 3)
    assert float(mean_iou(confusions.sum(0))[1]) == pytest.approx(expected, abs=1e-9)
    assert not hasattr(candidates[0], "map_")  # candidates themselves stay unfitted


def test_equal_candidates_are_taken_in_their_order():
    candidates = ["prototype", {"pixel_lda": {}}, "ridge"]
    assert Auto(candidates).fit(dense_support(3, soft=False)).chosen_ == "prototype"


def test_a_single_image_takes_the_first():
    support = dense_support(1)
    head = Auto().fit(support)
    assert head.chosen_ == "pixel_lda (shrinkage=0.3, tau=0.5)" and head.ious_ == {}
    assert Auto(["ridge", "prototype"]).fit(support).chosen_ == "ridge"


def test_settings_are_said():
    head = Auto([{"dense_knn": {"k": 10}}]).fit(dense_support(2))
    assert head.chosen_ == "dense_knn (k=10)" and head.head_.k == 10
    assert Auto([DenseKNN(7)]).fit(dense_support(2)).chosen_ == "dense_knn (k=7)"
    assert Auto(["ridge"]).variant() == "candidates=['ridge']"


@pytest.mark.parametrize(
    ("candidates", "problem"),
    [
        ([], "expected a list of heads"),
        ("ridge", "expected a list of heads"),
        (["rigde"], "expected a registered name, got 'rigde'.* Did you mean 'ridge'"),
        ([{"dense_knn": {"k": 0}}], "'dense_knn': k: expected an integer >= 1, got 0"),
        ([{"dense_knn": {"q": 1}}], "has no setting 'q'"),
        ([{"dense_knn": 5}], "expected names of heads, or a name with its settings"),
        ([{"dense_knn": {}, "ridge": {}}], "expected names of heads"),
        (["repri"], "expected heads for any number of classes, got 'repri'"),
        (["auto"], "expected heads for any number of classes, got 'auto'"),
    ],
)
def test_candidates_that_are_none(candidates, problem):
    with pytest.raises(FewshotError, match=rf"^candidates: .*{problem}"):
        heads.create("auto", candidates=candidates)


@pytest.mark.parametrize("count", [2, 5, 10, 11, 30, 31, 100])
def test_images_are_held_out_once(count):
    image = annotated_image(0)
    images = [image._replace(grid=(at, 0)) for at in range(count)]
    held = [
        (split, {held.grid[0] for held in split.held_out})
        for split in splits(DenseSupport(images, 3))
    ]
    judged = [number for _, group in held for number in group]
    assert len(judged) == len(set(judged)) and min(count, 16) <= len(judged) <= 30
    assert len(held) == min(10, len(judged))
    for split, group in held:
        rest = {other.grid[0] for other in split.rest.images}
        assert rest == set(range(count)) - group and rest


def test_confusion_counts_pixels_by_the_winner_at_their_token():
    scores = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
    labels = torch.tensor([[3.0, 1.0], [0.5, 2.0], [0.0, 0.0]])
    confusion = token_confusion(scores, labels)
    assert confusion.tolist() == [[3.0, 0.5], [1.0, 2.0]]
    assert float(mean_iou(confusion)) == pytest.approx((3 / 4.5 + 2 / 3.5) / 2)


def test_classes_that_are_not_in_the_truth_do_not_count():
    confusion = torch.tensor([[4.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 5.0]])
    assert float(mean_iou(confusion)) == pytest.approx((4 / 6 + 5 / 6) / 2)
    both = torch.stack([confusion, torch.zeros(3, 3)])
    assert float(mean_iou(both)[0]) == float(mean_iou(confusion))
    assert bool(mean_iou(both)[1].isnan())


def hits(*shares):
    """Confusions (G, 1, 2, 2) of groups with 100 pixels per class, of which so many are right."""
    return torch.stack([torch.tensor([[s, 100 - s], [100 - s, s]]) for s in shares])[:, None]


def test_the_first_gives_way_to_what_is_clearly_better():
    first = hits(80.0, 82.0, 78.0, 80.0)
    clear, worse = hits(84.0, 86.0, 83.0, 85.0), hits(79.0, 80.0, 77.0, 80.0)
    chance = hits(80.0, 99.0, 70.0, 80.0)  # better on average, by one group of images alone
    assert best_candidate(torch.cat([first, worse, clear], 1)) == 2
    assert best_candidate(torch.cat([first, chance], 1)) == 0
    assert best_candidate(torch.cat([first, first, first], 1)) == 0
    # Where the truth of a group is all that there is, nothing is known of the error of the gain.
    blank = torch.zeros(1, 2, 2, 2)
    assert best_candidate(torch.cat([torch.cat([first[:1], clear[:1]], 1), blank])) == 0


def test_the_gain_is_measured_by_the_jackknife():
    """One standard error: of differences of mean IoU, group by group left out."""
    generator = torch.Generator().manual_seed(4)
    for _ in range(20):
        confusions = 10 * torch.rand(5, 2, 3, 3, generator=generator).double()
        differences = []
        for left in range(5):
            kept = [group for group in range(5) if group != left]
            values = [float(mean_iou(confusions[kept, head].sum(0))) for head in range(2)]
            differences.append(values[1] - values[0])
        mean = sum(differences) / 5
        error = (4 / 5 * sum((d - mean) ** 2 for d in differences)) ** 0.5
        gain = float(mean_iou(confusions[:, 1].sum(0)) - mean_iou(confusions[:, 0].sum(0)))
        assert best_candidate(confusions) == int(gain > error)

"""What `auto` chooses, and by which images."""

import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.tasks.segmentation.heads import heads
from fewshot.tasks.segmentation.heads.auto import Auto, held_out_ious
from fewshot.tasks.segmentation.heads.base import DenseSupport, SupportImage
from fewshot.tasks.segmentation.heads.dense_knn import DenseKNN
from fewshot.tasks.segmentation.heads.leave_out import mean_iou, splits, token_confusion
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
    assert held_out_ious(candidates, support, 0)[1] == pytest.approx(expected, abs=1e-9)
    assert not hasattr(candidates[0], "map_")  # candidates themselves stay unfitted


def test_equal_candidates_are_taken_in_their_order():
    candidates = ["prototype", {"pixel_lda": {}}, "ridge"]
    assert Auto(candidates).fit(dense_support(3, soft=False)).chosen_ == "prototype"


def test_a_single_image_takes_the_first():
    support = dense_support(1)
    head = Auto().fit(support)
    assert head.chosen_ == "pixel_lda" and head.ious_ == {}
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
    assert mean_iou(confusion) == pytest.approx((3 / 4.5 + 2 / 3.5) / 2)


def test_classes_that_are_not_in_the_truth_do_not_count():
    confusion = torch.tensor([[4.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 5.0]])
    assert mean_iou(confusion) == pytest.approx((4 / 6 + 5 / 6) / 2)

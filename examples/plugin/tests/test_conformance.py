"""What the suite relies on, by the checks that it ships."""

import pytest
from fewshot_example.backbone import colour_grid
from fewshot_example.estimator import Resubstitution
from fewshot_example.head import GeometricMedian
from fewshot_example.task import MarginTask

from fewshot.testing import check_backbone, check_estimator, check_task, head_checks


@pytest.mark.parametrize(("name", "check"), head_checks())
def test_head(name, check):
    check(GeometricMedian())


def test_estimator():
    check_estimator(Resubstitution())


def test_backbone():
    check_backbone(colour_grid)


def test_task():
    check_task(MarginTask())

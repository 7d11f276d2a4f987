"""Checks that a head, an estimator, a backbone or a task does what the suite relies on.

    from fewshot.testing import check_head
    check_head(MyHead())

Each raises an AssertionError that says what is expected and what came. The single checks are pairs
of a name and a function, for instance for pytest:

    @pytest.mark.parametrize(("name", "check"), fewshot.testing.head_checks())
    def test_my_head(name, check):
        check(MyHead())

What an object does not promise, or only to a tolerance of its own, it declares as `tags`.
"""

from fewshot.testing.backbones import backbone_checks, check_backbone
from fewshot.testing.dense_heads import check_dense_head, dense_head_checks
from fewshot.testing.estimators import check_estimator, estimator_checks
from fewshot.testing.heads import check_head, head_checks
from fewshot.testing.tasks import check_task, task_checks

__all__ = [
    "backbone_checks",
    "check_backbone",
    "check_dense_head",
    "check_estimator",
    "check_head",
    "check_task",
    "dense_head_checks",
    "estimator_checks",
    "head_checks",
    "task_checks",
]

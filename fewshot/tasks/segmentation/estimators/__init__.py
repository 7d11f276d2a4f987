"""Estimators of the error of segmentation from the support alone, found by name."""

from __future__ import annotations

from fewshot.registry import Registry

estimators = Registry("estimator", "fewshot.segmentation_estimators")
estimators.add(
    "loo_image",
    "fewshot.tasks.segmentation.estimators.leave_out:LeaveOneImageOut",
    "every annotated image segmented by a head fitted on the others",
)
estimators.add(
    "loo_group",
    "fewshot.tasks.segmentation.estimators.leave_out:LeaveOneGroupOut",
    "every group of annotated images (drive, patient) segmented without it",
)
estimators.add(
    "resubstitution",
    "fewshot.tasks.segmentation.estimators.leave_out:Resubstitution",
    "the annotated images segmented by the head fitted on them: too good, a warning",
)
estimators.add(
    "constant",
    "fewshot.tasks.segmentation.estimators.constant:Constant",
    "the mean actual error of the other draws: knows the truth, the best constant",
)

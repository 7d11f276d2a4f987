"""Public names of few-shot segmentation: data sets with masks, draws, heads, estimators.

>>> from fewshot.segmentation import PixelLDA, load_masks
>>> PixelLDA(shrinkage=0.3)
PixelLDA(shrinkage=0.3, tau=1.0)
>>> scenes = load_masks({"kind": "scenes", "train": 8, "test": 4})
>>> len(scenes), scenes.classnames[0]
(12, 'gradient')
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fewshot.lazy import lazy

if TYPE_CHECKING:
    from fewshot.tasks.segmentation.draw_files import load_draws as load_draws
    from fewshot.tasks.segmentation.draw_files import save_draws as save_draws
    from fewshot.tasks.segmentation.draws import DrawSet as DrawSet
    from fewshot.tasks.segmentation.estimators import estimators as estimators
    from fewshot.tasks.segmentation.estimators.base import (
        SegmentationEstimator as SegmentationEstimator,
    )
    from fewshot.tasks.segmentation.estimators.base import (
        SegmentationPrediction as SegmentationPrediction,
    )
    from fewshot.tasks.segmentation.estimators.constant import Constant as Constant
    from fewshot.tasks.segmentation.estimators.leave_out import LeaveOneGroupOut as LeaveOneGroupOut
    from fewshot.tasks.segmentation.estimators.leave_out import LeaveOneImageOut as LeaveOneImageOut
    from fewshot.tasks.segmentation.estimators.leave_out import Resubstitution as Resubstitution
    from fewshot.tasks.segmentation.heads import heads as heads
    from fewshot.tasks.segmentation.heads.auto import Auto as Auto
    from fewshot.tasks.segmentation.heads.base import DenseHead as DenseHead
    from fewshot.tasks.segmentation.heads.base import DenseSupport as DenseSupport
    from fewshot.tasks.segmentation.heads.base import LinearDenseHead as LinearDenseHead
    from fewshot.tasks.segmentation.heads.base import MomentHead as MomentHead
    from fewshot.tasks.segmentation.heads.base import SupportImage as SupportImage
    from fewshot.tasks.segmentation.heads.dense_knn import DenseKNN as DenseKNN
    from fewshot.tasks.segmentation.heads.linear_probe import LinearProbe as LinearProbe
    from fewshot.tasks.segmentation.heads.logistic import Logistic as Logistic
    from fewshot.tasks.segmentation.heads.pixel_lda import PixelLDA as PixelLDA
    from fewshot.tasks.segmentation.heads.prototype import Prototype as Prototype
    from fewshot.tasks.segmentation.heads.repri import RePRI as RePRI
    from fewshot.tasks.segmentation.heads.ridge import Ridge as Ridge
    from fewshot.tasks.segmentation.masks import load_masks as load_masks
    from fewshot.tasks.segmentation.masks.base import MaskDataset as MaskDataset
    from fewshot.tasks.segmentation.masks.writing import write_folder as write_folder
    from fewshot.tasks.segmentation.pictures import overlay as overlay
    from fewshot.tasks.segmentation.pictures import palette as palette
    from fewshot.tasks.segmentation.sampling import DrawSampling as DrawSampling

# Names by the module that has them.
_HOMES = {
    "Auto": "heads.auto",
    "Constant": "estimators.constant",
    "DenseHead": "heads.base",
    "DenseKNN": "heads.dense_knn",
    "DenseSupport": "heads.base",
    "DrawSampling": "sampling",
    "DrawSet": "draws",
    "LeaveOneGroupOut": "estimators.leave_out",
    "LeaveOneImageOut": "estimators.leave_out",
    "LinearDenseHead": "heads.base",
    "LinearProbe": "heads.linear_probe",
    "Logistic": "heads.logistic",
    "MaskDataset": "masks.base",
    "MomentHead": "heads.base",
    "PixelLDA": "heads.pixel_lda",
    "Prototype": "heads.prototype",
    "RePRI": "heads.repri",
    "Resubstitution": "estimators.leave_out",
    "Ridge": "heads.ridge",
    "SegmentationEstimator": "estimators.base",
    "SegmentationPrediction": "estimators.base",
    "SupportImage": "heads.base",
    "estimators": "estimators",
    "heads": "heads",
    "load_draws": "draw_files",
    "load_masks": "masks",
    "overlay": "pictures",
    "palette": "pictures",
    "save_draws": "draw_files",
    "write_folder": "masks.writing",
}
__all__ = [*_HOMES]  # noqa: PLE0604  strings, all of them
_IN_TASK = {name: f"tasks.segmentation.{home}" for name, home in _HOMES.items()}
__getattr__, _ = lazy("fewshot", _IN_TASK)


def __dir__() -> list[str]:
    return sorted(__all__)

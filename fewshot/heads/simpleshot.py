"""SimpleShot."""

from __future__ import annotations

from fewshot.heads.solvers.transforms import Center
from fewshot.heads.tags import HeadTags
from fewshot.heads.transformed_ncm import TransformedNCM


class SimpleShot(TransformedNCM):
    """Nearest class mean of centred unit-length features ("CL2N").

    Wang et al., "SimpleShot: Revisiting Nearest-Neighbor Classification for Few-Shot Learning",
    2019: ``x -> (x - o) / |x - o|`` with o the mean of the base classes, then the nearest mean
    of the shots in Euclidean distance. The means are not put back to unit length.

    Parameters
    ----------
    center : {"base", "support", "none"}
        What is subtracted first: the mean of the base classes, the paper's CL2N; the mean of the
        class means, where there are no base classes; nothing, the paper's L2N. Fixed, nothing is
        chosen from data.
    """

    references = ("wang2019simpleshot",)
    tags = HeadTags(scale_invariant=True)

    _setting = "head.simpleshot"

    def __init__(self, center: Center = "base") -> None:
        super().__init__("euclidean", center, None, True)

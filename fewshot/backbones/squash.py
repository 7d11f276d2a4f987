"""The transform of SigLIP and other models that were trained on squashed images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fewshot.backbones.transform import INTERPOLATION, Transform


@dataclass(frozen=True)
class Squash(Transform):
    """Resize both sides to size / crop_pct whatever their ratio, cut the centre, normalise.

    Attributes
    ----------
    resize : str
        "squash"; here because every field is in the key of a feature bank.
    """

    resize: str = "squash"

    def pixels(self, image: Image.Image) -> Tensor:
        """Resized pixels of an RGB image: (3, size, size), uint8."""
        width, height = image.size
        left, top = width * (1 - self.crop_pct) / 2, height * (1 - self.crop_pct) / 2
        box = (left, top, width - left, height - top)
        filtered = image.resize((self.size, self.size), INTERPOLATION[self.interpolation], box)
        return torch.from_numpy(np.array(filtered)).permute(2, 0, 1)

"""How much images count beside class names, from the shots of an episode alone."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.heads.solvers.training import Shots

# Spread of the cosines with a shot of another class, in those with the text of another class.
SHARE = 0.25
# Cosines with shots that are taken to be spread as those with the text, beside the true ones.
PRIOR_COSINES = 5


def zero_shot_confidence(shots: Shots) -> Tensor:
    """Mean probability (E, N, 1) of the class of a shot under its text, over the shots of a class.

    Padding counts nothing.
    """
    probabilities = (shots.logit_scale * shots.text @ shots.features.mT).softmax(1)
    confidence = (probabilities * shots.targets).sum(-1, keepdim=True)
    return confidence / shots.targets.sum(-1, keepdim=True)


def visual_weight(shots: Shots, typical_shots: Tensor) -> Tensor:
    """Weight (E,) of class means beside text vectors, by the spread of their cosines with shots.

    Scores ``f . t_c`` and ``f . m_c`` of images of other classes differ from image to image by
    noise. One shot gets the weight with which its noise is `SHARE` of that of the text; K shots,
    whose mean tells more, the root of K times as much. Where there are too few images to compare,
    as with two classes of one shot each, the weight is 0.

    Parameters
    ----------
    shots : Shots
    typical_shots : Tensor of shape (E,)
        K.
    """
    means = shots.targets @ shots.features / shots.targets.sum(-1, keepdim=True)
    images = shots.share > 0
    others = images & (shots.targets == 0)
    of_text, cosines = spread(shots.text @ shots.features.mT, others)
    of_means, _ = spread(means @ shots.features.mT, others)
    of_means = of_means + PRIOR_COSINES * of_text / cosines.clamp_min(1)
    ratio = of_text / of_means.clamp_min(torch.finfo(means.dtype).tiny)
    return SHARE * (typical_shots * ratio).sqrt()


def spread(values: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Squared deviations from the mean of a row, and how many are free: (E,) each.

    Parameters
    ----------
    values : Tensor of shape (E, N, S)
    there : Tensor of shape (E, N, S), bool
        What counts.
    """
    number = there.sum(-1, keepdim=True)
    mean = (values * there).sum(-1, keepdim=True) / number.clamp_min(1)
    deviations = ((values - mean) * there).square().sum((1, 2))
    return deviations, (number - 1).clamp_min(0).sum((1, 2))

"""A head of one's own in one file: nearest class mean, with means that few shots do not carry far.

fewshot 'head=[ncm,my_head:MyHead]' head.myhead.strength=2      # in the folder of this file
"""

from fewshot.heads import Head


class MyHead(Head):
    """Nearest class mean, each mean drawn towards the mean of all classes.

    A mean of K shots keeps K / (K + strength) of its distance from the mean of all: the fewer
    shots it rests on, the less it is trusted.

    Parameters
    ----------
    strength : float >= 0
        Number of shots that the mean of all classes counts for.
    """

    def __init__(self, strength: float = 1.0):
        self.strength = strength

    def fit(self, support):
        """Means (E, N, D) of the shots (E, N, K, D) of a batch of episodes."""
        means, shots = support.means(), support.mask.sum(-1, keepdim=True)
        centre = means.mean(1, keepdim=True)
        self.means_ = centre + shots / (shots + self.strength) * (means - centre)
        return self

    def scores(self, query):
        """Scores (E, T, N) of the queries (E, T, D); the largest wins."""
        return -(query.features[:, :, None] - self.means_[:, None]).square().sum(-1)

"""Episodes: which images are support and which are query."""

from fewshot.episodes.balanced import sample_episodes
from fewshot.episodes.episode_set import EpisodeSet

__all__ = ["EpisodeSet", "sample_episodes"]

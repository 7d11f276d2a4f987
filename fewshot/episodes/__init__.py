"""Episodes: which images are support and which are query."""

from fewshot.episodes.all_way import sample_all_way
from fewshot.episodes.balanced import sample_episodes
from fewshot.episodes.episode_set import EpisodeSet
from fewshot.episodes.imbalanced import sample_imbalanced_episodes

__all__ = ["EpisodeSet", "sample_all_way", "sample_episodes", "sample_imbalanced_episodes"]

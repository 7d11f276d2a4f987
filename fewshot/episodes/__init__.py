"""Episodes: which images are support, which are query and which are unlabelled."""

from fewshot.episodes.all_way import sample_all_way
from fewshot.episodes.balanced import sample_episodes
from fewshot.episodes.disjoint import sample_disjoint_episodes
from fewshot.episodes.effective import sample_effective_episodes
from fewshot.episodes.episode_set import EpisodeSet
from fewshot.episodes.imbalanced import sample_imbalanced_episodes
from fewshot.episodes.meta_dataset import MetaDatasetRules, sample_meta_dataset
from fewshot.episodes.taxonomy import Taxonomy
from fewshot.episodes.unlabelled_sampling import UnlabelledSampling

__all__ = [
    "EpisodeSet",
    "MetaDatasetRules",
    "Taxonomy",
    "UnlabelledSampling",
    "sample_all_way",
    "sample_disjoint_episodes",
    "sample_effective_episodes",
    "sample_episodes",
    "sample_imbalanced_episodes",
    "sample_meta_dataset",
]

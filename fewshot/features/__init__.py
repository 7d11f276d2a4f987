"""Images to features, once."""

from fewshot.features.bank import FeatureBank, make_bank

__all__ = ["FeatureBank", "make_bank"]

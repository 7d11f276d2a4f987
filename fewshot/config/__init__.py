"""Composition of the configuration by Hydra, and Hydra's errors as FewshotError."""

from fewshot.config.source import register

register()

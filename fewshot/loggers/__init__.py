"""Experiment trackers to which finished runs are logged; each is imported when it is created."""

from __future__ import annotations

from fewshot.registry import Registry

loggers = Registry("logger", "fewshot.loggers", "fewshot.loggers.base:Logger")
loggers.add("tensorboard", "fewshot.loggers.tensorboard:TensorBoard", "event files for TensorBoard")
loggers.add("mlflow", "fewshot.loggers.mlflow:MLflow", "runs in an MLflow store")
loggers.add("wandb", "fewshot.loggers.wandb:WeightsAndBiases", "Weights & Biases, offline at first")

__all__ = ["loggers"]

"""TensorBoard logger: event files, one folder per run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fewshot.files import claimed
from fewshot.loggers.base import Logger
from fewshot.loggers.record import Record


class TensorBoard(Logger):
    """Scalars by shots, parameters and tags as text.

    Parameters
    ----------
    folder : str
        Folder to pass to ``tensorboard --logdir``.
    """

    name = "tensorboard"
    modules = ("tensorboard",)

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def log(self, record: Record) -> None:
        """Write one event file; a second record of the same name gets a folder with a number."""
        from torch.utils import tensorboard

        writer: Any = tensorboard.SummaryWriter
        with (
            claimed(Path(self.folder).expanduser() / record.name) as folder,
            writer(str(folder)) as events,
        ):
            for name, step, value in record.metrics:
                events.add_scalar(name, value, step)
            events.add_text("parameters", _table(record.parameters))
            events.add_text("tags", _table(record.tags))


def _table(facts: dict[str, str]) -> str:
    """A Markdown table, which TensorBoard renders."""
    rows = [f"| {key} | {value} |".replace("\n", " ") for key, value in facts.items()]
    return "\n".join(["| name | value |", "| --- | --- |", *rows])

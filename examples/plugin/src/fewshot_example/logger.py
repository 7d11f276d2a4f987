"""A file that grows by a line per measure."""

import json
from pathlib import Path

from fewshot.loggers.base import Logger
from fewshot.loggers.record import Record


class JSONLines(Logger):
    """A line of JSON per measure of a finished run.

    Parameters
    ----------
    file : str
        Path of the file.
    """

    name = "json_lines"
    modules = ()

    def __init__(self, file: str = "metrics.jsonl") -> None:
        self.file = file

    def log(self, record: Record) -> None:
        """Append the metrics of a run."""
        lines = [
            json.dumps({"run": record.name, **metric._asdict()}) + "\n" for metric in record.metrics
        ]
        with Path(self.file).open("a", encoding="utf-8") as file:
            file.writelines(lines)

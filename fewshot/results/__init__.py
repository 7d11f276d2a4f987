"""Results: typed rows and summaries, their storage, queries and comparison."""

from typing import TYPE_CHECKING

from fewshot.lazy import lazy
from fewshot.results.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from fewshot.results.folders import find_runs as find_runs
    from fewshot.results.result import Result as Result
    from fewshot.results.store import read_runs as read_runs
    from fewshot.results.store import write_tables as write_tables

# Names by the module that has them: tasks and tables need the schema, and no pandas.
_HOMES = {
    "Result": "result",
    "find_runs": "folders",
    "read_runs": "store",
    "write_tables": "store",
}
__all__ = ["SCHEMA_VERSION", *_HOMES]  # noqa: PLE0604  strings, all of them
__getattr__, __dir__ = lazy(__name__, _HOMES)

"""SQL queries of the rows of a store, without access to files and network."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pyarrow as pa

from fewshot.exceptions import FewshotError, install_command
from fewshot.results.encoding import without_dictionaries
from fewshot.results.joining import Store
from fewshot.results.querying import CELLS, cells_table, table_names

# In this order: the last one locks the others.
LOCKS = (
    "SET enable_external_access = false",
    "SET python_enable_replacements = false",
    "SET autoload_known_extensions = false",
    "SET autoinstall_known_extensions = false",
    "SET lock_configuration = true",
)


def query_sql(store: Store, statement: str) -> pd.DataFrame:
    """Return the result of a DuckDB statement on the tables of a store.

    Parameters
    ----------
    statement : str
        For example ``SELECT head, avg(accuracy) FROM episodes GROUP BY head``. Only tables whose
        names occur in it are read.

    Raises
    ------
    FewshotError
        DuckDB is not installed, or refuses the statement.
    """
    try:
        import duckdb
    except ImportError:
        raise FewshotError(
            "--sql", "needs the package duckdb", f"Run: {install_command('sql')}."
        ) from None
    tables_used = [
        name for name in table_names() if re.search(rf"\b{name}\b", statement, re.IGNORECASE)
    ]
    connection: Any = duckdb.connect(":memory:")
    try:
        # Cells last: reading a damaged table removes its run and its cells.
        for name in sorted(tables_used, key=CELLS.__eq__):
            rows = cells_table(store.summary()) if name == CELLS else store.rows(name)
            # As Arrow: older versions do not know all types of newer pandas.
            table = pa.Table.from_pandas(rows, preserve_index=False)
            connection.register(name, without_dictionaries(table))
        for lock in LOCKS:
            connection.execute(lock)
        answer = connection.execute(statement)
        if answer is None:
            raise FewshotError("--sql", "expected a statement, got none", "As 'FROM cells'.")
        return answer.df()
    except duckdb.Error as error:
        reason = " ".join(str(error).split("LINE 1:")[0].split())
        tables = f"Tables: {', '.join(table_names())}."
        raise FewshotError("--sql", reason, tables) from None
    finally:
        connection.close()

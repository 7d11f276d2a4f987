"""Types of columns in Parquet files and in memory."""

from __future__ import annotations

import pyarrow as pa

ARROW = {
    "str": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "list<str>": pa.list_(pa.string()),
}


def without_dictionaries(table: pa.Table) -> pa.Table:
    """Texts as texts, as they are in files; dictionaries would be ordered by first occurrence."""
    kinds = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(kinds, table.schema.metadata))

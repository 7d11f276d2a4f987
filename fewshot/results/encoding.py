"""Types of columns in Parquet files and in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

ARROW = {
    "str": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "list<str>": pa.list_(pa.string()),
    "list<int64>": pa.list_(pa.int64()),
}


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Arrow's schema of columns with their types."""
    return pa.schema([(name, ARROW[kind]) for name, kind in columns.items()])


def without_dictionaries(table: pa.Table) -> pa.Table:
    """Decode dictionary columns to strings; dictionaries are ordered by first occurrence."""
    kinds = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(kinds, table.schema.metadata))


def without_nan(value: Any) -> Any:
    """Replace NaN by None, recursively: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value

"""Features in tables: .csv, .tsv, .parquet and .feather, a row per image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fewshot.exceptions import FewshotError
from fewshot.features.array_names import alias_of
from fewshot.features.contents import WORDS, Contents, of_arrays, unreadable
from fewshot.features.conversion import line_of_code

if TYPE_CHECKING:
    import pandas as pd

INDICES = ("index", "id", "idx", "row")
ROLES = ("labels", "classnames", "paths", "split", "subset")
# Names of `fewshot bank export`, beside those that are usual for arrays.
ALIASES = {"split": ("part",)}


def read_csv(file: Path) -> Contents:
    """A table of text: columns of numbers, and one of labels."""
    import pandas as pd

    try:
        with file.open(encoding="utf-8-sig", errors="replace") as opened:
            first = opened.readline()
        separator = max(",;\t", key=first.count) if any(c in first for c in ",;\t") else ","
        table = pd.read_csv(file, sep=separator, encoding="utf-8-sig", low_memory=False,
                            encoding_errors="replace", keep_default_na=False,
                            na_values=["", "NaN", "nan", "NA", "N/A", "null"])  # fmt: skip
    except (OSError, ValueError, MemoryError) as error:
        raise unreadable(file, error) from None
    if len(table.columns) and all(_is_number(name) for name in table.columns):
        raise FewshotError(
            "dataset.path", f"{file} has no line with the names of its columns",
            "Write one: a column label, and one for each feature.",
        )  # fmt: skip
    return _of_table(file, table, {})


def read_arrow(file: Path) -> Contents:
    """A Parquet or Feather file: a column of lists, or columns of numbers, and one of labels."""
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet

    reader = pa.parquet if file.suffix.lower() == ".parquet" else pa.feather
    try:
        table = reader.read_table(str(file), memory_map=True)
        lists = {
            field.name: _matrix(table.column(field.name))
            for field in table.schema
            if pa.types.is_list(field.type) or pa.types.is_large_list(field.type)
            or pa.types.is_fixed_size_list(field.type)
        }  # fmt: skip
        frame = table.drop_columns(list(lists)).to_pandas()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(file, error) from None
    note = {key.decode(): text.decode() for key, text in (table.schema.metadata or {}).items()
            if key.decode("utf-8", "replace") in WORDS}  # fmt: skip
    return _of_table(file, frame, note, lists)


def _matrix(column: Any) -> NDArray:
    """A column of N lists of D numbers as an array (N, D).

    Raises
    ------
    ValueError
        Missing lists, or lists of different lengths.
    """
    column = column.combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    if column.null_count or (len(column) and len(flat) % len(column)):
        raise ValueError("lists are missing or differ in length")
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    if len(set(lengths.tolist())) > 1:
        raise ValueError("lists differ in length")
    return flat.reshape(len(column), -1)


def _of_table(
    file: Path, table: pd.DataFrame, words: dict[str, str], lists: dict[str, NDArray] | None = None
) -> Contents:
    """Arrays of a table: its lists, else its columns of numbers, are the features."""
    import pandas as pd

    table.columns = pd.Index([str(name) for name in table.columns])
    roles = _roles_of_columns(table)
    others = [name for name in table.columns if name not in roles.values()]
    numbers = [name for name in others if pd.api.types.is_numeric_dtype(table[name])
               and not name.startswith("Unnamed: ") and name.lower() not in INDICES]  # fmt: skip
    # "feature" is what `fewshot bank export` calls the column.
    matrices = {"features" if name == "feature" else name: m for name, m in (lists or {}).items()}
    if not matrices and numbers:
        matrices["features"] = table[numbers].to_numpy()
    arrays = {role: _column(table[name]) for role, name in roles.items()}
    _check(file, [*(lists or {}), *table.columns], matrices, arrays, roles)
    contents = of_arrays(file, matrices | arrays, words)
    if roles["labels"] != "label":
        contents.notices.append(f"{file.name}: took the column {roles['labels']!r} as labels")
    ignored = [name for name in others if name not in numbers or lists]
    if ignored:
        contents.notices.append(f"{file.name}: left out the columns {', '.join(ignored[:6])}")
    return contents


def _roles_of_columns(table: pd.DataFrame) -> dict[str, str]:
    """Columns by what they are, by their names; labels may be the only texts that repeat."""
    names, roles = list(table.columns), dict[str, str]()
    for role in ROLES:
        columns = [name for name in alias_of(role, names) if name not in roles.values()]
        columns += [name for name in ALIASES.get(role, ()) if name in names]
        if len(columns) == 1 or (role == "labels" and columns):
            roles[role] = _numbers_first(table, columns)
    if "labels" not in roles and (texts := _repeated_texts(table, roles)):
        roles["labels"] = texts
    return roles


def _check(
    file: Path,
    names: list[str],
    matrices: dict[str, NDArray],
    arrays: dict[str, NDArray],
    roles: dict[str, str],
) -> None:
    """Raise unless there are labels of two classes, and numbers beside them."""
    import pandas as pd

    have, line = f"it has {', '.join(names[:12])}", line_of_code(file)
    if "labels" not in arrays:
        problem, remedy = f"{file} has no column of labels; {have}", f"Name it label. Or {line}"
    elif not matrices:
        problem = f"{file} has no columns of numbers beside its labels; {have}"
        remedy = f"Save arrays: {line}"
    elif pd.Series(arrays["labels"]).nunique(dropna=False) < 2:
        problem = (
            f"expected labels of two classes or more in {file}, whose column {roles['labels']!r} "
            "has a single value"
        )
        remedy = f"If these are not the labels, save arrays: {line}"
    else:
        return
    raise FewshotError("dataset.path", problem, remedy)


def _repeated_texts(table: pd.DataFrame, roles: dict[str, str]) -> str | None:
    """The only column of texts of which some stand several times."""
    import pandas as pd

    names = [
        name for name in table.columns
        if name not in roles.values() and not pd.api.types.is_numeric_dtype(table[name])
        and table[name].duplicated().any() and table[name].nunique() > 1
    ]  # fmt: skip
    return names[0] if len(names) == 1 else None


def _numbers_first(table: pd.DataFrame, names: list[str]) -> str:
    """Numbers stand for classes; a column of texts beside them has their names."""
    import pandas as pd

    return next((name for name in names if pd.api.types.is_integer_dtype(table[name])), names[0])


def _column(series: pd.Series) -> NDArray:
    """Numbers, or texts with None where one is missing."""
    import pandas as pd

    values = series.to_numpy()
    if values.dtype.kind in "fiub":
        return values
    return np.array(
        [None if missing else value for value, missing in zip(values, pd.isna(values), strict=True)]
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

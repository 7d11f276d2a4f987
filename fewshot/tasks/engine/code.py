"""Which code a class of another package is, for the keys of cells."""

from __future__ import annotations

import hashlib
import inspect
import secrets
import sys
from functools import cache
from pathlib import Path

THIS_PACKAGE = __name__.partition(".")[0]


@cache
def code_of(cls: type) -> str | None:
    """Version of the code of a class: what it declares, else a hash of its source.

    Cells are found again by a key, and a changed formula has to change it. Classes of this package
    have `CELL_VERSION` for that. A class of another package may have a class attribute ``version``,
    to be raised when its results change. Otherwise the source code counts: of the module, or of all
    modules of the package that it is in.

    Parameters
    ----------
    cls : type
        Of a head, an estimator or a task.

    Returns
    -------
    str or None
        None for classes of this package; another text in every process for code without a file.
    """
    foreign = [ancestor for ancestor in cls.__mro__ if _is_foreign(ancestor)]
    if not foreign:
        return None
    for ancestor in foreign:
        if "version" in vars(ancestor):
            return f"version {vars(ancestor)['version']}"
    return hashlib.sha256("".join(_source_digest(entry) for entry in foreign).encode()).hexdigest()


def _is_foreign(cls: type) -> bool:
    """Whether a class is neither of this package, nor of Python, nor a library's base class."""
    package = cls.__module__.partition(".")[0]
    if package == THIS_PACKAGE or package in sys.stdlib_module_names - {"__main__"}:
        return False
    return any(base.__module__.partition(".")[0] == THIS_PACKAGE for base in cls.__mro__)


def _source_digest(cls: type) -> str:
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file is not None and Path(file).suffix == ".py":
        return _files_digest(Path(file))
    try:  # in a notebook
        return hashlib.sha256(inspect.getsource(cls).encode()).hexdigest()
    except (OSError, TypeError):
        return secrets.token_hex()


def _files_digest(file: Path) -> str:
    """Hash of a module; of all modules of its outermost package if it is in one."""
    root = None
    for folder in file.parents:
        if not (folder / "__init__.py").is_file():
            break
        root = folder
    files = [file] if root is None else sorted(root.rglob("*.py"))
    whole = hashlib.sha256()
    for entry in files:
        whole.update(f"{entry.relative_to(root or file.parent).as_posix()}\0".encode())
        whole.update(entry.read_bytes())
    return whole.hexdigest()

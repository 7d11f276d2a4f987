"""Parameters of constructors, read from source code that is not imported.

Nearly every module imports torch, which takes two seconds: too long to print a configuration or
to refuse a mistyped setting. Only plain code is read, literals and names of literals; of anything
else :class:`NotStaticError` says that it has to be imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NamedTuple

from fewshot.config.explanations import Explanation, merged

Function = ast.FunctionDef
# Base classes without a constructor, beside those whose source is at hand.
PLAIN_BASES = {("abc", "ABC")}


class NotStaticError(Exception):
    """Code whose meaning does not show without running it."""


class Definition(NamedTuple):
    """A statement at the top of a module that gives a name its meaning."""

    module: str
    node: ast.stmt


class Parameters(NamedTuple):
    """Defaults of parameters, ``???`` for those without, and explanations, both by name."""

    defaults: dict[str, Any]
    explanations: dict[str, Explanation]


def read_parameters(target: str) -> Parameters:
    """Return the parameters of a class, a dataclass or a function, ``module:name``.

    Raises
    ------
    NotStaticError
        They do not show in the source code, or there is none.
    """
    definition = _at(target)
    docstrings = reversed(list(_docstrings(definition)))
    return Parameters(_defaults(definition), merged(docstrings))


def derives(target: str, base: str) -> bool:
    """Whether a class is derived from another one, both ``module:name``.

    Raises
    ------
    NotStaticError
        It does not show in the source code, or there is none.
    """
    definition, wanted = _at(target), _at(base)
    return isinstance(definition.node, ast.ClassDef) and any(
        ancestor == wanted for ancestor in _lineage(definition)
    )


def assigns(target: str, name: str) -> bool:
    """Whether a class, or one that it is derived from outside of this package, assigns a name.

    True of a class whose source code does not show it.
    """
    try:
        classes = [entry for entry in _lineage(_at(target)) if not _is_of_this_package(entry)]
    except NotStaticError:
        return True
    return any(name in _assigned(entry.node) for entry in classes)


def _is_of_this_package(definition: Definition) -> bool:
    return definition.module.partition(".")[0] == __name__.partition(".")[0]


def _assigned(node: ast.stmt) -> Iterator[str]:
    """Yield the names that the body of a class assigns."""
    for entry in node.body if isinstance(node, ast.ClassDef) else ():
        match entry:
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.FunctionDef(name=name):
                yield name


def _lineage(definition: Definition) -> Iterator[Definition]:
    """Yield a class and all that it is derived from."""
    yield definition
    for base in _bases(definition):
        yield from _lineage(base)


def _at(target: str) -> Definition:
    module, _, name = target.partition(":")
    return _definition(module, name)


def _defaults(definition: Definition) -> dict[str, Any]:
    module, node = definition
    if isinstance(node, Function):
        return _of_function(module, node)
    if not isinstance(node, ast.ClassDef) or node.keywords:
        raise NotStaticError
    if node.decorator_list:
        return _of_dataclass(module, node)
    methods = {entry.name: entry for entry in node.body if isinstance(entry, Function)}
    if "__new__" in methods:
        raise NotStaticError
    if "__init__" in methods:
        defaults = _of_function(module, methods["__init__"])
        return dict(list(defaults.items())[1:])  # without self
    bases = [_defaults(base) for base in _bases(definition)]
    if len([base for base in bases if base]) > 1:
        raise NotStaticError
    return next((base for base in bases if base), {})


def _of_function(module: str, node: Function) -> dict[str, Any]:
    if node.decorator_list:
        raise NotStaticError
    arguments = node.args
    names = [*arguments.posonlyargs, *arguments.args]
    missing = [None] * (len(names) - len(arguments.defaults))
    pairs = [
        *zip(names, [*missing, *arguments.defaults], strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return {
        name.arg: "???" if default is None else _value(module, default) for name, default in pairs
    }


def _of_dataclass(module: str, node: ast.ClassDef) -> dict[str, Any]:
    match node.decorator_list:
        case [ast.Name(id="dataclass") | ast.Call(func=ast.Name(id="dataclass"))]:
            pass
        case _:
            raise NotStaticError
    if node.bases:
        raise NotStaticError
    defaults = {}
    for name, entry in _annotated(node):
        annotation = ast.unparse(entry.annotation)
        if "ClassVar" in annotation or "KW_ONLY" in annotation:
            raise NotStaticError
        options = _options_of_field(entry.value)
        if "init" in options and not _value(module, options["init"]):
            continue
        value = options.get("default", entry.value)
        defaults[name] = "???" if value is None else _value(module, value)
    return defaults


def _annotated(node: ast.ClassDef) -> Iterator[tuple[str, ast.AnnAssign]]:
    """Yield the annotated names in the body of a class."""
    for entry in node.body:
        if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name):
            yield entry.target.id, entry


def _options_of_field(value: ast.expr | None) -> dict[str, ast.expr]:
    """Return the keywords of ``field(...)``; none of another value."""
    match value:
        case ast.Call(func=ast.Name(id="field"), keywords=keywords):
            return {keyword.arg: keyword.value for keyword in keywords if keyword.arg}
    return {}


def _value(module: str, node: ast.expr) -> Any:
    """Return the value of an expression of literals and names of literals."""
    match node:
        case ast.Name(id=name):
            definition = _definition(module, name)
            if isinstance(definition.node, ast.Assign | ast.AnnAssign) and definition.node.value:
                return _value(definition.module, definition.node.value)
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return _class_attribute(_definition(module, owner), name)
        case ast.Tuple(elts=entries) | ast.List(elts=entries):
            return [_value(module, entry) for entry in entries]
        case ast.Call(func=ast.Name(id="field")):
            factory = _options_of_field(node).get("default_factory")
            if isinstance(factory, ast.Name) and factory.id in ("dict", "list", "tuple"):
                return {} if factory.id == "dict" else []
        case _:
            try:
                return ast.literal_eval(node)
            except ValueError:
                pass
    raise NotStaticError


def _class_attribute(definition: Definition, name: str) -> Any:
    if isinstance(definition.node, ast.ClassDef):
        entry = dict(_annotated(definition.node)).get(name)
        if entry is not None and entry.value is not None:
            return _value(definition.module, entry.value)
    raise NotStaticError


def _docstrings(definition: Definition) -> Iterator[str]:
    """Yield the docstrings of a definition, its constructor and its base classes."""
    node = definition.node
    if not isinstance(node, ast.ClassDef | Function):
        raise NotStaticError
    if isinstance(node, ast.ClassDef):
        for entry in node.body:
            if isinstance(entry, Function) and entry.name == "__init__":
                yield ast.get_docstring(entry) or ""
    yield ast.get_docstring(node) or ""
    for base in _bases(definition) if isinstance(node, ast.ClassDef) else ():
        yield from _docstrings(base)


def _bases(definition: Definition) -> Iterator[Definition]:
    node = definition.node
    for base in node.bases if isinstance(node, ast.ClassDef) else ():
        if not isinstance(base, ast.Name):
            raise NotStaticError
        statement = _statements(definition.module).get(base.id)
        if not (isinstance(statement, ast.ImportFrom)
                and (statement.module, base.id) in PLAIN_BASES):  # fmt: skip
            yield _definition(definition.module, base.id)


def _definition(module: str, name: str) -> Definition:
    """Return what a name of a module stands for, where it is defined."""
    statement = _statements(module).get(name)
    if isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
        original = next(a.name for a in statement.names if (a.asname or a.name) == name)
        return _definition(statement.module, original)
    if statement is None or isinstance(statement, ast.Import | ast.ImportFrom):
        raise NotStaticError
    return Definition(module, statement)


@cache
def _statements(module: str) -> dict[str, ast.stmt]:
    """Return the statements at the top of a module that define or import a name, by name."""
    statements: dict[str, ast.stmt] = {}
    for node in _with_lazy_imports(_tree(module)):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                statements[name] = node
            case ast.AnnAssign(target=ast.Name(id=name)):
                statements[name] = node
            case ast.Assign(targets=[ast.Name(id=name)]):
                statements[name] = node
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                statements |= {alias.asname or alias.name: node for alias in names}
    return statements


def _with_lazy_imports(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements, first those under ``if TYPE_CHECKING``: packages import names late."""
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from node.body
    yield from tree.body


def _tree(module: str) -> ast.Module:
    try:
        return ast.parse(_file(module).read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, OSError) as error:  # the import says what is wrong
        raise NotStaticError from error


def _file(module: str) -> Path:
    """Return the source file of a module; its package is not imported either."""
    spec, path, parts = None, None, module.split(".")
    for number in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: number + 1]), path)
        if spec is None:
            raise NotStaticError
        path = spec.submodule_search_locations
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise NotStaticError
    return Path(spec.origin)

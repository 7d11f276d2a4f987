"""Benchmarks start, and import nothing of the project that it does not offer to everyone."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
FILES = sorted(FOLDER.rglob("*.py"))


def imports_of(text):
    """Names that code imports from the project, as pairs of module and name or None."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            pairs = [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            pairs = [(alias.name, None) for alias in node.names]
        else:
            continue
        yield from (pair for pair in pairs if pair[0].split(".")[0] == "fewshot")


def inner_imports(text):
    """Imports other than ``import fewshot`` and public names of it or of what is directly below."""
    return [
        (module, name)
        for module, name in imports_of(text)
        if module.count(".") > 1
        or (module != "fewshot" if name is None else name not in import_module(module).__all__)
    ]


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_imports_of_the_project_resolve(path):
    for module, name in imports_of(path.read_text()):
        home = import_module(module)
        if name is not None and not hasattr(home, name):
            import_module(f"{module}.{name}")


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_imports_of_the_project_are_public(path):
    assert inner_imports(path.read_text()) == []


def test_inner_imports_are_seen():
    """In functions too; a module below a package, a name that it does not export, a submodule."""
    public = "import fewshot\nfrom fewshot import evaluate\nfrom fewshot.heads import NCM\n"
    assert inner_imports(public) == []
    inner = (
        "def f():\n    from fewshot.heads.ncm import NCM\n"
        "from fewshot.heads import ncm\nfrom fewshot import api\nimport fewshot.heads\n"
    )
    assert set(inner_imports(inner)) == {
        ("fewshot", "api"),
        ("fewshot.heads", None),
        ("fewshot.heads", "ncm"),
        ("fewshot.heads.ncm", "NCM"),
    }

"""Packages are layers: nothing imports from a layer above, and nothing in a circle."""

import ast
from pathlib import Path

import pytest

import fewshot

ROOT = Path(fewshot.__file__).parent
# From the ground up; a package may import from those of earlier lines only.
LAYERS = (
    ("exceptions", "units", "file_kinds"),
    ("importing", "lazy", "paths", "references", "hardware", "memory", "progress", "signals"),
    ("registry",),
    ("files", "statistics", "download_errors"),
    ("text_files",),
    ("downloads",),
    ("backbones", "datasets", "episodes"),
    ("features", "text"),
    ("heads",),
    ("estimators",),
    ("tasks.base",),  # what a task is, and their registry: results hold the rows of any
    ("results",),
    ("tasks", "loggers"),
    ("report",),
    ("config",),
    ("evaluation",),
    ("models",),
    ("sweeps", "api", "segmentation"),
    ("testing",),
    ("cli",),
    ("__main__",),
)
FLOOR = {package: floor for floor, layer in enumerate(LAYERS) for package in layer}


def module_of(path, root):
    """Dotted name of a file."""
    parts = ["fewshot", *path.relative_to(root).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree):
    """Modules that code imports, in functions too; what serves annotations only is left out."""
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)


def graph(root):
    """Every module of a package folder with the modules of it that it imports."""
    trees = {module_of(path, root): ast.parse(path.read_text()) for path in root.rglob("*.py")}
    edges = {}
    for module, tree in trees.items():
        named = (
            f"{home}.{name}" if f"{home}.{name}" in trees else home
            for home, name in imports_of(tree)
        )
        edges[module] = {other for other in named if other in trees and other != module}
    return edges


def circle(edges):
    """Some modules that import each other in a circle, or an empty list."""
    done, path = set(), []

    def visit(module):
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        path.append(module)
        for other in sorted(edges.get(module, ())):
            if found := visit(other):
                return found
        path.pop()
        done.add(module)
        return []

    return next((found for module in sorted(edges) if (found := visit(module))), [])


def package(module):
    """The first name below ``fewshot``; the contract of tasks is a layer of its own."""
    if module in ("fewshot.tasks", "fewshot.tasks.base"):
        return "tasks.base"
    return [*module.split("."), ""][1]


@pytest.fixture(scope="module")
def edges():
    return graph(ROOT)


def test_no_file_is_in_a_circle_of_imports(edges):
    assert circle(edges) == []


def test_packages_import_downwards_only(edges):
    upwards = [
        f"{module} -> {other}"
        for module, others in edges.items()
        for other in others
        if package(module) and package(other) and package(module) != package(other)
        and FLOOR[package(module)] <= FLOOR[package(other)]
    ]  # fmt: skip
    assert upwards == []


def test_every_package_has_a_layer(edges):
    assert {package(module) for module in edges} - {""} == set(FLOOR)


def test_the_map_names_every_package(edges):
    page = ROOT.parent / "ARCHITECTURE.md"
    if not page.is_file():
        pytest.skip("an installed package has no map beside it")
    missing = [name for name in FLOOR if name != "__main__" and f"`{name}" not in page.read_text()]
    assert missing == []


def test_circles_are_seen(tmp_path):
    """The check fails where it should, also for an import inside a function."""
    (tmp_path / "a.py").write_text("from fewshot.b import x\n")
    (tmp_path / "b.py").write_text("def f():\n    from fewshot import c\n")
    (tmp_path / "c.py").write_text("import fewshot.a\n")
    assert sorted(circle(graph(tmp_path))) == ["fewshot.a", "fewshot.b", "fewshot.c"]
    (tmp_path / "c.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import fewshot.a\n"
    )
    assert circle(graph(tmp_path)) == []

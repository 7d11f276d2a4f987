"""Parameters that are read from source code without importing it."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from fewshot import backbones, datasets
from fewshot.config.explanations import explanations
from fewshot.config.nodes import GROUPS, all_sections, imported_defaults, parameters_of
from fewshot.config.static import NotStaticError, read_parameters
from fewshot.registry import Entry

REGISTRIES = (*GROUPS.values(), backbones.kinds, datasets.kinds)
ENTRIES = [*all_sections(), *(registry[name] for registry in REGISTRIES for name in registry)]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.origin.rpartition(":")[2])
def test_reading_and_importing_agree(entry):
    read = parameters_of(entry)
    assert read.defaults == imported_defaults(entry.load())
    assert read.explanations == explanations(entry.load())


MODULES = {
    "constants": 'LEVEL = 0.9\nNAMES: tuple[str, ...] = ("a", "b")\n',
    "base": '''
        from abc import ABC

        class Base(ABC):
            """Base.

            Parameters
            ----------
            size : int
                Of the base.
            """

            def __init__(self, size=-1, *, names=("x", LEVEL)):
                raise AssertionError("nothing is called")

        from code_of.constants import LEVEL
    ''',
    "heads": '''
        raise AssertionError("nothing is imported")
        from dataclasses import dataclass, field
        from code_of.base import Base as Other
        from code_of.constants import LEVEL, NAMES

        class Inherits(Other):
            """Says nothing."""

        class Overrides(Other):
            def __init__(self, size, level: float = LEVEL, rest={"a": [1, None]}, **more):
                """Create it.

                Parameters
                ----------
                level : float
                    Its own.
                """

        @dataclass(frozen=True)
        class Settings:
            required: int
            level: float = LEVEL
            names: tuple[str, ...] = NAMES
            made: dict = field(default_factory=dict)
            hidden: int = field(init=False, default=3)
            shown: int = field(default=4, repr=False)

        def function(level=Settings.level, flag=not True):
            pass

        def plain(level=Settings.level, /, flag=True):
            pass

        @decorated
        class Decorated:
            pass

        @dataclass
        class Inherited(Settings):
            pass

        class Meta(metaclass=Other):
            pass

        class New:
            def __new__(cls, size=1):
                pass

        class Computed:
            def __init__(self, sizes=tuple(range(3))):
                pass

        class Unknown(code_of.base.Base):
            pass
    ''',
}


@pytest.fixture
def code(workplace, monkeypatch):
    """A package ``code_of`` that cannot be imported."""
    folder = workplace / "code_of"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('nothing is imported')\n")
    for name, text in MODULES.items():
        (folder / f"{name}.py").write_text(dedent(text))
    monkeypatch.syspath_prepend(workplace)


@pytest.mark.parametrize(
    ("name", "defaults"),
    [
        ("Inherits", {"size": -1, "names": ["x", 0.9]}),
        ("Overrides", {"size": "???", "level": 0.9, "rest": {"a": [1, None]}}),
        (
            "Settings",
            {"required": "???", "level": 0.9, "names": ["a", "b"], "made": {}, "shown": 4},
        ),
        ("plain", {"level": 0.9, "flag": True}),
        ("NAMES", NotStaticError),
        ("Missing", NotStaticError),
        ("function", NotStaticError),
        ("Decorated", NotStaticError),
        ("Inherited", NotStaticError),
        ("Meta", NotStaticError),
        ("New", NotStaticError),
        ("Computed", NotStaticError),
        ("Unknown", NotStaticError),
    ],
)
def test_code_that_is_plain_or_not(code, name, defaults):
    if defaults is NotStaticError:
        with pytest.raises(NotStaticError):
            read_parameters(f"code_of.heads:{name}")
    else:
        assert read_parameters(f"code_of.heads:{name}").defaults == defaults


def test_words_of_base_classes(code):
    assert read_parameters("code_of.heads:Inherits").explanations == {
        "size": ("int", "Of the base.")
    }
    assert set(read_parameters("code_of.heads:Overrides").explanations) == {"size", "level"}


@pytest.mark.parametrize("module", ["no_such_module", "code_of.nothing", "math", "sys"])
def test_modules_without_source(code, module):
    with pytest.raises(NotStaticError):
        read_parameters(f"{module}:name")


def test_what_cannot_be_read_is_imported(workplace, monkeypatch):
    Path("computed_defaults.py").write_text(
        "class Computed:\n    def __init__(self, sizes=tuple(range(3))):\n        pass\n"
    )
    monkeypatch.syspath_prepend(workplace)
    entry = Entry("computed", "computed_defaults:Computed", "")
    assert parameters_of(entry).defaults == {"sizes": [0, 1, 2]}


@pytest.mark.parametrize(
    "arguments", [["--cfg", "job"], ["head=lad"], ["head.lda.shrinkag=1"], ["-m", "head=lad,ncm"]]
)
def test_settings_are_composed_without_torch(arguments):
    code = (
        "import sys\n"
        "from fewshot.cli.main import main\n"
        f"main({arguments!r})\n"
        "print([m for m in ('torch', 'timm', 'pandas') if m in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.splitlines()[-1] == "[]"

"""Commands that the pages print are accepted: settings, choices, options, scripts and extras.

Every command is read as its program reads it, up to where the work would begin. Inline code may
be a part of a command, `fewshot predict --unlabelled`: there arguments may be missing.
"""

import argparse
import ast
import functools
import re
import shlex
import tomllib
from contextlib import contextmanager
from pathlib import Path

import pytest
from hydra._internal.utils import get_args_parser

from fewshot.cli import hydra as cli
from fewshot.cli.arguments import Parser, expect_overrides
from fewshot.cli.main import SMALL, main
from fewshot.config.compose import combinations, settings_from
from fewshot.exceptions import FewshotError

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if "decisions" not in page.parts),
    *sorted((ROOT / "examples").rglob("*.md")),
]
PROGRAMS = ("fewshot", "python", "pip", "make")
EXAMPLES = ("", "benchmarks", "examples")  # folders that pages take a script from
# What stands for a word of the reader's, with a word that can be checked.
STANDS_FOR = {
    "dataset=NAME": "dataset=digits",
    "backbone=NAME": "backbone=efficientnet_lite0",
    "COMMAND": "predict",
    "KIND": "heads",
}
# Parts of commands that cannot be checked here, with the reason.
UNCHECKED = {
    "geometric_median": "a head of examples/plugin, which is not installed; test_examples runs it",
    "launcher=ray": "a launcher that the tests do without",
    "--config-dir my_conf": "settings in a folder of the reader's",
    "mine:": "a module of the reader's",
}
BLOCK = re.compile(r"(?ms)^[ >]*```([^\n]*)\n(.*?)^[ >]*```")
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def commands_of(page):
    """Pairs of a command and whether it may be a part of one, as words."""
    text = page.read_text(encoding="utf-8")
    for language, block in BLOCK.findall(text):
        if language.strip() in ("", "sh", "bash", "text"):
            for line in re.sub(r"\\\n", " ", block).splitlines():
                if starts_a_command(line.strip()):
                    yield line.strip(), False
    for code in INLINE.findall(BLOCK.sub("", text)):
        if starts_a_command(line := " ".join(code.split())):
            yield line, True


def starts_a_command(line):
    return re.match(rf"(\w+=\S+ )*({'|'.join(PROGRAMS)})( |$)", line) and not line.endswith("[...]")


def simple_commands(line):
    """Words of each command of a line of the shell, without variables and redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    command = []
    for word in [*lexer, ";"]:
        if word[:1] in (";", "&", "|", "<", ">"):
            if command and command[0] in PROGRAMS:
                yield command
            command = []
        elif command or not re.fullmatch(r"[A-Z_]+=.*", word):
            command.append(word)


COMMANDS = {page: sorted(set(commands_of(page))) for page in PAGES}
WITH_COMMANDS = [page for page, commands in COMMANDS.items() if commands]


class Read(Exception):  # noqa: N818 - no error
    """The arguments of a command were read; `rest` are words that are not its own."""

    def __init__(self, rest):
        super().__init__()
        self.rest = rest


def relax(parser):
    """Let a parser and those of its actions take a part of a command."""
    for action in [*parser._actions, *parser._mutually_exclusive_groups]:
        action.required = False
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                relax(inner)
        elif getattr(action, "option_strings", []) and action.nargs in (None, "+"):
            action.nargs = "*"


@pytest.fixture(scope="module")
def composed():
    """Settings that were composed before: pages repeat them, and each time costs 0.1 s."""
    return set()


@pytest.fixture
def reading(monkeypatch, composed):
    """Let `main` stop where the arguments are read; with True, arguments may be missing."""
    known = argparse.ArgumentParser.parse_known_args

    def read(parser, words=None, namespace=None, strict=False, part=False):
        if part:
            relax(parser)
        # The class as it is, since the parsers of actions are called within.
        with monkeypatch.context() as inner:
            inner.setattr(Parser, "parse_known_args", known)
            arguments, rest = known(parser, words, namespace)
        if not parser.add_help:  # looks for one option alone
            return arguments, rest
        if strict and rest:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        raise Read(rest)

    @contextmanager
    def begin(part):
        with monkeypatch.context() as here:
            here.setattr(Parser, "parse_known_args", functools.partialmethod(read, part=part))
            here.setattr(
                Parser, "parse_args", functools.partialmethod(read, strict=True, part=part)
            )
            here.setattr(cli, "_run_hydra", lambda words: compose(words, composed))
            here.setattr(cli, "print_configuration", lambda words, run: run(words))
            yield

    return begin


def compose(words, composed):
    """Compose the settings of a run; those with nothing that is not in `composed` only once."""
    arguments = get_args_parser().parse_args(words)
    overrides = [re.sub(r"=.*interval\(([^,]+),.*", r"=\1", word) for word in arguments.overrides]
    chosen_of = combinations if arguments.multirun else lambda overrides: [overrides]
    for chosen in chosen_of(overrides):
        if not composed.issuperset(chosen):
            settings_from(chosen)
            composed.update(chosen)
    return 0


@pytest.mark.parametrize(
    "page", WITH_COMMANDS, ids=[page.relative_to(ROOT).as_posix() for page in WITH_COMMANDS]
)
def test_commands_are_accepted(page, reading, monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(ROOT / "examples")  # my_head.py
    monkeypatch.chdir(tmp_path)
    refused = []
    for line, part in COMMANDS[page]:
        if any(text in line for text in UNCHECKED):
            continue
        with reading(part):
            try:
                check(line, capsys)
            except (AssertionError, FewshotError) as error:
                refused.append(f"{line}\n    {error}")
    assert not refused, "\n".join(["", *refused])


def check(line, capsys):
    """Check each command of a line; raise if one would be refused."""
    for program, *words in simple_commands(line):
        if program == "fewshot":
            check_fewshot(words, capsys)
        elif program == "make":
            assert set(words) <= targets(), "no such target"
        elif program == "pip" or words[:2] == ["-m", "pip"]:
            check_extras(words)
        elif words[:1] == ["-c"]:
            compile(words[1], "python -c", "exec")
        elif words and words[0] != "-m":
            check_script(words)


def check_fewshot(words, capsys):
    words = [STANDS_FOR.get(word, word) for word in words]
    words = [word for word in words if word != "..." and not word.endswith("=...")]
    settings = [word for word in words[1:] if re.match(r"[a-z][\w.]*=", word)]
    try:
        assert main(words) == 0, capsys.readouterr().err
    except Read as read:
        expect_overrides(words[0], read.rest)
        if read.rest or (settings and words[0] in ("predict", "fit", "segment", "oneclass")):
            compose([*(["-m"] if "-m" in words else []), *(read.rest or settings)], set())
    except SystemExit as ended:  # of --help
        assert ended.code == 0
    else:
        assert not words or words[0] not in SMALL


@functools.cache
def targets():
    return set(re.findall(r"(?m)^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))


def check_extras(words):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for word in words:
        if match := re.fullmatch(rf"(?:\.|{project['name']})\[(.*)\]", word):
            assert set(match[1].split(",")) <= set(project["optional-dependencies"])
        if word.startswith("examples/"):
            assert (ROOT / word / "pyproject.toml").is_file()


def check_script(words):
    """The script exists, and has the options."""
    scripts = [ROOT / folder / words[0] for folder in EXAMPLES]
    script = next((path for path in scripts if path.is_file()), None)
    assert script is not None, f"no script {words[0]}"
    named = {word.strip("[]").partition("=")[0] for word in words if word.lstrip("[")[:2] == "--"}
    assert named <= options_of(script), f"of {script.name}"


def options_of(script):
    """Options that a script, or a module beside it that it imports, adds to a parser."""
    options, modules = {"--help"}, set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            modules.add(node.module)
        elif isinstance(node, ast.Call):
            texts = (item.value for item in node.args if isinstance(item, ast.Constant))
            options.update(text for text in texts if str(text).startswith("--"))
    beside = [script.with_name(f"{module}.py") for module in modules]
    return options.union(*(options_of(path) for path in beside if path.is_file()))


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("fewshot episodes.shot=5", "there is no such setting"),
        ("fewshot -m head=ncm,nccm", "nccm"),
        ("fewshot predict", "required"),
        ("fewshot predict DIR --unlabeled x", "unrecognized"),
        ("fewshot report latest --latx t.tex", "unrecognized"),
        ("fewshot extract --dry-run dataset=digit", "digit"),
        ("fewshot predct DIR", "predct"),
        ("python examples/compare.py --no-such-option", "compare.py"),
        ("python examples/no_such_script.py", "no script"),
        ("pip install '.[no_such_extra]'", "no_such_extra"),
        ("make no_such_target", "target"),
    ],
)
def test_wrong_commands_are_refused(line, error, reading, capsys):
    with reading(False), pytest.raises((AssertionError, FewshotError), match=error):
        check(line, capsys)


def test_a_part_of_a_command_has_known_options(reading, capsys):
    with reading(True):
        check("fewshot predict --unlabelled", capsys)
        with pytest.raises(AssertionError, match="unrecognized"):
            check("fewshot predict --unlabeled", capsys)


def test_reasons_are_of_commands_that_are_there():
    lines = [line for commands in COMMANDS.values() for line, _ in commands]
    assert [text for text in UNCHECKED if not any(text in line for line in lines)] == []
    assert len(lines) > 300

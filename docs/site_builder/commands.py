"""A page of every command with what its ``--help`` prints."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from unittest.mock import patch

from fewshot.cli.main import COMMANDS, HELP, SMALL, main
from site_builder.rst import code, contents, heading, table

HOME = "reference/commands"
WIDTH = "90"  # characters, of a page
# Forms of a command that have help of their own.
FORMS = {
    "fit": ("fit --task segmentation",),
    "bank": tuple(f"bank {action}" for action in ("list", "show", "verify", "export", "gc")),
}


def commands() -> dict[str, list[str]]:
    """All commands, with their forms: ``results`` has ``results query`` and others."""
    return {name: [name, *_forms(name)] for name in COMMANDS if name in SMALL}


def _forms(name: str) -> Iterator[str]:
    yield from (f"{name} {action}" for action in getattr(import_module(SMALL[name]), "ACTIONS", ()))
    yield from FORMS.get(name, ())


def help_of(command: str) -> str:
    """What ``fewshot COMMAND --help`` prints."""
    printed = StringIO()
    width = patch.dict(os.environ, {"COLUMNS": WIDTH})
    with redirect_stdout(printed), width, suppress(SystemExit):  # of argparse
        main([*command.split(), "--help"])
    return printed.getvalue()


def sources() -> dict[str, str]:
    """Sources of the pages by path."""
    made = {}
    rows = [(":doc:`run`", "evaluate; all that ``fewshot --help`` says")]
    made[f"{HOME}/run.rst"] = heading("fewshot run") + "\n" + code(HELP)
    for name, forms in commands().items():
        about = (import_module(SMALL[name]).__doc__ or "").splitlines()[0]
        about = (about.partition(": ")[2] or about).partition(";")[0].rstrip(".")
        rows.append((f":doc:`{name}`", about))
        parts = [heading(f"fewshot {name}"), f"{about[:1].upper()}{about[1:]}.\n"]
        for form in forms:
            if form != name:
                parts.append(heading(f"fewshot {form}", "-"))
            parts.append(code(help_of(form)))
        made[f"{HOME}/{name}.rst"] = "\n".join(parts)
    index = heading("Commands") + "\n" + table(("command", "what it does"), rows) + "\n"
    made[f"{HOME}/index.rst"] = index + contents(["run", *commands()])
    return made

"""``fewshot --cfg job``: the configuration as Hydra composes it, with comments."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

import yaml

from fewshot.config.comments import comments_of, with_comments
from fewshot.exceptions import FewshotError, suggestion

Compose = Callable[[list[str]], int]


def is_shown(arguments: Sequence[str]) -> bool:
    """Whether the arguments ask for the configuration."""
    try:
        return _options(arguments)[0].cfg is not None
    except argparse.ArgumentError:  # an option without its value, of which Hydra complains
        return False


def print_configuration(arguments: Sequence[str], compose: Compose) -> int:
    """Print the configuration with comments, as ``--cfg``, ``--package`` and ``--resolve`` ask.

    Parameters
    ----------
    arguments : sequence of str
        All arguments of the command line.
    compose : callable
        Runs Hydra with arguments, and prints what Hydra prints.
    """
    options, others = _options(arguments)
    everything = _printed(compose, [*others, "--cfg", "all"])
    configuration = yaml.load(everything, yaml.SafeLoader)
    package = "" if options.package in (None, "_global_") else str(options.package)
    if package and _value(configuration, package) is None:
        sys.stdout.write("null\n")
        return 0
    text = _printed(compose, list(arguments))
    prefix = f"{package}." if package else ""
    sys.stdout.write(with_comments(text, comments_of(configuration), prefix))
    return 0


def _options(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Separate the options that say what is shown from all others."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--cfg", "-c")
    parser.add_argument("--package", "-p")
    parser.add_argument("--resolve", action="store_true")
    kept = [
        parser.add_argument(f"--config-{name}", f"-c{name[0]}") for name in ("dir", "name", "path")
    ]
    options, others = parser.parse_known_args(arguments)
    for option in kept:
        if (value := getattr(options, option.dest)) is not None:
            others += [option.option_strings[0], value]
    return options, others


def _printed(compose: Compose, arguments: list[str]) -> str:
    with redirect_stdout(io.StringIO()) as printed:
        compose(arguments)
    return printed.getvalue()


def _value(configuration: Mapping[str, Any], package: str) -> Any:
    """Return the value of a dotted key.

    Raises
    ------
    FewshotError
        There is none.
    """
    value: Any = configuration
    for number, name in enumerate(package.split(".")):
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list):  # Hydra looks into lists itself
            return value
        else:
            before = ".".join(package.split(".")[:number])
            names = [f"{before}.{key}".lstrip(".") for key in value] if value else []
            hint = suggestion(package, names) if isinstance(value, Mapping) and names else ""
            raise FewshotError("--package", f"there is no setting {package!r}", hint)
    return value

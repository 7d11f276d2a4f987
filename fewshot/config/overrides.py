"""SETTING=VALUE as people type it: paths and other texts, quoted for Hydra's parser.

Hydra reads a value as numbers, lists, functions, quotes. Where the setting is declared as a text,
which includes all paths, everything behind the first ``=`` is the text, whatever its characters.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString

from fewshot.config.nodes import (
    KINDS,
    OPEN_GROUPS,
    kind_explanations,
    parameters_of,
    registry_of,
    section_explanations,
)
from fewshot.exceptions import FewshotError
from fewshot.files import exists

# Texts of YAML files without a constructor that would declare them; a dot ends a whole section.
IN_YAML = (
    "paths.", "episodes.path", "episodes.queries_from", "dataset.card", "hydra.run.dir",
    "hydra.sweep.dir",
)  # fmt: skip
# A declared type of which texts are values, and one that has lists or mappings as well.
TEXT = re.compile(r"(str|path)\b", re.IGNORECASE)
CONTAINER = re.compile(r"sequence|list|tuple|dict|mapping", re.IGNORECASE)
# Commas outside of quotes and brackets separate the values of a sweep.
QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
LONGEST = 200  # of a value that an error shows
OPENING, CLOSING = "([{", ")]}"


def prepared(words: Sequence[str], multirun: bool = False) -> list[str]:
    """Return the arguments with values of texts quoted where Hydra would read something else.

    Left alone are values in quotes, ``null``, interpolations, functions as ``choice(a, b)``, and
    lists where the setting takes them. A leading ``~/`` becomes the home folder. What is prepared
    already stays as it is.

    Parameters
    ----------
    words : sequence of str
        Arguments; those that are no SETTING=VALUE stay as they are.
    multirun : bool
        Commas separate values, unless a file or folder of exactly that name exists.

    Raises
    ------
    FewshotError
        A value of another setting that cannot be read; the message shows how to quote it.
    """
    return [_prepared(word, multirun) for word in words]


def is_text(setting: str) -> bool:
    """Whether a setting is declared as a text or a path."""
    return TEXT.match(declared_type(setting)) is not None


def declared_type(setting: str) -> str:
    """Type of a setting as its constructor or dataclass documents it, ``str, optional``; or "".

    Settings of data sets and backbones depend on the kind: of the first kind that has it.
    """
    if any(setting == name or (name[-1] == "." and setting.startswith(name)) for name in IN_YAML):
        return "str"
    group, _, rest = setting.partition(".")
    for key, words in _explained(group, rest):
        if key == setting:
            return words
    return ""


def _explained(group: str, rest: str) -> Iterator[tuple[str, str]]:
    """Yield keys and types of the settings of a section or a group."""
    if group in KINDS:
        for kind in KINDS[group][1]:
            try:
                of_kind = kind_explanations(group, kind)
            except FewshotError:  # of another package, which cannot be imported
                continue
            yield from ((key, words.type) for key, words in of_kind.items())
    elif group in OPEN_GROUPS:
        name = rest.partition(".")[0]
        registry = registry_of(group)
        if name in registry:
            parameters = parameters_of(registry[name]).explanations
            yield from ((f"{group}.{name}.{key}", words.type) for key, words in parameters.items())
    else:
        yield from ((key, words.type) for key, words in section_explanations().items())


def _prepared(word: str, multirun: bool) -> str:
    key, equals, value = word.partition("=")
    setting = key.lstrip("+")
    if not equals or not value or word.startswith(("-", "~")):
        return word
    parsed = _parsed(word)
    plain = parsed is not None and not parsed.is_sweep_override() and parsed.value() == value
    if plain and not value.startswith("~/") and "${" not in value:
        return word
    if is_text(setting):
        return f"{key}={_texts(setting, value, parsed, multirun)}"
    if parsed is None:
        _refuse(key, setting, value)
    return word


def _texts(setting: str, value: str, parsed: Override | None, multirun: bool) -> str:
    """The value of a text, or the values of a sweep over it."""
    if exists(value):
        return _quoted(value)
    parts = _split(value)
    if len(parts) == 1 or _is_function(value, parsed):
        return _text(setting, value)
    if multirun:
        return ",".join(_text(setting, part.strip()) for part in parts)
    if parsed is not None and not setting.startswith("paths."):
        raise FewshotError(
            setting,
            f"{value!r} may be one text or {len(parts)} values",
            f"One text: {_shown(setting, value)}. Several: fewshot -m makes a run for each.",
        )
    return _text(setting, value)


def _text(setting: str, value: str) -> str:
    if value.startswith("~/"):
        value = str(Path(value).expanduser())
    parsed = _parsed(f"x={value}")
    if parsed is None or exists(value):
        return value if parsed is not None and parsed.value() == value else _quoted(value)
    reads: Any = parsed.value()
    if isinstance(reads, list | dict) and CONTAINER.search(declared_type(setting)):
        return value
    understood = reads is None or isinstance(reads, str) or _is_function(value, parsed)
    return value if understood else _quoted(value)


def _is_function(value: str, parsed: Override | None) -> bool:
    """Whether a value is ``choice(a, b)``, ``glob(*)``, ``range(1, 3)`` or the like."""
    return parsed is not None and re.match(r"\s*\w+\s*\(.*\)\s*$", value, re.DOTALL) is not None


def _split(value: str) -> list[str]:
    """Split at commas outside of quotes and brackets; at every comma if brackets do not match.

    What would be empty is no value of a sweep: the comma belongs to the text.
    """
    parts, depth = [""], 0
    for token in re.findall(rf"{QUOTED}|\\,|.", value, re.DOTALL):
        depth += (token in OPENING) - (token in CLOSING)
        if depth < 0:
            break
        if token == "," and not depth:
            parts.append("")
        else:
            parts[-1] += token
    parts = re.split(r"(?<!\\),", value) if depth else parts
    return parts if all(part.strip() for part in parts) else [value]


def _quoted(value: str, quote: Quote = Quote.single) -> str:
    # An interpolation of OmegaConf, unless a file is called so.
    value = value.replace("${", r"\${") if "${" in value and exists(value) else value
    return QuotedString(value, quote).with_quotes()


def _parsed(word: str) -> Override | None:
    """What Hydra reads, or None where it cannot."""
    try:
        return OverridesParser.create().parse_override(word)
    except Exception:  # of Hydra, and what its parser meets: endless digits, a thousand brackets
        return None


def _refuse(key: str, setting: str, value: str) -> None:
    """Raise for a value that Hydra cannot read, of a setting that is no text."""
    from fewshot.config.errors import expect_setting

    swept = "," in value and "." not in setting  # backbone=a,b,
    if setting.startswith("hydra") or swept or re.search("[+@/]", key):
        return  # Hydra's own settings and syntax: Hydra's own words
    expect_setting(setting, value)
    unclosed = "a list ends in ], and names in it are separated by commas; " * (value[0] in "[{")
    raise FewshotError(
        setting,
        f"cannot read the value {value!r:.80}: {unclosed}a text with characters such as ( ) # , = "
        "needs quotes that the shell leaves in place",
        f"Say {_shown(key, value)}.",
    )


def _shown(key: str, value: str) -> str:
    """A setting with its value in quotes, to paste into a shell."""
    return shlex.quote(f"{key}={_quoted(value[:LONGEST], Quote.double)}")

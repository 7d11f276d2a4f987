"""All that is cited of some runs, as BibTeX, text, Markdown, LaTeX or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from fewshot.exceptions import expect_choice
from fewshot.references import Reference
from fewshot.references.bibtex import latex_escaped
from fewshot.report.citing.paragraph import CLOSE, OPEN, Paragraph
from fewshot.report.citing.parts import CitedRun, Part, parts_of
from fewshot.report.wording import plain

FORMATS = ("text", "bibtex", "latex", "markdown", "json")
_CITED = re.compile(f"{OPEN}([^{CLOSE}]*){CLOSE}")


@dataclass(frozen=True, repr=False)
class Citation:
    """What is to be cited, and paragraphs on how it was used; printed, it is text.

    Attributes
    ----------
    parts : sequence of Part
        Data sets, backbones, heads and the like, each with its papers.
    paragraphs : sequence of str
        Papers stand in them as keys, between two marks.
    """

    parts: Sequence[Part]
    paragraphs: Sequence[str]

    @classmethod
    def of_runs(cls, runs: Iterable[CitedRun]) -> Citation:
        """That of runs, with a paragraph for each task.

        Raises
        ------
        FewshotError
            A part names a paper that there is not.
        """
        cited = list(runs)
        parts = parts_of(cited)
        tasks = dict.fromkeys(cell["task"] for run in cited for cell in run.cells)
        return cls(parts, [" ".join(Paragraph(t, cited, parts).sentences()) for t in tasks])

    @classmethod
    def of_folders(cls, folders: Iterable[Path], argument: str = "RUN") -> Citation:
        """That of run folders.

        Raises
        ------
        FewshotError
            One of them is no run that can be read, or as `of_runs`.
        """
        return cls.of_runs(CitedRun.read(folder, argument) for folder in folders)

    @property
    def references(self) -> list[Reference]:
        """All papers, each once."""
        found = (entry for part in self.parts for entry in part.references or ())
        return list({entry.key: entry for entry in found}.values())

    @property
    def without(self) -> list[Part]:
        """Parts that do not say which papers they rest on."""
        return [part for part in self.parts if part.references is None]

    @property
    def bibtex(self) -> str:
        """All papers as BibTeX."""
        return "\n\n".join(entry.bibtex() for entry in self.references) + "\n"

    @property
    def text(self) -> str:
        """The paragraph, then the papers, a line each."""
        papers = [f"- {entry.text(self._letters[entry.key])}" for entry in self.references]
        lines = [*self._prose(), "References", *papers]
        return "\n".join(lines + [f"\n{note}" for note in self._notes()]) + "\n"

    @property
    def markdown(self) -> str:
        """The same as Markdown, with the BibTeX in a block of code."""
        parts = [*self._prose("\n"), f"```bibtex\n{self.bibtex}```"]
        return "\n".join([*parts, *(f"\n{note}" for note in self._notes())]) + "\n"

    @property
    def latex(self) -> str:
        """The paragraphs as LaTeX, with ``\\cite``; `bibtex` has the papers."""
        prose = [self._as_latex(text) for text in self.paragraphs]
        notes = [f"% {note}" for note in self._notes()]
        return "\n\n".join([*prose, *notes]) + "\n"

    @property
    def json(self) -> str:
        """Parts with their papers, paragraphs and BibTeX as JSON."""
        parts: list[dict[str, Any]] = [
            {
                "role": part.role,
                "name": part.name,
                "references": None if part.references is None else [r.key for r in part.references],
            }
            for part in self.parts
        ]
        papers = {e.key: {"type": e.kind, **e.fields} for e in self.references}
        content = {
            "parts": parts,
            "references": papers,
            "paragraphs": [self._as_text(text) for text in self.paragraphs],
            "bibtex": self.bibtex,
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def to(self, kind: str, argument: str = "format") -> str:
        """The citation in one of the `FORMATS`."""
        expect_choice(argument, kind, FORMATS)
        written: str = getattr(self, kind)
        return written

    @cached_property
    def _letters(self) -> dict[str, str]:
        """By key, the letter after the year of papers that authors and year do not tell apart."""
        alike: dict[str, list[str]] = {}
        for entry in self.references:
            alike.setdefault(entry.cited(), []).append(entry.key)
        return {
            key: ascii_lowercase[n] if len(keys) > 1 else ""
            for keys in alike.values()
            for n, key in enumerate(keys)
        }

    def _prose(self, gap: str = "\n") -> list[str]:
        return [self._as_text(text) + gap for text in self.paragraphs]

    def _as_text(self, text: str) -> str:
        entries = {entry.key: entry for entry in self.references}

        def cited(match: re.Match[str]) -> str:
            keys = match[1].split(",")
            return "; ".join(entries[key].cited(self._letters[key]) for key in keys)

        return _CITED.sub(cited, text)

    def _as_latex(self, text: str) -> str:
        pieces = _CITED.split(text)
        return "".join(
            f"\\cite{{{piece}}}" if index % 2 else latex_escaped(piece)
            for index, piece in enumerate(pieces)
        )

    def _notes(self) -> list[str]:
        if not self.without:
            return []
        named = ", ".join(f"{part.role} {plain(part.name)}" for part in self.without)
        return [f"No papers are known of: {named}. Look for them where these are from."]

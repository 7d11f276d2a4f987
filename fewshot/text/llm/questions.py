"""Concurrent questions to a language model; answers are passed on as they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from fewshot.exceptions import FewshotError
from fewshot.progress import bar
from fewshot.text.llm.answers import AnswerError
from fewshot.text.llm.client import Client, Question, UnansweredError

TRIES = 2
# Number of consecutive questions without an answer after which no more are asked.
PATIENCE = 5

Check = Callable[[Question, Any], Any]
Keep = Callable[[Question, Any], None]


@dataclass
class Outcome:
    """Results of the questions.

    Attributes
    ----------
    answered : int
    refused : dict of str to list of str
        By name of the question: reasons why its answers were not used.
    failed : dict of str to str
        By name of the question: reason why there was no answer.
    ended : str or None
        Reason why the remaining questions were not asked.
    """

    answered: int = 0
    refused: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    ended: str | None = None


@dataclass
class _Report:
    question: Question
    value: Any = None
    refused: list[str] = field(default_factory=list)
    failed: UnansweredError | None = None


def ask(client: Client, questions: Sequence[Question], check: Check, keep: Keep) -> Outcome:
    """Ask all `questions`, ``llm.concurrency`` at a time.

    The failure of one leaves the others alone. A fatal one (a wrong key, an unknown model) and
    many in a row end it. The client is closed at the end.

    Parameters
    ----------
    client : Client
    questions : sequence of Question
    check : callable
        Function of a question and its answer that returns the value to keep, or raises
        ``AnswerError``, after which the question is asked once more.
    keep : callable
        Called with every question and its value, in the order of the answers.

    Raises
    ------
    KeyboardInterrupt
        After the answers so far have been kept; open requests are cancelled.
    """
    from fewshot.text.llm.connection import Loop

    work = partial(_ask, client, questions, check, keep)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(loop_factory=Loop) as runner:
            return runner.run(work())
    from anyio.from_thread import start_blocking_portal

    # In a notebook, whose loop is at work.
    with start_blocking_portal(backend_options={"loop_factory": Loop}) as portal:
        return portal.call(work)


async def _ask(client: Client, questions: Sequence[Question], check: Check, keep: Keep) -> Outcome:
    outcome, free = Outcome(), asyncio.Semaphore(client.settings.concurrency)
    tasks = [asyncio.create_task(_answered(client, q, check, free)) for q in questions]
    in_a_row, patience = 0, max(PATIENCE, client.settings.concurrency)
    try:
        with bar(len(questions), "questions", "question") as work:
            for task in asyncio.as_completed(tasks):
                report = await task
                work.update()
                _count(report, outcome, keep)
                in_a_row = in_a_row + 1 if report.failed else 0
                if report.failed and (report.failed.fatal or in_a_row >= patience):
                    outcome.ended = str(report.failed)
                    break
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.close()
    return outcome


def incomplete(outcome: Outcome, missing: int, file: Path) -> FewshotError:
    """The error for missing answers: their number, the reason and the remedy."""
    reasons = [outcome.ended or "", *outcome.failed.values()]
    useless = {name: why[-1] for name, why in outcome.refused.items() if len(why) == TRIES}
    reasons += [f"the answer for {name!r} cannot be used: {why}" for name, why in useless.items()]
    reason = next(filter(None, reasons), "no answer")
    if not reason.endswith("."):
        reason += "."
    return FewshotError(
        "llm",
        f"{missing} answer{'s are' if missing > 1 else ' is'} missing: {reason}",
        (f"What came is kept in {file}; t" if file.exists() else "T")
        + "he same command asks for the rest.",
    )


def _count(report: _Report, outcome: Outcome, keep: Keep) -> None:
    if report.failed is not None:
        outcome.failed[report.question.name] = str(report.failed)
        return
    if report.refused:
        outcome.refused[report.question.name] = report.refused
    if len(report.refused) < TRIES:
        outcome.answered += 1
        keep(report.question, report.value)


async def _answered(
    client: Client, question: Question, check: Check, free: asyncio.Semaphore
) -> _Report:
    """Ask, and once more with the reason if the answer cannot be used."""
    report = _Report(question)
    async with free:
        ends = client.deadline()
        try:
            while len(report.refused) < TRIES:
                reason = report.refused[-1] if report.refused else None
                try:
                    report.value = check(question, await client.answer(question, reason, ends))
                    break
                except AnswerError as error:
                    report.refused.append(str(error))
        except UnansweredError as error:
            report.failed = error
    return report

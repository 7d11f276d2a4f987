"""Concurrent questions to a language model; answers are passed on as they arrive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Thread
from typing import Any

from tqdm import tqdm

from fewshot.exceptions import FewshotError
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
    crash: BaseException | None = None


def ask(client: Client, questions: Sequence[Question], check: Check, keep: Keep) -> Outcome:
    """Ask all `questions`, ``llm.concurrency`` at a time.

    The failure of one leaves the others alone. A fatal one (a wrong key, an unknown model) and
    many in a row end it.

    Parameters
    ----------
    client : Client
    questions : sequence of Question
    check : callable
        Function of a question and its answer that returns the value to keep, or raises
        ``AnswerError``, after which the question is asked once more. Runs in several threads.
    keep : callable
        Called with every question and its value, in the order of the answers, in this thread.

    Raises
    ------
    KeyboardInterrupt
        After the answers so far have been kept.
    """
    settings, outcome, stop = client.settings, Outcome(), Event()
    waiting: Queue[Question] = Queue()
    reports: Queue[_Report] = Queue()
    for question in questions:
        waiting.put(question)
    for _ in range(min(settings.concurrency, len(questions))):
        # Daemons: an interrupt does not wait for open requests.
        arguments = (client, waiting, reports, check, stop)
        Thread(target=_work, args=arguments, daemon=True).start()
    in_a_row, patience = 0, max(PATIENCE, settings.concurrency)
    try:
        for _ in tqdm(range(len(questions)), desc="questions", unit="question", disable=None):
            report = _next(reports, TRIES * (settings.time_limit + settings.timeout))
            if report is None:
                outcome.ended = "the server keeps requests open without answering"
                break
            _count(report, outcome, keep)
            in_a_row = in_a_row + 1 if report.failed else 0
            if report.failed and (report.failed.fatal or in_a_row >= patience):
                outcome.ended = str(report.failed)
                break
    finally:
        stop.set()
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
    if report.crash is not None:
        raise report.crash
    if report.failed is not None:
        outcome.failed[report.question.name] = str(report.failed)
        return
    if report.refused:
        outcome.refused[report.question.name] = report.refused
    if len(report.refused) < TRIES:
        outcome.answered += 1
        keep(report.question, report.value)


def _next(reports: Queue[_Report], seconds: float) -> _Report | None:
    try:
        return reports.get(timeout=seconds)
    except Empty:
        return None


def _work(
    client: Client, waiting: Queue[Question], reports: Queue[_Report], check: Check, stop: Event
) -> None:
    while not stop.is_set():
        try:
            question = waiting.get_nowait()
        except Empty:
            return
        report = _answered(client, question, check, stop)
        reports.put(report)
        if report.failed and report.failed.fatal:
            stop.set()


def _answered(client: Client, question: Question, check: Check, stop: Event) -> _Report:
    """Ask, and once more with the reason if the answer cannot be used."""
    report = _Report(question)
    try:
        while len(report.refused) < TRIES:
            reason = report.refused[-1] if report.refused else None
            try:
                report.value = check(question, client.answer(question, stop, reason))
                break
            except AnswerError as error:
                report.refused.append(str(error))
    except UnansweredError as error:
        report.failed = error
    except Exception as error:  # a defect: raised in the calling thread
        report.crash = error
    return report

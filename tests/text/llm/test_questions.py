"""Many questions at once: each answer is kept, and no failure takes another one's answer."""

import asyncio
import time
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest

from fewshot.text.llm.answers import Answer, AnswerError
from fewshot.text.llm.client import Question, UnansweredError
from fewshot.text.llm.questions import Outcome, ask, incomplete

QUESTIONS = [Question(f"class {n}", "", "", Answer) for n in range(20)]


class Client:
    """Answers by a function of the question's name and the reason of an earlier refusal."""

    def __init__(self, reply, concurrency=4):
        self.settings = SimpleNamespace(concurrency=concurrency)
        self.reply, self.asked = reply, []
        self.busy = self.busiest = 0
        self.closed = False

    def deadline(self):
        return None

    async def answer(self, question, reason, ends):
        assert not self.closed
        self.asked.append(question.name)
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            return await self.reply(question.name, reason)
        finally:
            self.busy -= 1

    async def close(self):
        assert not self.busy  # no request outlives the questions
        self.closed = True


def answers(client, questions=QUESTIONS, check=lambda question, answer: answer):
    kept = {}

    def keep(question, value):
        kept[question.name] = value

    outcome = ask(client, questions, check, keep)
    return outcome, kept


def test_all_are_answered_a_few_at_a_time():
    async def reply(name, reason):
        await asyncio.sleep(0.005)
        return name.upper()

    client = Client(reply, concurrency=3)
    outcome, kept = answers(client)
    assert kept == {question.name: question.name.upper() for question in QUESTIONS}
    assert (outcome.answered, outcome.refused, outcome.failed, outcome.ended) == (20, {}, {}, None)
    assert client.busiest == 3


def test_no_question():
    assert answers(Client(None), [])[0].answered == 0


def test_an_answer_that_cannot_be_used_is_asked_for_once_more():
    def check(question, answer):
        if answer in ("bad", "still bad"):
            raise AnswerError(f"it is {answer}")
        return answer

    async def reply(name, reason):
        if name == "class 3":
            return "still bad" if reason else "bad"
        return ("good" if reason == "it is bad" else "bad") if name == "class 5" else "fine"

    client = Client(reply)
    outcome, kept = answers(client, check=check)
    assert client.asked.count("class 3") == client.asked.count("class 5") == 2
    assert "class 3" not in kept
    assert kept["class 5"] == "good"
    assert outcome.refused == {
        "class 3": ["it is bad", "it is still bad"],
        "class 5": ["it is bad"],
    }
    assert outcome.answered == len(kept) == 19
    message = str(incomplete(outcome, 1, Path("d.json")))
    assert message == (
        "llm: 1 answer is missing: the answer for 'class 3' cannot be used: it is still bad. "
        "The same command asks for the rest."
    )


def test_one_failure_leaves_the_others_alone():
    async def reply(name, reason):
        if name in ("class 2", "class 11"):
            raise UnansweredError("status 500")
        return name

    outcome, kept = answers(Client(reply, concurrency=1))
    assert outcome.failed == {"class 2": "status 500", "class 11": "status 500"}
    assert len(kept) == 18
    assert outcome.ended is None


@pytest.mark.parametrize(("fatal", "attempts"), [(True, 1), (False, 5)])
def test_a_server_that_answers_nobody_is_given_up(fatal, attempts):
    async def reply(name, reason):
        if name == "class 4":
            return name
        await asyncio.sleep(0.03)
        raise UnansweredError(f"no {name}", fatal)

    client = Client(reply, concurrency=1)
    outcome, kept = answers(client, QUESTIONS[4:])
    assert kept == {"class 4": "class 4"}
    assert outcome.ended == f"no class {4 + attempts}"
    assert len(client.asked) <= 1 + attempts + 1  # the next may have been under way
    Path("d.json").touch()
    assert "missing: no class" in str(incomplete(outcome, 15, Path("d.json")))
    assert "What came is kept in d.json; the same command" in str(
        incomplete(outcome, 15, Path("d.json"))
    )


def test_open_requests_end_with_the_questions():
    async def reply(name, reason):
        if name == "class 0":
            raise UnansweredError("wrong key", fatal=True)
        await asyncio.sleep(60)

    client = Client(reply)
    outcome, kept = answers(client)
    assert kept == {} and outcome.ended == "wrong key"
    assert client.closed and len(client.asked) <= 5


def test_both_askings_of_a_question_share_its_time(server, model):
    from fewshot.text.llm.client import Client as Real

    server.in_turn({"body": server.tools.completion("no JSON"), "delay": 0.6})
    question = Question("crab", "", "{}", Answer)
    begun = time.monotonic()
    outcome, _ = answers(Real(model(time_limit=1)), [question])
    assert time.monotonic() - begun < 1.15
    assert "until llm.time_limit was over" in outcome.failed["crab"]


def test_a_silent_name_server_is_not_waited_for(model, monkeypatch):
    from fewshot.text.llm.client import Client as Real

    asked, over = [], Event()

    def silent(host, *_, **__):
        asked.append(host)
        over.wait(20)
        raise OSError("no such host")

    monkeypatch.setattr("socket.getaddrinfo", silent)
    begun = time.monotonic()
    settings = model(base_url="https://models.example/v1", timeout=0.2, retries=0)
    outcome, _ = answers(Real(settings), QUESTIONS[:2])
    over.set()
    assert time.monotonic() - begun < 5
    assert asked and "no answer in time" in outcome.failed["class 0"]


def test_a_notebook_has_a_loop_at_work():
    async def reply(name, reason):
        await asyncio.sleep(0)
        return name

    async def cell():
        return answers(Client(reply))

    outcome, kept = asyncio.run(cell())
    assert outcome.answered == len(kept) == 20


def test_an_interruption_keeps_what_came():
    async def reply(name, reason):
        await asyncio.sleep(0.005)
        return name

    client, kept = Client(reply, concurrency=1), []

    def keep(question, value):
        kept.append(value)
        if len(kept) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(client, QUESTIONS, lambda question, answer: answer, keep)
    assert kept == ["class 0", "class 1", "class 2"]
    assert client.closed  # nobody goes on asking


def test_a_defect_is_not_taken_for_a_missing_answer():
    async def reply(name, reason):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        answers(Client(reply))


def test_an_outcome_without_any_reason():
    assert "2 answers are missing: no answer." in str(incomplete(Outcome(), 2, Path("x")))

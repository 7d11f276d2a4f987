"""The client against a real server: what it asks, what it bears, and what it never tells."""

import asyncio
import gzip
import json
import socket
import time
from contextlib import suppress
from email.utils import formatdate
from threading import Thread

import pytest

from fewshot.exceptions import FewshotError
from fewshot.text.llm import answers
from fewshot.text.llm import client as module
from fewshot.text.llm.answers import Answer, AnswerError, parsed
from fewshot.text.llm.client import Client, Question, UnansweredError
from fewshot.text.llm.settings import LanguageModel, check_no_secret

pytest.importorskip("openai")
SCHEMA = {
    "type": "object",
    "properties": {"description": {"type": "string"}},
    "required": ["description"],
    "additionalProperties": False,
}


class Description(Answer):
    """A docstring is for readers of the code, not for the language model."""

    description: str


QUESTION = Question("crab", "Describe it.", '{"category": "crab"}', Description)


@pytest.fixture(autouse=True)
def loop(monkeypatch):
    """The loop of a test's questions; connections stay in it."""
    with asyncio.Runner() as runner:
        monkeypatch.setitem(globals(), "run", runner.run)
        yield


def ask(client, reason=None):
    return run(client.answer(QUESTION, reason)).model_dump()  # noqa: F821


def answer_of(settings, reason=None):
    return ask(Client(settings), reason)


def fine(server):
    return server.tools.completion('{"description": "red"}')


def test_what_is_asked(server, model):
    server.in_turn(fine(server))
    assert answer_of(model(seed=7, max_tokens=90)) == {"description": "red"}
    (request,) = server.requests
    assert request["path"] == "/v1/chat/completions"
    assert (request["model"], request["seed"], request["max_tokens"]) == ("tiny", 7, 90)
    assert request["temperature"] == 0
    form = request["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"] == SCHEMA
    system, user = request["messages"]
    assert system["content"].startswith("Describe it.")
    assert "JSON" in system["content"]  # servers with json_object insist on the word
    assert user == {"role": "user", "content": QUESTION.user}
    assert server.headers[0]["authorization"] == f"Bearer {server.key}"


def test_what_is_not_set_is_not_sent(server, model):
    server.in_turn(fine(server))
    answer_of(model(temperature=None, seed=None, max_tokens=None), reason="it is empty")
    (request,) = server.requests
    assert not {"temperature", "seed", "max_tokens"} & request.keys()
    assert "could not be used because it is empty" in request["messages"][0]["content"]


@pytest.mark.parametrize("status", [429, 500])
def test_passing_trouble(server, model, status):
    trouble = server.tools.error("busy", status)
    server.in_turn(trouble, trouble, fine(server))
    assert answer_of(model()) == {"description": "red"}
    assert len(server.requests) == 3
    server.requests.clear()
    server.in_turn(trouble)
    with pytest.raises(UnansweredError, match=rf"^status {status} \(.*busy.*\)$") as caught:
        answer_of(model(retries=1))
    assert not caught.value.fatal
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [408, 409, 425, 503])
def test_other_passing_trouble(server, model, status):
    server.in_turn(server.tools.error("busy", status), fine(server))
    assert answer_of(model()) == {"description": "red"}


def test_retry_after_is_obeyed(server, model):
    server.in_turn(server.tools.error("slowly", 429, {"Retry-After": "0.15"}), fine(server))
    answer_of(model())
    assert server.times[1] - server.times[0] >= 0.15
    date = formatdate(time.time() + 2, usegmt=True)  # whole seconds
    server.in_turn(server.tools.error("slowly", 503, {"Retry-After": date}), fine(server))
    server.requests.clear()
    begun = time.monotonic()
    answer_of(model())
    assert time.monotonic() - begun > 0.9


@pytest.mark.parametrize("value", ["nan", "-3", "", "x", "Mon, 99 Foo", formatdate(0, usegmt=True)])
def test_a_malformed_retry_after_does_no_harm(server, model, value):
    server.in_turn(server.tools.error("busy", 429, {"Retry-After": value}), fine(server))
    begun = time.monotonic()
    assert answer_of(model()) == {"description": "red"}
    assert time.monotonic() - begun < 2


def test_a_wait_beyond_the_time_limit_is_not_begun(server, model):
    server.in_turn(server.tools.error("tomorrow", 429, {"Retry-After": "86400"}))
    begun = time.monotonic()
    with pytest.raises(UnansweredError, match=r"status 429 .*tomorrow.*, Retry-After \(86400\)"):
        answer_of(model())
    assert time.monotonic() - begun < 2
    assert len(server.requests) == 1


def test_retries_and_waits_end_with_the_time_limit(server, model):
    over = r"no answer from http://127.*until llm\.time_limit was over"
    for reply in (
        server.tools.error("slowly", 429, {"Retry-After": "9"}),
        server.tools.error("at once", 500),
        {"body": fine(server), "delay": 2},
        {"body": fine(server), "drip": 0.02},
    ):
        server.requests.clear()
        server.in_turn(reply)
        begun = time.monotonic()
        with pytest.raises(UnansweredError, match=over) as caught:
            answer_of(model(time_limit=0.4, retries=1000))
        assert time.monotonic() - begun < 2
        assert not caught.value.fatal


def test_a_slow_server(server, model):
    server.in_turn({"body": fine(server), "delay": 0.6}, fine(server))
    assert answer_of(model(timeout=0.15)) == {"description": "red"}
    server.in_turn({"body": fine(server), "delay": 0.6})
    with pytest.raises(UnansweredError, match="no answer in time from http://127"):
        answer_of(model(timeout=0.1, retries=1))


def test_a_reply_byte_by_byte_is_a_slow_one(server, model):
    server.in_turn({"body": fine(server), "drip": 0.05}, fine(server))
    assert answer_of(model(timeout=0.3)) == {"description": "red"}
    assert len(server.requests) == 2


def test_replies_have_a_size(server, model, monkeypatch):
    monkeypatch.setattr(answers, "LARGEST", 10_000)
    long = server.tools.completion(json.dumps({"description": "red " * 5000}))
    for reply in (long, {"body": long, "status": 200, "endless": True}):
        server.in_turn(reply)
        with pytest.raises(AnswerError, match="larger than 10000 bytes"):
            answer_of(model())
    server.in_turn(server.tools.error("x" * 50_000, 400))
    with pytest.raises(UnansweredError) as caught:
        answer_of(model())
    assert len(str(caught.value)) < 300


def test_compressed_replies_are_neither_asked_for_nor_unpacked(server, model):
    packed = gzip.compress(fine(server).encode())
    server.in_turn({"body": packed, "headers": {"Content-Encoding": "gzip"}})
    with pytest.raises(AnswerError, match="not in the form of a chat completion"):
        answer_of(model())
    assert server.headers[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
def test_a_bomb_is_not_unpacked(server, model, encoding):
    raw = gzip.compress(bytes(2**24))
    server.in_turn({"body": raw, "headers": {"Content-Encoding": encoding}})
    with pytest.raises(AnswerError, match="not in the form of a chat completion, but compressed"):
        answer_of(model())


@pytest.mark.parametrize("charset", ["base64", "zlib_codec", "utf-7", "no-such", "utf-16"])
def test_a_character_set_by_the_server_is_not_used(server, model, charset):
    trouble = server.tools.error("busy", 400) | {"type": f"application/json; charset={charset}"}
    server.in_turn(trouble)
    with pytest.raises(UnansweredError, match=r"^status 400 \(.*busy.*\)$"):
        answer_of(model())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(server, model, status):
    other = server.tools.LanguageServer()
    try:
        for place in (other.url, server.url):
            server.requests.clear()
            server.in_turn(
                {"body": "", "status": status, "headers": {"Location": f"{place}/elsewhere"}}
            )
            with pytest.raises(UnansweredError, match=rf"status {status}.*llm\.base_url") as caught:
                answer_of(model())
            assert caught.value.fatal
            assert len(server.requests) == 1 and other.requests == []
    finally:
        other.close()


def test_nothing_goes_through_a_proxy_to_this_machine(server, model, monkeypatch):
    proxy = server.tools.LanguageServer()
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy.url)
    server.in_turn(fine(server))
    try:
        assert answer_of(model()) == {"description": "red"}
        assert proxy.requests == []
    finally:
        proxy.close()


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("header", ["true", "false"])
def test_what_no_retry_mends(server, model, status, header):
    server.in_turn(server.tools.error("no", status, {"X-Should-Retry": header}))
    with pytest.raises(UnansweredError, match=f"status {status}.* Check") as caught:
        answer_of(model())
    assert caught.value.fatal
    assert len(server.requests) == 1


def test_no_more_money(server, model):
    server.in_turn(server.tools.error("pay", 429, code="insufficient_quota"))
    with pytest.raises(UnansweredError) as caught:
        answer_of(model())
    assert caught.value.fatal
    assert len(server.requests) == 1


class Raw:
    """A server that sends the same bytes to whoever asks, and `again` until they go."""

    def __init__(self, first, again=b"", pause=0.0):
        self.first, self.again, self.pause = first, again, pause

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        Thread(target=self.serve, daemon=True).start()
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"

    def __exit__(self, *_):
        self.listener.close()

    def serve(self):
        with suppress(OSError):
            while True:
                Thread(target=self.answer, args=self.listener.accept()[:1], daemon=True).start()

    def answer(self, connection):
        with connection, suppress(OSError):
            connection.recv(2**16)
            connection.sendall(self.first)
            while self.again:
                connection.sendall(self.again)
                time.sleep(self.pause)
            connection.shutdown(socket.SHUT_WR)


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
TOO_SLOW, NO_HTTP, TOO_LARGE = "no answer in time", "no HTTP reply", "larger than"


@pytest.mark.parametrize(
    ("first", "again", "pause", "why"),
    [
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.01, TOO_SLOW),
        (HEAD, b"X-A: b\r\n", 0.02, TOO_SLOW),
        (HEAD + b"\r\n", b" ", 0.02, TOO_SLOW),
        (CHUNKED, b"1\r\n \r\n", 0.02, TOO_SLOW),
        (HEAD, b"X-A: " + b"b" * 1000 + b"\r\n", 0, NO_HTTP),
        (HEAD + b"X-A: ", b"b" * 2**16, 0, NO_HTTP),
        (CHUNKED + b"1;", b"b" * 2**16, 0, NO_HTTP),
        (CHUNKED + b"0\r\n", b"X-A: b\r\n" * 99, 0, NO_HTTP),
        (b"220 mail.example ESMTP\r\n", b"", 0, NO_HTTP),
        (b"", b"", 0, NO_HTTP),
        (CHUNKED, b"10000\r\n" + b" " * 2**16 + b"\r\n", 0, TOO_LARGE),
        (HEAD + b"\r\n", b" " * 2**16, 0, TOO_LARGE),
        (HEAD + b"Content-Length: 99999999999999\r\n\r\n", b" " * 2**16, 0, TOO_LARGE),
    ],
)
def test_replies_without_an_end(model, first, again, pause, why):
    # On a busy machine only what is about time may run out of it.
    timeout = 0.4 if why == TOO_SLOW else 3
    begun = time.monotonic()
    with (
        Raw(first, again, pause) as url,
        pytest.raises((UnansweredError, AnswerError), match=why),
    ):
        answer_of(model(base_url=url, timeout=timeout, retries=0))
    assert time.monotonic() - begun < 5


def test_a_handshake_without_an_end(model):
    with Raw(b"", b"\x00", 60) as url, pytest.raises(UnansweredError, match=TOO_SLOW):
        answer_of(model(base_url=url.replace("http", "https"), timeout=0.3, retries=0))


def test_a_server_that_was_never_there(server, model):
    settings = model()
    server.close()
    with pytest.raises(UnansweredError, match="no connection to http://127") as caught:
        answer_of(settings)
    assert caught.value.fatal


@pytest.mark.parametrize("status", [400, 422])
def test_servers_without_schemas(server, model, status):
    def reply(number, body):
        kind = body.get("response_format", {}).get("type", "text")
        if kind != "text":
            return server.tools.error(f"no {kind}", status)
        return server.tools.completion('Gladly:\n```json\n{"description": "red"}\n```')

    server.reply = reply
    client = Client(model())
    for _ in range(2):
        assert ask(client) == {"description": "red"}
    kinds = [request.get("response_format", {}).get("type") for request in server.requests]
    assert kinds == ["json_schema", "json_object", None, None]  # it is learned once


def test_a_bad_request_of_another_kind(server, model):
    server.in_turn(*[server.tools.error("unsupported temperature", 400)] * 3, fine(server))
    client = Client(model())
    with pytest.raises(UnansweredError, match="unsupported temperature"):
        ask(client)
    ask(client)
    assert server.requests[-1]["response_format"]["type"] == "json_schema"


def test_the_newer_name_of_the_token_limit(server, model):
    said = "Unsupported parameter: use 'max_completion_tokens' instead of 'max_tokens'"
    server.in_turn(server.tools.error(said, 400), fine(server))
    answer_of(model(max_tokens=50))
    assert server.requests[1]["max_completion_tokens"] == 50
    assert "max_tokens" not in server.requests[1]
    assert server.requests[1]["response_format"]["type"] == "json_schema"


BODIES = [
    '{"choices": [{"mess',
    "<html>busy</html>",
    "",
    "[]",
    '{"choices": []}',
    '{"choices": [{"message": "red"}]}',
    "[" * 100_000,
    b"\xff\xfe{",
]
SAID = {
    "": "it is empty",
    "a red animal": "holds no JSON",
    '{"description": "re': "holds no JSON",
    '{"description": 3}': "'description' is no string",
    '{"descriptions": "red"}': "has no 'description'",
    '{"description": "red", "run": "x"}': "not asked for",
    '["red"]': "holds no JSON",
}


def test_bodies_that_are_no_completion(server, model):
    client = Client(model())
    for body in BODIES:
        for kind in ("application/json", "text/html"):
            server.in_turn({"body": body, "type": kind})
            with pytest.raises(AnswerError, match="not in the form of a chat completion"):
                ask(client)


def test_answers_that_are_none(server, model):
    client = Client(model())
    for said, why in SAID.items():
        server.in_turn(server.tools.completion(said))
        with pytest.raises(AnswerError, match=why):
            ask(client)
    for message, why in (
        ({"refusal": "I will not."}, "refused"),
        ({"finish_reason": "length"}, r"cut off at llm\.max_tokens"),
        ({"finish_reason": "content_filter"}, "a filter"),
    ):
        server.in_turn(server.tools.completion('{"description": "red"}', **message))
        with pytest.raises(AnswerError, match=why):
            ask(client)
    server.in_turn(server.tools.completion(None))
    with pytest.raises(AnswerError, match="empty"):
        ask(client)


def test_hostile_answers_are_read_in_no_time():
    begun = time.monotonic()
    size = answers.LARGEST
    for piece in (
        '{"description":',
        '{"a": [',
        "{",
        "<think>",
        "<think><",
        '{"a',
        '{"a": [1, {}, ',
    ):
        with pytest.raises(AnswerError, match=r"holds no JSON|has no 'description'"):
            parsed(piece * (size // len(piece)), Description)
    for inside in ('{"choices": 1%s', '{"choices": [1%s]}', '"%s'):
        with pytest.raises(AnswerError, match="not in the form"):
            answers.content((inside % ("1" * (size - 20))).encode())
    assert time.monotonic() - begun < 20


def test_braces_before_an_answer():
    said = "{x} { } {'a': 1} {\"b: " * 20 + '{ "description": "red"} {end}'
    assert parsed(said, Description).description == "red"


def test_thoughts_before_an_answer(server, model):
    said = '<think>{"description": "blue"}?</think>No: {"x": 1} {"description": "red"} Well.'
    server.in_turn(server.tools.completion(said))
    assert answer_of(model()) == {"description": "red"}


def test_the_key_is_told_to_nobody(server, model, capfd, caplog):
    caplog.set_level("DEBUG")
    settings = model(retries=0)
    client = Client(settings)
    outputs = [repr(settings), repr(client)]
    for status in (400, 401, 403, 404, 429, 500):
        server.in_turn(server.tools.error(f"wrong key\n{server.key}!", status))
        with pytest.raises(UnansweredError) as caught:
            ask(client)
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is None
        outputs += [str(caught.value), repr(caught.value)]
    assert all(request["authorization"] == f"Bearer {server.key}" for request in server.headers)
    assert server.key not in "".join([*outputs, caplog.text, *capfd.readouterr()])


def test_an_answer_with_the_key_is_refused(server, model):
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in server.key)
    for spelled in (server.key, escaped):
        said = f'{{"description": "Red {spelled} claws."}}'
        twice = server.tools.completion(said).replace(server.key, escaped)
        for body in (server.tools.completion(said), twice):
            server.in_turn(body)
            with pytest.raises(AnswerError, match=r"^it repeats the key$"):
                answer_of(model())


@pytest.mark.parametrize("place", ["message", "code", "header", "reason"])
def test_no_spelling_of_the_key_is_shown(server, model, capfd, caplog, place):
    caplog.set_level("DEBUG")
    escaped = "".join(f"%{ord(letter):02x}" for letter in server.key)
    said = {"message": escaped} if place == "message" else {"message": "no", place: server.key}
    headers = {"X-Request-Id": server.key} if place == "header" else {"Retry-After": escaped}
    server.in_turn(server.tools.error(status=400, headers=headers, **said))
    with pytest.raises(UnansweredError, match="status 400") as caught:
        answer_of(model())
    shown = f"{caught.value}{caplog.text}{capfd.readouterr()}"
    assert server.key not in shown and escaped not in shown


def refusal(**settings):
    with pytest.raises(FewshotError) as caught:
        Client(LanguageModel(**{"model": "tiny"} | settings))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_keys(monkeypatch):
    assert "expected a key in the environment variable OPENAI_API_KEY, got none" in refusal()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\r\nX: y")
    assert "secret" not in refusal()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sécret")
    assert "cret" not in refusal()
    for typed in ("sk-secret", "secret", "a" * 40, "S" * 65, 7):
        message = refusal(key=typed)
        assert str(typed) not in message
        assert "expected the name of an environment variable" in message
    monkeypatch.setenv("MINE", " sk-mine\n")
    assert LanguageModel("tiny", key="MINE").secret() == "sk-mine"


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://localhost:1/v1", True), ("http://127.0.0.1/v1", True), ("http://[::1]:1", True),
        ("https://models.example/v1", True), ("http://models.example/v1", False),
        ("http://127.0.0.1.example/v1", False), ("http://localhost.example/v1", False),
    ],
)  # fmt: skip
def test_a_key_crosses_no_network_in_the_open(monkeypatch, url, sent):
    assert LanguageModel("tiny", base_url=url).secret() == "none"  # a placeholder will do
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    assert LanguageModel("tiny", base_url=url).secret() == ("sk-1" if sent else "none")
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    assert LanguageModel("tiny").secret() == ("sk-1" if sent else "none")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", None), ("model", " "), ("model", 3), ("temperature", 3), ("retries", -1),
        ("timeout", 0), ("concurrency", 0), ("max_tokens", 0), ("seed", "x"),
        ("time_limit", None), ("base_url", "ftp://x/v1"), ("base_url", "localhost:11434"),
        ("base_url", "http://[::1"), ("base_url", "http://x:99999"),
        ("base_url", "http://256.256.256.256/v1"), ("base_url", "http://x/v1\n"),
        ("base_url", "http://x/" + "v" * 9999),
    ],
)  # fmt: skip
def test_settings(name, value):
    assert refusal(**{name: value}).startswith(f"llm.{name}: expected")


def test_urls_with_secrets():
    for url in ("http://me:secret@x/v1", "https://x/v1?api-key=secret"):
        message = refusal(base_url=url)
        assert message.startswith("llm.base_url: expected a URL without")
        assert "secret" not in message
    for url in ("http://me%3Asecret%40x/v1", "http://me:secret\uff20x/v1", "sk-secret"):
        message = refusal(base_url=url)
        assert message.startswith("llm.base_url: expected a URL of http")
        assert "secret" not in message


def test_settings_that_runs_record_hold_no_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-9f8e7d6c5b4a3z")
    fine = {"key": "OPENAI_API_KEY", "model": "tiny", "base_url": "http://x/v1"}
    check_no_secret(fine)
    for name, value in (("model", "sk-9f8e7d6c5b4a3z"), ("base_url", "http://x/9F8E7D6C5B4A3Z")):
        with pytest.raises(FewshotError, match=rf"^llm\.{name}: .*OPENAI_API_KEY") as caught:
            check_no_secret(fine | {name: value})
        assert "9f8e" not in str(caught.value).lower()


def test_without_the_library(monkeypatch, model):
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(FewshotError, match=r"pip install '\.\[llm\]'"):
        Client(model())

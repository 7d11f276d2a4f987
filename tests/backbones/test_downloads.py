"""What a user reads when a hub fails: a hub on the loopback interface fails in every way."""

import hashlib
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Folders
from fewshot.backbones.weights import from_url, torch_cache
from fewshot.download_errors import download_failure, without_secrets
from fewshot.downloads import fetch
from fewshot.exceptions import FewshotError

WHOLE = save({"weight": torch.arange(1000.0)})
DIGEST = hashlib.sha256(WHOLE).hexdigest()
OF_A_FILE = {"ETag": f'"{DIGEST}"', "X-Repo-Commit": "a" * 40}
PAGE = b"<!DOCTYPE html><html><body>Please log in to the guest network</body></html>"
TOKEN = "hf_" + "s" * 34


def answer(status=200, headers=(), body=b"", length=None):
    """What the hub answers: `length` may promise more than `body` has."""
    size = len(body) if length is None else length
    return SimpleNamespace(status=status, headers=dict(headers), body=body, length=size)


def sends(body=WHOLE, length=None, **headers):
    return answer(200, OF_A_FILE | headers, body, length)


class Hub(BaseHTTPRequestHandler):
    """Answers by the first name in ``answers`` that the path contains, "" for any other path."""

    protocol_version = "HTTP/1.1"
    answers: dict = {}  # noqa: RUF012
    asked: list = []  # noqa: RUF012

    def log_message(self, *_):
        pass

    def do_GET(self):
        Hub.asked.append(f"{self.command} {self.path}")
        name = next((name for name in Hub.answers if name and name in self.path), "")
        reply = answer() if self.path == "/" else Hub.answers.get(name, answer(404))
        self.send_response(reply.status)
        for key, value in (reply.headers | {"Content-Length": str(reply.length)}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(reply.body)
        self.close_connection = reply.length != len(reply.body)

    do_HEAD = do_GET  # noqa: N815


@contextmanager
def serving():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def point_to(address, folder, monkeypatch):
    """Let the hub's client ask `address`, keep files in `folder` and try again without waiting."""
    from huggingface_hub import constants, file_download

    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub(workplace, monkeypatch):
    """A hub that answers as the test says, and the error that a user gets."""
    monkeypatch.setattr(Hub, "answers", {})
    monkeypatch.setattr(Hub, "asked", [])
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("TORCH_HOME", str(workplace / "torch"))
    backbone = load_backbone("resnet18", Folders(workplace / "weights"))
    with serving() as address:
        point_to(address, workplace / "hub", monkeypatch)

        def refusal(**answers):
            Hub.answers.update({name.replace("_", "."): a for name, a in answers.items()})
            with pytest.raises(FewshotError) as caught:
                backbone.weights_file()
            return message_of(caught.value, workplace)

        yield SimpleNamespace(
            address=address, refusal=refusal, backbone=backbone, cache=workplace / "hub"
        )


def message_of(error, workplace):
    """The message, one line without secrets; nor are there secrets in files."""
    message = str(error)
    assert "\n" not in message
    assert len(message) < 700
    assert TOKEN not in message
    for file in workplace.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes()
    assert str(workplace / "weights" / "resnet18.a1_in1k.safetensors") in message
    return message


GATED = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model is restricted."}
CASES = {
    "broken off": (sends(WHOLE[:1000], 5_000_000), "the download broke off (", "Start again"),
    "longer": (sends(WHOLE, None, **{"X-Linked-Size": "99"}), "the download broke off (", "again"),
    "not logged in": (answer(401, GATED), "have accepted their terms", "`hf auth login` or"),
    "no access": (answer(403, GATED), "the account of your token has none", "Accept the terms at"),
    "token": (
        answer(401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
        "refuses the token (HTTP 401)", "renew or unset HF_TOKEN",
    ),
    "repository": (
        answer(404, {"X-Error-Code": "RepoNotFound"}), "no such repository", "Check the name",
    ),
    "private": (answer(401), "no such repository, or it is private", "`hf auth login`"),
    "limit": (
        answer(429, {"Retry-After": "77"}),
        "too many requests from here (HTTP 429; it asks to wait 77 s)", "Wait, then start again",
    ),
    "fault": (answer(500), "has a fault (HTTP 500)", "Try again later"),
    "busy": (answer(503), "has a fault (HTTP 503)", "Try again later"),
    "forbidden": (answer(403), "127.0.0.1 refuses it (HTTP 403)", "HTTPS_PROXY"),
    "page": (answer(200, {}, PAGE), "something else answered", "Check HTTPS_PROXY, NO_PROXY"),
    "proxy": (answer(407), "the proxy does not let it through", "HTTPS_PROXY"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_first_real_error_is_reported(hub, case, capfd):
    """Not the next file's 404; with what happened, what to do, and a place for the file."""
    reply, what, remedy = CASES[case]
    message = hub.refusal(model_safetensors=reply)
    assert message.startswith("backbone: the weights of 'resnet18.a1_in1k' are not on this machine")
    assert what in message
    assert remedy in message
    assert "404" not in message
    assert not any("pytorch_model.bin" in path for path in Hub.asked)
    assert capfd.readouterr().err == ""


def test_terms_are_accepted_on_the_page_of_the_model(hub):
    message = hub.refusal(model_safetensors=answer(403, GATED))
    assert f"Accept the terms at {hub.address}/timm/resnet18.a1_in1k" in message


def test_a_file_that_is_not_there_makes_the_next_one_of_interest(hub):
    absent = answer(404, {"X-Error-Code": "EntryNotFound"})
    message = hub.refusal(model_safetensors=absent)
    assert "has no model.safetensors and no pytorch_model.bin" in message
    Hub.answers["pytorch_model.bin"] = answer(503)
    message = hub.refusal(model_safetensors=absent)
    assert "HTTP 503" in message


def test_what_arrives_whole_is_taken(hub):
    Hub.answers["model.safetensors"] = sends()
    assert hub.backbone.weights_file().read_bytes() == WHOLE


def test_other_content_of_the_right_length_is_not_taken(hub):
    """The hub's client compares lengths only; its names of files are their hashes."""
    Hub.answers["model.safetensors"] = sends(bytes(len(WHOLE)))
    for _ in range(2):
        with pytest.raises(FewshotError, match=r"truncated, or another file.*Delete it and fetch"):
            hub.backbone.weights_file()


def test_half_a_file_does_not_count_later(hub):
    hub.refusal(model_safetensors=sends(WHOLE[:1000], len(WHOLE)))
    Hub.answers["model.safetensors"] = answer(503)
    assert "HTTP 503" in hub.refusal()
    Hub.answers["model.safetensors"] = sends()
    assert hub.backbone.weights_file().read_bytes() == WHOLE


def test_offline_by_a_variable(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = hub.refusal()
    assert "HF_HUB_OFFLINE forbids downloads. Unset it" in message
    assert Hub.asked == []


def test_a_full_disk(hub, monkeypatch):
    import huggingface_hub

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", full)
    message = hub.refusal()
    assert "the disk is full. Free some space, or move the downloads (HF_HOME, now " in message


def test_nobody_listens(workplace, monkeypatch):
    point_to("http://127.0.0.1:9", workplace / "hub", monkeypatch)
    with pytest.raises(FewshotError, match=r"no connection to 127\.0\.0\.1 .*Check the network, "):
        load_backbone("resnet18", Folders(workplace / "weights")).weights_file()


def test_a_server_that_does_not_speak_tls(hub, workplace, monkeypatch):
    point_to(hub.address.replace("http:", "https:"), workplace / "hub", monkeypatch)
    assert "no trusted connection to 127.0.0.1" in hub.refusal()


def test_a_server_that_is_silent(workplace, monkeypatch):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        point_to(f"http://127.0.0.1:{listener.getsockname()[1]}", workplace / "hub", monkeypatch)
        monkeypatch.setattr("fewshot.backbones.weights.SECONDS_FOR_THE_HUB", 0.2)
        with pytest.raises(FewshotError, match=r"127\.0\.0\.1 did not answer in time"):
            load_backbone("resnet18", Folders(workplace / "weights")).weights_file()


class UnreachableError(Exception):
    """As the clients' errors: another one inside."""

    def __init__(self, reason):
        super().__init__("Max retries exceeded")
        self.reason = reason


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UnreachableError(ssl.SSLCertVerificationError("self-signed certificate")), "certificate"),
        (UnreachableError(OSError("Tunnel connection failed: 403 Forbidden")), "proxy"),
        (UnreachableError(OSError(122, "Disk quota exceeded")), "disk"),
        (UnreachableError(PermissionError(13, "Permission denied")), "permission"),
        (UnreachableError(ConnectionResetError("reset by peer")), "broken off"),
        (UnreachableError(EOFError("Compressed file ended before the end")), "archive"),
        (UnreachableError(FileNotFoundError("cached")), "unknown"),
        (FileNotFoundError("model.safetensors"), "missing"),
        (RuntimeError("File not found or corrupted."), "hash"),
        (
            RuntimeError(
                "Tried http://h, got: <urlopen error [Errno -2] Name or service not known>"
            ),
            "name",
        ),
        (RuntimeError("Tried http://h, got: HTTP Error 404: Not Found"), "missing"),
        (RuntimeError("Tried http://h, got: HTTP Error 503: Service Unavailable"), "server"),
        (RuntimeError("of a kind that nobody knows"), "unknown"),
    ],
)
def test_causes_are_looked_into(error, kind):
    assert download_failure(error).kind == kind


def test_secrets_are_left_out(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "a-token-of-another-form")
    text = (
        "https://me:pw@proxy:3128 said Bearer abc.def to https://cdn/x?X-Amz-Signature=1f&a=2 "
        f"with {TOKEN}, a-token-of-another-form"
    )
    assert without_secrets(text) == (
        "https://proxy:3128 said Bearer ... to https://cdn/x with hf_..., ..."
    )


URL = {
    "broken off": (answer(200, {}, WHOLE[:99], len(WHOLE)), "99 of 4,080 bytes", "Start again"),
    "gone": (answer(404), "no longer has it (HTTP 404)", "Get"),
    "fault": (answer(502), "has a fault (HTTP 502)", "Try again later"),
    "page": (answer(200, {}, PAGE), "something else answered", "HTTPS_PROXY"),
    "other": (answer(200, {}, WHOLE[::-1]), "invalid hash value", "Start again"),
}


@pytest.mark.parametrize("case", URL)
def test_files_of_other_servers(hub, workplace, monkeypatch, case):
    """torchvision's weights: nothing is kept of what is not whole."""
    reply, what, remedy = URL[case]
    sha256 = None if case == "page" else DIGEST[:8]
    monkeypatch.setattr("fewshot.downloads.SECONDS_BETWEEN", 0)
    Hub.answers["net.pth"] = reply
    with pytest.raises(FewshotError) as caught:
        from_url(f"{hub.address}/net.pth", "net", workplace / "weights", sha256)
    assert what in str(caught.value)
    assert remedy in str(caught.value)
    assert not list(torch_cache().rglob("*.*"))
    Hub.answers["net.pth"] = answer(200, {}, WHOLE)
    path = from_url(f"{hub.address}/net.pth", "net", workplace / "weights", DIGEST[:8])
    assert path == torch_cache() / "net.pth"
    assert path.read_bytes() == WHOLE


def test_faults_that_pass_are_waited_for(hub, workplace, monkeypatch):
    """The third attempt succeeds; a client's fault is not tried again."""

    def recovers(seconds):
        if len(Hub.asked) == 2:
            Hub.answers["net.pth"] = answer(200, {}, WHOLE)

    monkeypatch.setattr("fewshot.downloads.time.sleep", recovers)
    Hub.answers["net.pth"] = answer(503)
    target = Path("net.pth")
    assert fetch(f"{hub.address}/net.pth", target).read_bytes() == WHOLE
    assert len(Hub.asked) == 3
    Hub.answers["net.pth"] = answer(404)
    with pytest.raises(OSError, match="404"):
        fetch(f"{hub.address}/net.pth", target)
    assert len(Hub.asked) == 4

"""A language model for tests."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

KEY = "sk-test-9f8e7d6c5b4a"
tools = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("language_server.py"))))


@pytest.fixture(autouse=True)
def no_other_server(monkeypatch):
    """Nothing of the user's environment decides where questions go."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server(monkeypatch):
    """A server with a key, which every request has to carry."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    made = tools.LanguageServer()
    made.key, made.tools = KEY, tools
    yield made
    made.close()


@pytest.fixture
def model(server):
    """Function that makes settings for the server, quick to try again."""
    from fewshot.text.llm_settings import LanguageModel

    def make(**settings):
        quick = {"backoff": 0.001, "timeout": 5, "retries": 2, "time_limit": 10}
        return LanguageModel(**{"model": "tiny", "base_url": server.url} | quick | settings)

    return make

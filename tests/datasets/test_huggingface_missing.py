"""Without the extra, whatever else is called ``datasets``."""

import sys
from types import ModuleType

import pytest

from fewshot.datasets import load_dataset
from fewshot.exceptions import FewshotError

SETTINGS = {"kind": "huggingface", "path": "anything"}


def test_a_missing_package_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets.config", None)
    with pytest.raises(FewshotError, match=r"pip install '\.\[hf\]'"):
        load_dataset(SETTINGS)


def test_a_folder_called_datasets_is_not_taken_for_it(workplace, monkeypatch):
    """As in a clone, where data lies in a folder of that name: it is importable, and empty."""
    (workplace / "datasets").mkdir()
    folder = ModuleType("datasets")
    folder.__path__ = [str(workplace / "datasets")]
    for name in [name for name in sys.modules if name.partition(".")[0] == "datasets"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "datasets", folder)
    with pytest.raises(FewshotError, match=r"pip install '\.\[hf\]'"):
        load_dataset(SETTINGS)

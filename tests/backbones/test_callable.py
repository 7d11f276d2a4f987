"""One's own network."""

import importlib
import sys

import pytest
import torch

from fewshot.backbones import load_backbone
from fewshot.exceptions import FewshotError

CPU = torch.device("cpu")


def described(folders, target="tiny_net:network", **settings):
    return load_backbone({"kind": "callable", "target": target, "size": 16, **settings}, folders)


def refusal(call):
    with pytest.raises(FewshotError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_network_runs_in_evaluation_mode(tiny_net, folders):
    encode = described(folders).load(CPU)
    images = torch.randn(3, 3, 16, 16)
    rows = encode(images)
    assert rows.shape == (3, 12)
    assert torch.equal(rows, encode(images))  # it has a dropout
    model = importlib.import_module("tiny_net").network().eval()
    assert torch.allclose(rows, model(images), atol=1e-6)


def test_changed_weights_change_the_key(tiny_net, folders):
    before = described(folders).fingerprint()
    tiny_net.write_text(tiny_net.read_text().replace("Tiny(0)", "Tiny(1) "))
    sys.modules.pop("tiny_net")
    importlib.invalidate_caches()
    after = described(folders).fingerprint()
    assert before["weights"] != after["weights"]
    assert before["architecture"] == after["architecture"]


def test_the_key_knows_target_and_version(tiny_net, folders):
    first = described(folders).fingerprint()
    assert described(folders, version=2).fingerprint() != first
    assert described(folders, version="1").fingerprint() == first
    tiny_net.write_text(f"{tiny_net.read_text()}\n\nsame = network\n")
    sys.modules.pop("tiny_net")
    importlib.invalidate_caches()
    same = described(folders, target="tiny_net:same").fingerprint()
    assert (same["weights"], same != first) == (first["weights"], True)


def test_buffers_and_types_of_every_kind_are_hashed(folders, workplace, monkeypatch):
    (workplace / "kinds.py").write_text(
        "import torch\n"
        "def network():\n"
        "    net = torch.nn.BatchNorm2d(3)\n"
        "    net.register_buffer('flags', torch.tensor([True, False]))\n"
        "    net.register_buffer('halves', torch.ones(2, dtype=torch.bfloat16))\n"
        "    net.register_buffer('none', torch.ones(0))\n"
        "    return net\n"
    )
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert len(described(folders, target="kinds:network").weights_digest) == 64
    sys.modules.pop("kinds")


@pytest.mark.parametrize("target", [None, "", "tiny_net", "tiny_net:", ":network", "a b:c", 7,
                                    ".tiny_net:network", "tiny_net.py:network"])  # fmt: skip
def test_a_target_is_a_module_and_a_factory(folders, target):
    if target == "tiny_net.py:network":
        message = refusal(lambda: described(folders, target=target).weights_digest)
        assert "cannot import 'tiny_net.py'" in message
    else:
        message = refusal(lambda: described(folders, target=target))
        assert "backbone.target: expected module:factory" in message


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere_to_be_found:f", "cannot import 'nowhere_to_be_found'"),
        ("tiny_net:networ", "module 'tiny_net' has no 'networ'"),
        ("tiny_net:torch", "module 'tiny_net' has no function 'torch'"),
        ("os:getcwd", "os:getcwd should return a torch.nn.Module, got str"),
    ],
)
def test_targets_that_are_not_there(tiny_net, folders, target, message):
    assert message in refusal(lambda: described(folders, target=target).weights_digest)


def test_what_the_module_lacks_itself_is_not_taken_for_the_module(workplace, folders, monkeypatch):
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    (workplace / "needy.py").write_text("import nowhere_to_be_found\n")
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        _ = described(folders, target="needy:f").weights_digest


@pytest.mark.parametrize(
    ("body", "got"),
    [("{'x': images}", "got dict"), ("images.mean()", r"got \(\)"), ("images[0]", r"got \(3, ")],
)
def test_a_network_that_gives_no_rows(workplace, folders, monkeypatch, body, got):
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    (workplace / "odd_net.py").write_text(
        "import torch\n"
        "class network(torch.nn.Module):\n"
        f"    def forward(self, images):\n        return {body}\n"
    )
    encode = described(folders, target="odd_net:network").load(CPU)
    with pytest.raises(FewshotError, match=rf"expected a tensor \(2, D\) from the network, {got}"):
        encode(torch.randn(2, 3, 16, 16))
    sys.modules.pop("odd_net")

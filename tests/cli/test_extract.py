"""``fewshot extract`` and ``fewshot bank``."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

IMAGES = ("dataset=folder", "dataset.root=photos", "backbone=callable",
          "backbone.target=tiny_net:network", "backbone.size=16", "threads=1")  # fmt: skip


SLOW = """

class Slow(Tiny):
    def forward(self, images):
        import time

        time.sleep(0.1)
        return super().forward(images)
"""


@pytest.fixture(autouse=True)
def data(photos, tiny_net):
    """Images and a network that takes no time."""


def banks():
    return sorted(path.parent for path in Path("cache/features").glob("*/bank.json"))


FULL = "features.precision=float32"  # on processors with bfloat16, too


def test_features_and_nothing_else(fewshot):
    done = fewshot("extract", *IMAGES, FULL)
    assert done.code == 0
    (folder,) = banks()
    assert re.search(
        r"tiny_net:network \(pooled\) features of photos: 48 x 12 float32, .* kB, computed in "
        rf"float32; [\d.]+ s\n{Path.cwd() / folder}\n$",
        done.out,
    )
    assert not Path("runs").exists()
    again = fewshot("extract", *IMAGES, FULL)
    assert again.out.endswith(f"{Path.cwd() / folder}\n")
    run = fewshot(*IMAGES, FULL, "episodes.count=5", "head=ncm", "estimator=constant")
    assert run.code == 0
    assert len(banks()) == 1


def test_a_dry_run_leaves_nothing(fewshot):
    done = fewshot("extract", "--dry-run", *IMAGES, FULL)
    assert done.code == 0
    assert re.match(r"48 of 48 images at [\d,.]+ images/s: about \d+ s\.\n", done.out)
    assert "tiny_net:network on cpu, 1 threads; float32, batches of 16" in done.out
    assert "12 dimensions, 2.3 kB" in done.out
    assert not Path("cache/features").exists()
    fewshot("extract", *IMAGES, FULL)
    assert fewshot("extract", "-n", *IMAGES, FULL).out.startswith(
        "Nothing to do: all 48 images are in"
    )


def test_every_combination_and_the_one_that_fails(fewshot):
    done = fewshot("extract", "-m", *IMAGES, "features.dtype=float16,float32,float8")
    assert done.code == 2
    assert len(banks()) == 2
    (line,) = done.err.strip().splitlines()
    assert "features.dtype=float8" in line
    assert "expected one of 'float32', 'float16', got 'float8'" in line


def test_shards(fewshot, monkeypatch):
    monkeypatch.setattr("fewshot.features.extraction.extract.IMAGES_PER_CHUNK", 16)
    first = fewshot("extract", "--shard", "0/2", *IMAGES)
    assert first.code == 0
    assert "Shard 0/2 of tiny_net:network features of photos is done; the bank is made" in first.out
    assert banks() == []
    again = fewshot("extract", "--dry-run", "--shard", "0/2", *IMAGES)
    assert again.out.startswith("Nothing to do: the features are computed, but the bank is not")
    assert fewshot("extract", "--shard", "1/2", *IMAGES).code == 0
    assert len(banks()) == 1


@pytest.mark.slow
def test_stopped_and_continued(fewshot, process, make_images):
    shutil.rmtree("photos")
    make_images("photos", classes=6, images=100)
    net = Path("tiny_net.py")
    net.write_text(net.read_text().replace("return Tiny(0)", "return Slow(0)") + SLOW)
    stopped = process("extract", *IMAGES, "features.batch_size=16")
    until = time.monotonic() + 30
    while not list(Path("cache/features").glob("*.partial/chunk_*.npz")):
        assert time.monotonic() < until
        time.sleep(0.02)
    stopped.send_signal(signal.SIGINT)
    assert stopped.wait() == 130
    assert "Features extracted so far are kept" in stopped.stderr.read()
    done = fewshot("extract", "--dry-run", *IMAGES)
    kept = 64 * len(list(Path("cache/features").glob("*.partial/chunk_*.npz")))
    assert kept > 0
    assert done.out.startswith(f"{600 - kept} of 600")
    assert fewshot("extract", *IMAGES).code == 0
    assert len(banks()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("photos",), "fewshot extract: expected SETTING=VALUE, got 'photos'"),
        (("--shard", "2/2", *IMAGES), "--shard: expected I/N"),
        (("dataset=features", "dataset.path=f.npz"), "dataset.path: expected a file"),
        (("backbone=resnet181",), "Did you mean"),
        (("features.precision=half", *IMAGES), "features.precision: expected one of"),
        (("features.batch_sise=8", *IMAGES), "features.batch_sise: there is no such setting"),
        (("-m", "backbone=a,b,"), "settings:"),
    ],
)
def test_refused(refusal, arguments, words):
    assert words in refusal("extract", *arguments)


def test_features_cannot_be_extracted_again(refusal, feature_file):
    words = refusal("extract", "dataset=features", "dataset.path=f.npz")
    assert "expected images, got features" in words


def test_a_look_at_banks(fewshot):
    assert fewshot("bank", "list").out == f"0 banks, 0 B, in {Path.cwd()}/cache/features\n"
    fewshot("extract", *IMAGES)
    listed = fewshot("bank", "list").out
    assert "tiny_net:network (pooled) features of photos: 48 x 12 float32" in listed
    assert "\n1 bank, " in listed
    (facts,) = json.loads(fewshot("bank", "list", "--json").out)
    assert facts["images"] == 48
    shown = json.loads(fewshot("bank", "show", "photos").out)
    assert shown["note"]["causes"]["backbone"]["transform"]["size"] == 16
    assert shown["key"] == facts["key"]


def test_verify_and_collect(fewshot):
    fewshot("extract", *IMAGES)
    (folder,) = banks()
    assert fewshot("bank", "verify").out == f"{folder.name}: ok\n"
    data = bytearray((folder / "features.npy").read_bytes())
    data[-1] ^= 64
    (folder / "features.npy").write_bytes(data)
    done = fewshot("bank", "verify", "photos")
    assert done.code == 2
    assert "features.npy is not what was written" in done.out
    assert "1 of 1 banks are damaged; delete them with fewshot bank gc BANK" in done.err
    assert "would delete" in fewshot("bank", "gc", "--dry-run", "photos").out
    assert banks()
    assert fewshot("bank", "gc", "photos").out.startswith(f"deleted {folder.name} (ready, ")
    assert banks() == []
    assert fewshot("bank", "gc").out == "0 banks, 0 B\n"


def test_export_and_evaluate(fewshot):
    fewshot("extract", *IMAGES)
    done = fewshot("bank", "export", "photos", "--output", "out.npz")
    assert done.code == 0
    with np.load("out.npz") as arrays:
        assert arrays["features"].shape == (48, 12)
    (folder,) = banks()
    quick = ("episodes.count=5", "head=ncm", "estimator=constant", "dataset=features")
    for path in ("out.npz", str(folder)):
        assert fewshot(*quick, f"dataset.path={path}").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bank",), "fewshot bank: the following arguments are required: ACTION"),
        (("bank", "lists"), "invalid choice: 'lists'"),
        (("bank", "show", "photos"), "bank: expected a registered name, got 'photos'"),
        (("bank", "gc", "--unused", "-1"), "--unused: expected a number >= 0"),
    ],
)
def test_bank_refused(refusal, arguments, words):
    assert words in refusal(*arguments)


def test_a_look_at_banks_imports_no_networks():
    code = "import sys; from fewshot.cli.main import main; main(['bank', 'list']); "
    code += "sys.exit('timm' in sys.modules or 'open_clip' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

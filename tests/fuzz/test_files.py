"""Files of every kind with damages: refused, or read, but never a traceback and never a wait."""

import itertools
import json
import os
import random
import re
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewshot.estimators.calibration.transferred import SHIPPED

SEED = int(os.environ.get("FEWSHOT_FUZZ", "0"))
BASE = ("dataset=features", "dataset.path=f.npz", "episodes.count=3", "episodes.ways=3",
        "episodes.shots=[1]", "head=[ncm]", "estimator=[constant]")  # fmt: skip
LISTED = ("extract", "dataset=listed", "dataset.root=photos", "backbone=callable",
          "backbone.target=tiny_net:network", "--dry-run")  # fmt: skip
NASTY = (b"1e400", b"-1", b"null", b"9" * 30, b"[[[[]]]]", b'"\\ud800"', b"{}", b"NaN", b'""',
         b"=1", b"\x00", b"\xff\xfe", b"true", b"[" * 5000)  # fmt: skip
# A file, and the command line that reads it.
KINDS = {
    "damaged.npz": (*BASE, "dataset.path=damaged.npz"),
    "damaged.safetensors": (*BASE, "dataset.path=damaged.safetensors"),
    "calibrator.json": (*BASE, "estimator=[auto]", "estimator.auto.calibrator=calibrator.json"),
    "split.json": (*BASE, "dataset.split=split.json"),
    "split.yaml": (*BASE, "dataset.split=split.yaml"),
    "split.csv": (*BASE, "dataset.split=split.csv"),
    "names.txt": (*BASE, "dataset.classnames=names.txt"),
    "answers.json": ("text", "show", "answers.json"),
    "drawn.safetensors": (*BASE, "episodes.path=drawn.safetensors"),
    "list.json": (*LISTED, "dataset.split_file=list.json"),
    "list.csv": (*LISTED, "dataset.split_file=list.csv"),
    "photos/a/0.png": ("dataset=folder", "dataset.root=photos", "backbone=callable",
                       "backbone.target=tiny_net:network", "backbone.size=16", *BASE[2:5],
                       "head=[ncm]", "estimator=[constant]"),
    "run/summary.json": ("report", "run"),
    "run/episodes.parquet": ("results", "query", "run", "--table", "episodes"),
    "run/predictions.parquet": ("report", "run"),
    "run/config.yaml": ("report", "run"),
}  # fmt: skip


@pytest.fixture(scope="session")
def place(program):
    """Folder with a sound file of every kind."""
    folder = program.folder
    arrays = dict(np.load(folder / "f.npz"))
    names = [f"c{i}" for i in range(6)]
    split = {"base": names[:2], "validation": [], "novel": names[2:]}
    np.savez(folder / "f.npz", **arrays, classnames=np.array(names))
    shutil.copy(folder / "f.npz", folder / "damaged.npz")
    _save_tensors(folder / "damaged.safetensors", arrays, names)
    shutil.copy(SHIPPED, folder / "calibrator.json")
    (folder / "split.json").write_text(json.dumps(split))
    (folder / "split.yaml").write_text("".join(f"{part}: {c}\n" for part, c in split.items()))
    rows = [f"{c},{part}\n" for part, classes in split.items() for c in classes]
    (folder / "split.csv").write_text("class,part\n" + "".join(rows))
    (folder / "names.txt").write_text("".join(f"{name}\n" for name in names))
    answers = {"format": 1, "kind": "descriptions", "classes": {"crane": ["a tall bird"]}}
    (folder / "answers.json").write_text(json.dumps(answers))
    _photos(folder)
    _run(program)
    return folder


def _save_tensors(path, arrays, names):
    import torch
    from safetensors.torch import save_file

    tensors = {key: torch.from_numpy(values) for key, values in arrays.items()}
    save_file(tensors, path, metadata={"classnames": json.dumps(names), "normalize": "none"})


def _photos(folder):
    rng = np.random.default_rng(1)
    images = {"train": [], "val": [], "test": []}
    for c, name in enumerate("abc"):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{i}.png")
            images[("train", "val", "test", "test")[i]].append([f"{name}/{i}.png", c, name])
    (folder / "list.json").write_text(json.dumps(images))
    lines = [f"{path},{name}\n" for rows in images.values() for path, _, name in rows]
    (folder / "list.csv").write_text("filename,label\n" + "".join(lines))
    network = "import torch\ndef network():\n    return torch.nn.Flatten()\n"
    (folder / "tiny_net.py").write_text(network)


def _run(program):
    done = program(*BASE)
    assert done.code == 0, done.stderr
    (summary,) = program.folder.glob("runs/**/summary.json")
    shutil.move(summary.parent, program.folder / "run")
    (drawn,) = program.folder.glob("run/episodes/*.safetensors")
    shutil.copy(drawn, program.folder / "drawn.safetensors")


def damaged(content, drawn):
    """`content` with one damage of many kinds."""
    at = drawn.randrange(max(1, len(content)))
    numbers = list(re.finditer(rb"-?\d+\.?\d*", content[:100_000]))
    kinds = [
        lambda: content[:at],
        lambda: content[:at] + bytes([drawn.randrange(256)]) + content[at + 1 :],
        lambda: content[:at] + drawn.randbytes(20) + content[at:],
        lambda: content[:at] + bytes(50) + content[at + 50 :],
        lambda: content[at:] + content[:at],
        lambda: content + content,
        lambda: content[:at] + drawn.choice(NASTY) + content[at:],
        lambda: b"",
    ]
    if numbers:
        spot = drawn.choice(numbers)
        kinds += 4 * [lambda: content[: spot.start()] + drawn.choice(NASTY) + content[spot.end() :]]
    return drawn.choice(kinds)()


def _faults(place, program, kinds, times, drawn):
    """Faults by file and number of the damage."""
    outcomes = {}
    for name in kinds:
        if not (place / name).exists():
            continue
        sound = (place / name).read_bytes()
        for number in range(times):
            (place / name).write_bytes(damaged(sound, drawn))
            if fault := program.fault(*KINDS[name]):
                outcomes[name, number] = fault
        (place / name).write_bytes(sound)
    return outcomes


def _sources():
    """Things that are no file, at the path of a small file."""
    return {
        "pipe": os.mkfifo,
        "folder": lambda path: path.mkdir(),
        "link to itself": lambda path: path.symlink_to(path),
        "link to a device": lambda path: path.symlink_to("/dev/zero"),
        "socket": _socket,
        "nothing": lambda _: None,
        "too large": lambda path: os.truncate(_touched(path), 3 << 40),
    }


def _socket(path):
    # Relative: the path of a socket has a hundred characters at most.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def _touched(path):
    path.touch()
    return path


@pytest.mark.parametrize(
    ("kind", "name"),
    list(zip(_sources(), itertools.cycle(["calibrator.json", "split.csv"]), strict=False)),
)
def test_what_is_no_small_file_is_refused_at_once(place, program, name, kind):
    kept = place / f"{name}.kept"
    (place / name).rename(kept)
    try:
        _sources()[kind](place / name)
        done = program(*KINDS[name])
    finally:
        if (place / name).is_dir():
            (place / name).rmdir()
        else:
            (place / name).unlink(missing_ok=True)
        kept.rename(place / name)
    assert done.code == 2, done.stderr
    assert re.fullmatch(r"fewshot: error: [^\n]+\n", done.stderr), done.stderr


def test_sound_files_are_read(place, program):
    for name in ("damaged.npz", "split.json", "answers.json", "run/summary.json"):
        done = program(*KINDS[name])
        assert done.code == 0, (name, done.stderr)


def test_a_sample_of_damages(place, program):
    kinds = ["damaged.npz", "calibrator.json", "run/summary.json"]
    assert not _faults(place, program, kinds, 2, random.Random(SEED))


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file(place, program, name):
    assert (place / name).exists()
    assert not _faults(place, program, [name], 20, random.Random(f"{SEED} {name}"))

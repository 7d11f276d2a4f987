"""Feature banks: extracted once, whole or not at all, known by what made them."""

import errno
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Folders
from fewshot.backbones.callable import CallableBackbone
from fewshot.datasets import folder as folder_module
from fewshot.datasets.folder import load_folder
from fewshot.exceptions import FewshotError
from fewshot.features import store
from fewshot.features.extraction import chunks, extract
from fewshot.features.extraction.precision_choice import Choice
from fewshot.features.extraction.settings import Extraction
from fewshot.features.store import open_bank, open_or_extract

CPU = torch.device("cpu")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """A batch of these tests is a chunk."""
    monkeypatch.setattr(extract, "IMAGES_PER_CHUNK", 8)


@pytest.fixture
def describe(photos, tiny_net):
    """Function that gives the arguments of an extraction anew."""

    def described(root=photos, size=16, **settings):
        dataset = load_folder("photos", str(root), on_error=settings.pop("on_error", "raise"))
        backbone = load_backbone(
            {"kind": "callable", "target": "tiny_net:network", "size": size, **settings},
            Folders(Path("w")),
        )
        return dataset, backbone

    return described


@pytest.fixture
def run(describe):
    """Function that opens or extracts the bank of the photos."""

    def opened(on_error="raise", dtype="float32", batch_size=8, threads=1, **settings):
        dataset, backbone = describe(**settings)
        # Nothing to compare, on a processor with bfloat16 either: every batch seen is of the bank.
        how = Extraction(
            dtype=dtype, precision="float32", batch_size=batch_size, on_error=on_error,
            threads=threads,
        )  # fmt: skip
        return open_or_extract(dataset, backbone, Path("banks"), how)

    return opened


@pytest.fixture
def encoded(monkeypatch):
    """Sizes of the batches that the network has seen."""
    seen = []
    load = CallableBackbone.load

    def counting(self, device):
        encode = load(self, device)
        return lambda images: seen.append(len(images)) or encode(images)

    monkeypatch.setattr(CallableBackbone, "load", counting)
    return seen


def banks():
    return sorted(path.parent.name for path in Path("banks").glob("*/bank.json"))


def leftovers():
    return [path for path in Path("banks").rglob("*") if path.name.startswith(".")]


def extract_slowly(name, pause, answers):
    """Extract the photos; the network takes `pause` seconds per batch and writes each one down."""
    backbone = load_backbone(
        {"kind": "callable", "target": "tiny_net:network", "size": 16}, Folders(Path("w"))
    )
    load = backbone.load

    def slowly(device):
        encode = load(device)

        def run(images):
            rows = encode(images)
            time.sleep(pause)
            with Path(f"{name}.log").open("a") as log:
                print(len(images), file=log, flush=True)
            return rows

        return run

    backbone.load = slowly
    how = Extraction(precision="float32", batch_size=8, threads=1)
    bank = open_or_extract(load_folder("photos", "photos"), backbone, Path("banks"), how)
    answers.put(len(bank))


@pytest.fixture
def slow(photos, tiny_net):
    """Function that starts a process which extracts slowly; a fork, which need not import."""
    context, started = multiprocessing.get_context("fork"), []

    def start(name, pause):
        answers = context.SimpleQueue()
        process = context.Process(target=extract_slowly, args=(name, pause, answers))
        process.start()
        started.append(process)
        process.rows = answers.get
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


def lines(path):
    return path.read_text().split() if path.exists() else []


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_rows_are_what_the_network_gives_for_each_image(run, describe):
    bank = run()
    dataset, backbone = describe()
    encode = backbone.load(CPU)
    rows = [
        encode(backbone.transform.normalise(backbone.transform.pixels(dataset.read(i))[None]))[0]
        for i in range(len(dataset))
    ]
    assert bank.features.shape == (48, 12)
    assert np.allclose(bank.features, torch.stack(rows).numpy(), atol=1e-6)
    assert bank.labels.tolist() == dataset.labels.tolist()
    assert bank.classnames == dataset.classnames
    assert tuple(bank.paths) == dataset.paths
    assert bank.info["dataset"] == "photos"
    assert bank.info["skipped"] == []
    assert isinstance(bank.features, np.memmap)


def test_a_bank_that_exists_loads_no_network_and_decodes_no_image(run, monkeypatch):
    first = run()

    def never(*_, **__):
        raise AssertionError("should not be called")

    monkeypatch.setattr(CallableBackbone, "load", never)
    monkeypatch.setattr(folder_module, "read_image", never)
    monkeypatch.setattr(extract, "Extractor", never)
    again = run()
    assert np.array_equal(again.features, first.features)
    assert list(again.paths) == list(first.paths)
    assert again.hash() == first.hash()
    assert len(banks()) == 1


def test_writing_into_the_mapped_rows_does_not_reach_the_disk(run):
    bank = run()
    before = np.array(bank.features)
    bank.features[:] = 0
    assert np.array_equal(run().features, before)


def test_names_and_split_are_those_of_the_data_set_at_hand(run, photos):
    run()
    bank = run()
    assert bank.classnames == tuple(f"class_{i}" for i in range(6))
    shutil.move(photos, "elsewhere")  # the same content is the same bank
    assert len(run(root="elsewhere")) == 48
    assert len(banks()) == 1


def change_image(photos):
    Image.new("RGB", (16, 16), "red").save(photos / "class_0" / "0.png")


def change_weights(photos):
    net = photos.parent / "tiny_net.py"
    net.write_text(net.read_text().replace("Tiny(0)", "Tiny(3)  "))
    sys.modules.pop("tiny_net")


@pytest.mark.parametrize(
    "cause",
    [
        {"size": 32},
        {"crop_pct": 0.5},
        {"interpolation": "bilinear"},
        {"mean": [0.5, 0.5, 0.5]},
        {"std": [0.5, 0.5, 0.5]},
        {"feature": "other"},
        {"version": 2},
        {"dtype": "float16"},
        change_image,
        change_weights,
        lambda photos: (photos / "class_5" / "7.png").unlink(),
        lambda photos: (photos / "class_5").rename(photos / "class_9"),
    ],
)
def test_every_cause_makes_another_bank(run, photos, cause):
    first = run().info["key"]
    if callable(cause):
        cause(photos)
        settings = {}
    else:
        settings = cause
    if cause == {"size": 32}:
        with pytest.raises(RuntimeError):  # the tiny network takes 16 pixels only
            run(**settings)
        assert len(banks()) == 1
    else:
        assert run(**settings).info["key"] != first
        assert len(banks()) == 2


def test_what_is_no_cause_makes_no_other_bank(run):
    keys = {run().info["key"], run(batch_size=3, threads=4).info["key"],
            run(name="other").info["key"]}  # fmt: skip
    assert len(keys) == 1


def test_batches_and_threads_do_not_change_the_rows(run):
    first = np.array(run().features)
    shutil.rmtree("banks")
    assert np.allclose(run(batch_size=5, threads=4).features, first, atol=1e-6)


def test_half_precision_is_the_rounded_rows(run):
    whole, half = run(), run(dtype="float16")
    assert half.features.dtype == np.float16
    assert np.array_equal(half.features, whole.features.astype(np.float16))
    assert half.take(torch.tensor([0])).dtype == torch.float32


@needs_fork
def test_resuming_after_a_kill_gives_the_same_bank_bit_for_bit(run, slow, workplace, encoded):
    def rows():
        (path,) = Path("banks").glob("*/features.npy")
        return path.read_bytes()

    run()
    undisturbed = rows()
    assert encoded == [8] * 6
    encoded.clear()
    shutil.rmtree("banks")
    process = slow("killed", 0.3)
    until(lambda: len(lines(workplace / "killed.log")) >= 3)
    process.kill()
    process.join()
    assert banks() == []
    (partial,) = Path("banks").glob("*.partial")
    done = 8 * len(list(partial.glob("chunk_*.npz")))
    assert 16 <= done < 48  # at most one chunk is lost
    (partial / ".chunk_000005.npz.1.abc.partial").write_bytes(b"half a chunk")
    assert len(run()) == 48
    assert sum(encoded) == 48 - done
    assert rows() == undisturbed
    assert not list(Path("banks").glob("*.partial"))


@needs_fork
def test_two_processes_at_once_share_one_extraction(slow, workplace, run):
    both = [slow(name, 0.1) for name in ("one", "two")]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert [process.rows() for process in both] == [48, 48]
    worked = [len(lines(workplace / f"{name}.log")) for name in ("one", "two")]
    assert sum(worked) == 6
    assert len(banks()) == 1
    assert not list(Path("banks").glob("*.partial"))
    shared = np.array(run().features)
    shutil.rmtree("banks")
    assert np.array_equal(run().features, shared)


@needs_fork
@pytest.mark.slow
def test_a_chunk_of_a_killed_process_is_taken_over(slow, workplace):
    killed = slow("killed", 60)
    until(lambda: list(Path("banks").glob("*.partial/chunk_*.lock")))
    other = slow("other", 0)
    until(lambda: len(list(Path("banks").glob("*.partial/chunk_*.npz"))) == 4)  # of six
    time.sleep(0.5)
    assert other.is_alive()  # it waits for the chunks that are held
    killed.kill()
    other.join()
    assert (other.exitcode, other.rows()) == (0, 48)
    assert len(lines(workplace / "other.log")) == 6


def test_shards_make_the_same_bank(describe, run):
    undisturbed = np.array(run().features)
    shutil.rmtree("banks")
    dataset, backbone = describe()
    hows = [
        Extraction(precision="float32", batch_size=8, threads=1, shard=f"{i}/4") for i in range(4)
    ]
    for how in hows[:3]:
        assert store.extract(dataset, backbone, Path("banks"), how) is None
    (partial,) = Path("banks").glob("*.partial")
    assert len(list(partial.glob("chunk_*.npz"))) == 5
    folder = store.extract(dataset, backbone, Path("banks"), hows[3])
    assert np.array_equal(open_bank(folder).features, undisturbed)


@pytest.mark.parametrize("shard", ["4/4", "1", "a/b", "-1/2", "0/0", 3])
def test_a_shard_that_is_none(shard):
    with pytest.raises(FewshotError, match="--shard: expected I/N"):
        Extraction(shard=shard)


def test_another_process_finishes_the_bank_meanwhile(describe, run):
    """Its chunks are gone; they are not extracted again, and nothing is left behind."""
    run()
    folder = next(Path("banks").glob("*/bank.json")).parent
    dataset, backbone = describe()
    how = Extraction(precision="float32", batch_size=8, threads=1)
    late = extract.Extractor(folder, dataset, backbone, Choice(how))
    assert late.missing() == []
    late.run()
    assert len(run()) == 48


def test_banks_whose_names_have_dots_have_locks_of_their_own(run):
    run(name="net.v1")
    run(name="net.v2", version=2)
    assert len(list(Path("banks").glob("*.lock"))) == 2


def fail_writing(monkeypatch, after, code):
    """Let `after` batches be written, then fail as a full disk does."""
    count = iter(range(10**6))
    save = chunks.atomic_path

    def full(path):
        if next(count) >= after:
            raise OSError(code, os.strerror(code))
        return save(path)

    monkeypatch.setattr(chunks, "atomic_path", full)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EFBIG, "larger than a limit"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only"),
        (errno.ENOLCK, "no file locks"),
    ],
)
def test_a_disk_that_takes_no_more(run, encoded, monkeypatch, code, words):
    with monkeypatch.context() as patch:
        fail_writing(patch, 3, code)  # the plan is the first
        with pytest.raises(FewshotError, match=rf"paths\.cache: cannot write to banks: .*{words}"):
            run()
    assert banks() == []
    encoded.clear()
    bank = run()
    assert sum(encoded) == 48 - 16  # what was finished before is kept
    assert np.isfinite(bank.features).all()


def test_a_disk_that_is_full_indeed(describe, workplace):
    disk = workplace / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("may not mount a small file system")
    try:
        dataset, backbone = describe()
        how = Extraction(precision="float32", batch_size=4, threads=1)
        (disk / "ballast").write_bytes(b"x" * 4096)
        with pytest.raises(
            FewshotError, match=r"paths\.cache: cannot write to .*: the disk is full"
        ):
            open_or_extract(dataset, backbone, disk, how)
        assert not list(disk.glob("*/bank.json"))
        subprocess.run(["mount", "-o", "remount,size=1m", str(disk)], check=True)
        bank = open_or_extract(dataset, backbone, disk, how)
        assert len(bank) == 48
        del bank
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_cache_that_is_a_file(run, workplace):
    (workplace / "banks").touch()
    with pytest.raises(FewshotError, match=r"paths\.cache: cannot write to banks"):
        run()


def test_features_that_are_not_finite(run, tiny_net):
    text = tiny_net.read_text()
    tiny_net.write_text(text.replace("means @ self.map", "means @ self.map / 0"))
    with pytest.raises(FewshotError, match=r"backbone: .* not finite as float32.*'class_0/0.png'"):
        run()
    sys.modules.pop("tiny_net")
    tiny_net.write_text(text.replace("means @ self.map", "means @ self.map * 1e6  "))
    with pytest.raises(FewshotError, match=r"float16.*Set features\.dtype=float32"):
        run(dtype="float16", version=2)
    assert run(version=2).features.max() > 65504
    assert len(banks()) == 1


def test_unreadable_images_stop_or_are_recorded(run, photos):
    (photos / "class_1" / "3.png").write_bytes(b"no image")
    (photos / "class_4" / "0.png").unlink()
    (photos / "class_4" / "0.png").symlink_to("nowhere")
    with pytest.raises(FewshotError, match=r"cannot read image 'class_1/3.png': not a JPEG.*skip"):
        run()
    assert banks() == []
    bank = run("skip")
    assert len(bank) == 46
    assert bank.info["skipped"] == [
        {"row": 11, "path": "class_1/3.png", "reason": bank.info["skipped"][0]["reason"]},
        {"row": 32, "path": "class_4/0.png", "reason": "No such file or directory"},
    ]
    assert "class_1/3.png" not in bank.paths
    assert np.bincount(bank.labels).tolist() == [8, 7, 8, 8, 7, 8]
    # What was skipped once is not passed over silently by a run that should complain.
    with pytest.raises(FewshotError, match=r"'class_1/3.png' \(and 1 more\)"):
        run()
    assert len(run("skip")) == 46


def test_an_image_that_can_be_read_later_is_not_skipped_for_ever(run, photos, encoded, monkeypatch):
    """A plug-in that is installed, or a limit that is raised, changes no image and so no key."""
    Image.new("RGB", (99, 99)).save(photos / "class_1" / "3.png")
    (photos / "class_4" / "0.png").write_bytes(b"no image")
    monkeypatch.setenv("FEWSHOT_MAX_PIXELS", "9000")
    bank = run("skip")
    large, damaged = bank.info["skipped"]
    assert (large["row"], damaged["row"], len(bank)) == (11, 32, 46)
    assert "FEWSHOT_MAX_PIXELS to 9801" in large["remedy"] and "remedy" not in damaged
    with pytest.raises(FewshotError, match=r"FEWSHOT_MAX_PIXELS to 9801 or more, or set dataset"):
        run()
    count = len(encoded)
    assert len(run("skip")) == 46 and len(encoded) == count  # as nothing has changed
    monkeypatch.delenv("FEWSHOT_MAX_PIXELS")
    again = run("skip")
    assert [failure["row"] for failure in again.info["skipped"]] == [32]
    assert (len(again), again.paths[11], len(banks())) == (47, "class_1/3.png", 1)


def test_rows_after_a_skipped_image_are_in_their_place(run, photos):
    whole = run()
    (photos / "class_0" / "2.png").write_bytes(b"")
    skipped = run("skip")
    keep = [i for i, path in enumerate(whole.paths) if path != "class_0/2.png"]
    assert np.allclose(skipped.features, whole.features[keep], atol=1e-6)
    assert tuple(skipped.paths) == tuple(whole.paths[i] for i in keep)


def test_no_image_at_all_can_be_read(run, photos):
    for path in photos.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(FewshotError, match=r"'class_0/0.png' \(and 47 more\): no image"):
        run("skip")
    assert banks() == []


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("features.npy", lambda path: path.write_bytes(path.read_bytes()[:500])),
        ("features.npy", lambda path: path.unlink()),
        ("features.npy", lambda path: np.save(path, np.zeros((3, 12), np.float32))),
        ("labels.npy", lambda path: path.write_bytes(b"")),
        ("labels.npy", lambda path: path.unlink()),
        ("paths.arrow", lambda path: path.unlink()),
        ("bank.json", lambda path: path.write_text("{")),
        ("bank.json", lambda path: path.write_text("[]")),
        ("bank.json", lambda path: path.write_text("{}")),
        ("bank.json", lambda path: path.write_text('{"classnames": 3, "paths": 4}')),
    ],
)
def test_a_damaged_bank_is_named_and_can_be_deleted(run, file, damage):
    run()
    (folder,) = [path.parent for path in Path("banks").glob("*/bank.json")]
    damage(folder / file)
    with pytest.raises(FewshotError, match=rf"feature bank {folder} cannot be read.*Delete that"):
        run()
    shutil.rmtree(folder)
    assert len(run()) == 48


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("plan.json", "{"),
        ("plan.json", '{"foo": 1}'),
        ("chunk_000001.npz", "PK"),
        ("chunk_000001.npz", "PK\3\4 and no more of it"),
    ],
)
def test_a_damaged_chunk_is_named(run, monkeypatch, file, content):
    with monkeypatch.context() as patch:
        fail_writing(patch, 5, errno.ENOSPC)
        with pytest.raises(FewshotError):
            run()
    (partial,) = Path("banks").glob("*.partial")
    (partial / file).write_text(content)
    with pytest.raises(FewshotError, match=rf"unfinished feature bank {partial} cannot be read"):
        run()
    shutil.rmtree(partial)
    assert len(run()) == 48
    assert leftovers() == []


def test_file_names_are_read_when_asked_for(run, photos):
    bank = run()
    folder = next(Path("banks").glob("*/bank.json")).parent
    assert bank.paths[3] == "class_0/3.png"
    assert bank.paths[-1] == "class_5/7.png"
    assert bank.paths[1:3] == ("class_0/1.png", "class_0/2.png")
    with pytest.raises(IndexError):
        bank.paths[48]
    again = run()
    (folder / "paths.arrow").write_bytes(b"ARROW1")
    assert len(again.paths) == 48
    with pytest.raises(FewshotError, match=r"file names .* cannot be read"):
        again.paths[0]


def test_a_subset_by_image_goes_with_the_rows(describe, photos):
    (photos / "class_1" / "3.png").write_bytes(b"no image")
    dataset, backbone = describe()
    subset = np.array(["train", "test"] * 24)
    dataset = replace(dataset, subset=subset)
    bank = open_or_extract(dataset, backbone, Path("banks"), Extraction(on_error="skip"))
    assert bank.subset.tolist() == np.delete(subset, 11).tolist()

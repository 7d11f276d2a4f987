"""Dense features on disk: what is extracted, what is read, what is damaged or half written."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fewshot.backbones.base import Backbone, DenseEncoder
from fewshot.backbones.transform import Transform
from fewshot.cli import bank as command
from fewshot.datasets.files import load_files
from fewshot.exceptions import FewshotError
from fewshot.features import catalogue
from fewshot.tasks.segmentation.dense.bank import DenseBank
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures

CACHE = Path("cache/features")


class Counting(Backbone):
    """The pixels themselves, times a factor; counts how often it runs."""

    name, feature, weights_digest = "counting", "pooled", "0"
    transform = Transform(mean=(0.0,) * 3, std=(1.0,) * 3)

    def __init__(self, factor=1.0):
        self.factor, self.runs = factor, 0

    def weights_file(self):
        raise NotImplementedError

    def load(self, device):
        raise NotImplementedError

    def architecture(self):
        return {"counting": self.factor}

    def load_dense(self, device, layers="multilayer"):
        def encode(images):
            self.runs += 1
            return [images * self.factor]

        return DenseEncoder(encode, 1, (1,), (3,), 1)


@pytest.fixture
def photographs(workplace):
    folder = Path("photographs")
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i, shape in enumerate([(4, 6, 3), (5, 3, 3), (7, 7, 3)]):
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


def bank_of(photographs, factor=1.0, **settings):
    backbone = Counting(factor)
    features = DenseFeatures(backbone, settings.pop("size", "native"), **settings)
    return DenseBank(CACHE, features, load_files([photographs])), backbone


def grids_of(bank):
    return sorted(bank.folder.glob("*.npy"))


def test_what_is_there_is_not_extracted_again(photographs):
    bank, backbone = bank_of(photographs)
    assert bank.ensure([0, 2, 0]) == 2
    assert bank.ensure([0, 1], threads=2) == 1
    again, other = bank_of(photographs)
    assert again.folder == bank.folder
    assert again.ensure(range(3)) == 0
    assert (backbone.runs, other.runs) == (3, 0)


def test_tokens_are_those_of_the_network_as_float16(photographs):
    bank, _ = bank_of(photographs)
    for row in range(3):
        stored = bank.tokens(row)
        direct = bank.features.tokens(bank.dataset.read(row))
        assert stored[1:] == direct[1:]
        assert stored.features.dtype == torch.float32
        assert torch.equal(stored.features, direct.features.half().float())
    assert all(np.load(path).dtype == np.float16 for path in grids_of(bank))


def test_values_beyond_float16_are_kept_as_float32(photographs):
    bank, _ = bank_of(photographs, factor=1e6)
    stored, direct = bank.tokens(0), bank.features.tokens(bank.dataset.read(0))
    assert float(direct.features.max()) > 65504  # float16's largest
    assert torch.equal(stored.features, direct.features)


@pytest.mark.parametrize("damage", ["torn", "empty", "other", "wrong shape", "gone"])
def test_damaged_files_are_extracted_again(photographs, damage):
    bank, _ = bank_of(photographs)
    before = [bank.tokens(row).features for row in range(3)]
    path = grids_of(bank)[1]
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:-7])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other":
        path.write_bytes(b"not an array of numbers")
    elif damage == "wrong shape":
        np.save(path, np.zeros((2, 2, 5), np.float16))
    else:
        path.unlink()
    fresh, backbone = bank_of(photographs)
    assert len(fresh.missing(range(3))) == 1
    after = [fresh.tokens(row).features for row in range(3)]
    assert all(map(torch.equal, before, after))
    assert backbone.runs == 1
    assert fresh.ensure(range(3)) == 0


def test_other_settings_and_other_images_have_other_files(photographs):
    bank, _ = bank_of(photographs)
    bank.ensure(range(3))
    assert bank_of(photographs, factor=2.0)[0].folder != bank.folder
    assert bank_of(photographs, size="short:5")[0].folder != bank.folder
    changed = np.asarray(Image.open(photographs / "1.png")).copy()
    changed[0, 0] ^= 255
    Image.fromarray(changed).save(photographs / "1.png")
    fresh, backbone = bank_of(photographs)
    assert fresh.ensure(range(3)) == 1
    assert backbone.runs == 1
    assert fresh.tokens(1).features[0].tolist() == pytest.approx(
        (changed[0, 0] / 255).tolist(), abs=1e-3
    )


def test_images_that_are_no_files_are_known_by_their_pixels(photographs):
    bank, _ = bank_of(photographs)
    object.__setattr__(bank.dataset, "digests", None)
    assert bank.ensure(range(3)) == 3
    fresh, backbone = bank_of(photographs)
    object.__setattr__(fresh.dataset, "digests", None)
    assert fresh.ensure(range(3)) == 0
    assert backbone.runs == 0


def test_what_is_finished_survives_an_error(photographs):
    bank, _ = bank_of(photographs)
    read = bank.dataset.read

    def failing(row):
        if row == 2:
            raise FewshotError("dataset", "torn")
        return read(row)

    object.__setattr__(bank.dataset, "read", failing)
    with pytest.raises(FewshotError, match="torn"):
        bank.ensure(range(3))
    assert len(grids_of(bank)) == 2
    assert not list(bank.folder.glob(".*"))
    assert bank_of(photographs)[0].ensure(range(3)) == 1


def test_what_a_killed_process_left_half_written_goes(photographs):
    bank, _ = bank_of(photographs)
    bank.ensure([0])
    partial = bank.folder / f".{grids_of(bank)[0].name}.999999999.beef.partial"
    partial.write_bytes(b"half")
    os.utime(partial, (0, 0))
    bank.ensure([0])
    assert not partial.exists()


def test_a_folder_that_cannot_be_written_is_named(photographs):
    CACHE.parent.mkdir()
    CACHE.write_text("a file")
    with pytest.raises(FewshotError, match=r"paths\.cache: cannot write to"):
        bank_of(photographs)[0].ensure([0])


def test_the_command_lists_checks_and_removes_it(photographs, capsys):
    bank, _ = bank_of(photographs)
    bank.ensure(range(3))
    where = ["--cache", str(CACHE.parent)]
    assert command.main(["list", *where]) == 0
    assert "counting (dense) features of query: 3 x 3 float16" in capsys.readouterr().out
    assert command.main(["list", "--json", *where]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert (facts["images"], facts["dim"], facts["state"]) == (3, 3, "ready")
    assert facts["bytes"] == sum(path.stat().st_size for path in bank.folder.iterdir())
    assert command.main(["show", "dense-", *where]) == 0
    assert json.loads(capsys.readouterr().out)["note"]["causes"] == bank.causes
    with pytest.raises(FewshotError, match="grids of dense features"):
        command.main(["export", "dense-", "--output", "x.npz", *where])
    assert command.main(["verify", *where]) == 0
    torn = grids_of(bank)[0]
    torn.write_bytes(torn.read_bytes()[:-1])
    assert command.main(["verify", *where]) == 2
    assert torn.name in capsys.readouterr().out
    assert command.main(["gc", "dense-", *where]) == 0
    assert not bank.folder.exists()


def test_unused_and_damaged_ones_can_go(photographs):
    bank, _ = bank_of(photographs)
    bank.ensure([0])
    assert list(catalogue.leftovers(CACHE, 0, 1)) == []
    for path in (bank.folder, *bank.folder.iterdir()):
        os.utime(path, (0, 0))
    assert [entry.folder for entry in catalogue.leftovers(CACHE, 0, 1)] == [bank.folder]
    bank.ensure([0])  # counts as used
    assert list(catalogue.leftovers(CACHE, 0, 1)) == []
    (bank.folder / "grids.json").write_text("{")
    assert [entry.state for entry in catalogue.leftovers(CACHE, 0, None)] == ["damaged"]
    (bank.folder / "holiday.jpg").touch()
    assert list(catalogue.leftovers(CACHE, 0, None)) == []

"""Mapped rows: the same numbers, and no more of the file than is needed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fewshot.features.bank import FeatureBank
from fewshot.features.mapping import expect_scattered_rows

READS = """\
import json, os, sys
import numpy as np, torch
from pathlib import Path
from fewshot.features.bank import FeatureBank
from fewshot.features.mapping import expect_scattered_rows

def read():
    return int(Path("/proc/self/io").read_text().split("\\nread_bytes:")[1].split()[0])

with open("f.npy", "rb") as file:
    os.fsync(file.fileno())
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
features = np.load("f.npy", mmap_mode="c")
expect_scattered_rows(features)
bank = FeatureBank(features, np.zeros(len(features), np.int64), ("a",))
told = []
rows = torch.arange(0, len(features), 200)
for wanted in (rows[:10], rows, torch.arange(5000, 10000)):
    before = read()
    total = float(bank.take(wanted).sum())
    told.append([len(wanted), read() - before, total])
print(json.dumps(told))
"""


@pytest.fixture
def mapped(workplace):
    """20,000 rows of 1 kB."""
    rows = np.random.default_rng(0).normal(size=(20_000, 256)).astype(np.float32)
    np.save("f.npy", rows)
    return rows


def test_rows_are_those_of_the_file(mapped):
    features = np.load("f.npy", mmap_mode="c")
    expect_scattered_rows(features)
    bank = FeatureBank(features, np.zeros(len(features), np.int64), ("a",))
    for rows in (torch.arange(20_000), torch.tensor([3, 19_999, 0]), torch.arange(0, 20_000, 150)):
        assert np.array_equal(bank.take(rows).numpy(), mapped[rows.numpy()])
    part = bank.take_rows(np.arange(10_000, 20_000))  # not mapped any more
    assert np.array_equal(part.take(torch.arange(1000)).numpy(), mapped[10_000:11_000])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="Linux tells what was read")
def test_scattered_rows_do_not_read_the_file(mapped, forks, workplace):
    done = forks(code=READS, folder=workplace)
    assert done.code == 0, done.stderr
    readings = json.loads(done.stdout)
    if not any(read for _, read, _ in readings):
        pytest.skip("the file system keeps files in memory")
    for count, read, _ in readings[:2]:
        assert read <= 3 * 4096 * count  # a page or two each
    assert readings[2][1] <= 1.2 * 5000 * 1024
    assert readings[2][2] == pytest.approx(float(mapped[5000:10_000].sum()), rel=1e-2)

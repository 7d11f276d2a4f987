"""Files of users before they are read, and what stands at the path of an output."""

import os
from pathlib import Path

import pytest

from fewshot.exceptions import FewshotError
from fewshot.files import (
    atomic_path,
    file_to_write,
    path_error,
    path_of,
    regular_file,
    writing,
)


def test_a_file_and_a_link_to_one(tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert regular_file("x", tmp_path / "b") == tmp_path / "b"


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path, "a folder"), (tmp_path / "pipe", "a pipe"),
                       (Path("/dev/zero"), "a device")):  # fmt: skip
        with pytest.raises(FewshotError, match=f"x: expected a file, got {kind}: "):
            regular_file("x", path)


def test_a_file_that_is_too_large(tmp_path):
    (tmp_path / "a.json").touch()
    os.truncate(tmp_path / "a.json", 10_000_000_000)  # a hole, which takes no room
    with pytest.raises(FewshotError, match=r"at most 1\.1 GB, got 10\.0 GB: .*a\.json'"):
        regular_file("x", tmp_path / "a.json")
    assert regular_file("x", tmp_path / "a.json", largest=None)


def test_nothing_there_is_left_to_the_reader(tmp_path):
    with pytest.raises(FileNotFoundError):
        regular_file("x", tmp_path / "none")


@pytest.mark.parametrize(
    ("path", "words"),
    [("x" * 300, "File name too long"), ("a\0b", "NUL"), ("loop", "symbolic links"),
     ("file/b", "Not a directory"), ("none", "No such file")],
)  # fmt: skip
def test_paths_that_cannot_be_used(tmp_path, path, words):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises((OSError, ValueError)) as raised:
        (tmp_path / path).open()
    known = path_error(raised.value)
    assert words in str(known)
    assert str(known).isprintable()


def test_links_to_outputs_stay(tmp_path):
    """A report goes where a link leads; `/dev/stdout` is a link that nobody means to lose."""
    (tmp_path / "real.csv").write_text("old")
    for name, target in (("a.csv", "real.csv"), ("b.csv", "a.csv"), ("c.csv", "new/none.csv")):
        (tmp_path / name).symlink_to(target)
    assert file_to_write("--output", tmp_path / "b.csv") == (tmp_path / "real.csv").resolve()
    assert file_to_write("--output", tmp_path / "c.csv") == tmp_path.resolve() / "new" / "none.csv"
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(FewshotError, match="symbolic links"):
        file_to_write("--output", tmp_path / "loop")
    with pytest.raises(FewshotError, match="another file than those read"):
        file_to_write("--output", tmp_path / "b.csv", [tmp_path / "real.csv"])
    (tmp_path / "devices").symlink_to("/dev")
    for path in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/../dev/stderr",
                 tmp_path / "devices" / "stdout"):  # fmt: skip
        with pytest.raises(FewshotError, match="got a device or a pipe"):
            file_to_write("--output", path)


def test_folders_without_permission_are_noticed_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda place, mode: place != tmp_path)
    with pytest.raises(FewshotError, match=r"--output: cannot write to .*permission denied in "):
        file_to_write("--output", tmp_path / "new" / "x.csv")


def test_names_that_are_not_utf_8(tmp_path):
    with pytest.raises(OSError) as raised:
        (tmp_path / os.fsdecode(b"caf\xe9")).open()
    assert "caf\\\\xe9" in str(path_error(raised.value))


def test_other_errors_are_not_of_a_path():
    assert path_error(ValueError("x")) is None
    assert path_error(FewshotError("a", "b")) is None
    assert path_error(OSError(5, "Input/output error")) is None  # of no file


@pytest.mark.parametrize("value", [3, 1e400, True, [], {}, "", None, "~nobody-of-that-name/x"])
def test_what_is_no_path(value):
    with pytest.raises(FewshotError, match=r"episodes\.path: "):
        path_of("episodes.path", value)


def test_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert path_of("x", "~/a") == Path("/home/somebody/a")


def test_a_device_or_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(FewshotError, match="--output: cannot write"),
        writing("--output", tmp_path / "pipe"),
        atomic_path(tmp_path / "pipe") as partial,
    ):
        partial.write_text("x")
    assert (tmp_path / "pipe").is_fifo()

"""Files of users, checked before they are read; atomic writing; digests of content."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from fewshot.exceptions import FewshotError, shown
from fewshot.file_kinds import kind_of
from fewshot.hardware import available_cores
from fewshot.progress import counted_work
from fewshot.units import size

# Bytes of JSON, YAML, CSV and text: a list of ten million images has half of it.
LARGEST_TEXT = 1 << 30
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def regular_file(argument: str, path: Path, largest: int | None = LARGEST_TEXT) -> Path:
    """Return `path` if it is a regular file, or a link to one.

    Whoever opens a pipe waits for its other end, and a device may have no end: files of users are
    checked here before they are read.

    Parameters
    ----------
    argument : str
        For errors.
    path : Path
    largest : int, optional
        Bytes that the file may have; None for any.

    Raises
    ------
    FewshotError
        Something else than a file, or a file that is too large.
    OSError
        Nothing there, and whatever else keeps it from being opened.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        what = next((name for kind, name in KINDS if kind(status.st_mode)), "something else")
        remedy = "" if what == "a folder" else "Write its content to a file first."
        raise FewshotError(argument, f"expected a file, got {what}: {_quoted(path)}", remedy)
    if largest is not None and status.st_size > largest:
        raise FewshotError(
            argument,
            f"expected a file of at most {size(largest)}, got {size(status.st_size)}: "
            f"{_quoted(path)}",
        )
    return path


WITH_NUL = "expected a path, got one with a NUL character"
# Kinds of files that a report or a table may replace, as `kind_of` begins to name them: others are
# images, arrays and the like, which nobody means to lose.
REPLACEABLE = ("an HTML page", "a text file", "a JSON file", "an empty file")


def file_to_write(
    argument: str,
    value: object,
    inputs: Iterable[object] = (),
    example: str = "NAME",
    replaceable: Sequence[str] = REPLACEABLE,
    what: str = "a text",
) -> Path:
    """The place of a report or a table: where nothing is yet, or a text that it may replace.

    Checked before the work is done. Folders above it need not exist. Of a link it is the file that
    the link leads to, which need not exist either: the link stays.

    Parameters
    ----------
    argument : str
        For errors.
    value : str or PathLike
    inputs : iterable
        Paths that are read, which it must not be; anything else among them is passed over.
    example : str
        A name, for errors.
    replaceable : sequence of str
        Kinds of files that it may replace, as `kind_of` begins to name them.
    what : str
        What these are, for errors.

    Raises
    ------
    FewshotError
        No path, a folder or a device, a file of a folder that is none, one of the inputs, or a
        file of another kind, as an image.
    """
    path = path_of(argument, value)
    try:
        if path.is_dir():
            remedy = f"Name a file in it: {path / example}"
            raise FewshotError(argument, f"expected a file, got a folder: {path}", remedy)
        if _of_system(path) or (path.exists() and not path.is_file()):
            raise FewshotError(argument, f"expected a file, got a device or a pipe: {path}")
        path = _without_links(path)
        above = next(folder for folder in path.absolute().parents if folder.exists())
        if not above.is_dir():
            raise FewshotError(argument, f"cannot write to {path}: {above} is a file, not a folder")
        if not os.access(above, os.W_OK | os.X_OK):  # as files are written beside and renamed
            problem = f"cannot write to {path}: permission denied in {above}"
            raise FewshotError(argument, problem, "Name a file in another folder.")
        paths = [Path(entry) for entry in inputs if isinstance(entry, str | os.PathLike)]
        if path.exists() and any(path.samefile(read) for read in paths if exists(read)):
            raise FewshotError(argument, f"expected another file than those read, got {path}")
    except OSError as error:  # a name that is too long, a link to itself
        raise path_error(error, argument, path) or error from None
    kind = kind_of(path)
    if kind is not None and not kind.startswith(tuple(replaceable)):
        there = kind.partition(" (")[0]
        problem = f"expected a new file, or {what} to replace, got {there}: {path}"
        raise FewshotError(argument, problem, "Name another file.")
    return path


def _of_system(path: Path) -> bool:
    """Whether the system makes what is in the folder, as ``/dev/stdout``: not to be replaced."""
    folder = os.path.realpath(path.parent)
    return folder == "/dev" or folder.startswith(("/proc/", "/sys/"))


def _without_links(path: Path) -> Path:
    """The file that a link leads to; `path` itself where it is no link.

    Raises
    ------
    OSError
        The link leads to itself.
    """
    if not path.is_symlink():
        return path
    with suppress(FileNotFoundError):
        path.stat()
    return Path(os.path.realpath(path))


def path_of(argument: str, value: object) -> Path:
    """Return a path that a user wrote, with ``~`` for a home folder.

    Raises
    ------
    FewshotError
        No text, an empty one, one with a NUL character, or the home folder of nobody.
    """
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise FewshotError(argument, f"expected a path, got {shown(value)}")
    if "\0" in str(value):
        raise FewshotError(argument, WITH_NUL)
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise path_error(error, argument) or error from None


def exists(path: str | Path) -> bool:
    """Whether there is something at `path`; False for names that no file can have."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long, or a zero byte
        return False


def path_error(
    error: BaseException, argument: str = "path", path: object = None
) -> FewshotError | None:
    """The error for a path that cannot be used; None if `error` is another one.

    Nothing there, too long a name, a link to itself, a folder that may not be entered, a NUL
    character in it, or the home folder of nobody (``~name``).
    """
    if isinstance(error, FewshotError):
        return None
    place = getattr(error, "filename", None) if path is None else path
    if isinstance(error, OSError) and error.errno in UNUSABLE and place is not None:
        return FewshotError(argument, f"cannot use {_quoted(place)}: {error.strerror}")
    if isinstance(error, ValueError) and "embedded null" in str(error):
        return FewshotError(argument, WITH_NUL)
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return FewshotError(argument, "there is no home folder for a path that begins with ~")
    return None


# Reasons for which a path of a user cannot be used, in the system's words.
UNUSABLE = frozenset({
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG,
    errno.ELOOP, errno.EROFS, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.EIO, errno.EINVAL,
})  # fmt: skip


def _quoted(path: object) -> str:
    """A path between quotes, in printable characters, cut where it is long."""
    text = os.fsencode(str(path)).decode("utf-8", "backslashreplace").replace("\0", "\\0")
    return shown(text)


def plain_name(name: str, longest: int = 120) -> str:
    """Return `name` with the characters that a file system may refuse replaced by ``_``."""
    return re.sub(r"[^\w.,=-]+", "_", name)[:longest]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which is renamed to `path` on success.

    For a file or a folder. On any error the partial one is removed, and with it folders that were
    made for it, and `path` is left unchanged. A device or a pipe is not replaced.

    Raises
    ------
    FileExistsError
        There is something at `path` that is neither a file nor a folder.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise FileExistsError(errno.EEXIST, "it is neither a file nor a folder", str(path))
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.partial")
    with new_folder(path.parent):
        try:
            yield partial
            partial.replace(path)
        finally:
            if partial.is_dir():
                shutil.rmtree(partial, ignore_errors=True)
            else:
                partial.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[None]:
    """Create a folder with its parents; on any error remove those that were created and are empty.

    Raises
    ------
    OSError
        It cannot be created.
    """
    missing = missing_folders(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        remove_empty(missing)
        raise


def missing_folders(path: Path) -> list[Path]:
    """Return those of a folder and its parents that do not exist, the deepest first."""
    path = path.absolute()
    return [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders, of which each is in the next one, as far as they are empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except FileNotFoundError:  # never created
            continue
        except OSError:  # not empty
            return


@contextmanager
def claimed(path: Path) -> Iterator[Path]:
    """Create an empty folder for this process only: `path`, or `path` with a number appended.

    A folder that is still empty at the end, as after an error, is removed.
    """
    for number in itertools.count(1):
        folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
    try:
        yield folder
    finally:
        with suppress(OSError):  # not empty
            folder.rmdir()


@contextmanager
def writing(setting: str, path: Path) -> Iterator[None]:
    """Raise FewshotError for operating system errors: a full disk, a missing permission, ..."""
    reasons = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EFBIG: "the file is larger than a limit (ulimit -f) or the file system allows",
        errno.EACCES: "permission denied",
        errno.EPERM: "permission denied",
        errno.EROFS: "the file system is read-only",
        errno.ENOTDIR: "a part of the path is a file, not a folder",
        errno.ENOENT: "there is no such folder, and it cannot be made",
        errno.EEXIST: "a file of that name is in the way",
        errno.EISDIR: "a folder of that name is in the way",
        errno.ENAMETOOLONG: "the name is too long",
        errno.ENOLCK: "the file system has no file locks",
        errno.EOPNOTSUPP: "the file system has no file locks",
    }
    try:
        yield
    except OSError as error:
        if error.errno not in reasons:
            raise
        raise FewshotError(
            setting,
            f"cannot write to {path}: {reasons[error.errno]}",
            f"Free some space or point {setting} to another folder.",
        ) from error


# Seconds after which a partial folder of a killed process counts as abandoned.
ABANDONED = 3600


def forget_abandoned(partial: Path) -> None:
    """Remove a partial file or folder whose writing process was killed."""
    with suppress(OSError):
        if not _abandoned(partial):
            return
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink()


def _abandoned(partial: Path) -> bool:
    """Whether a partial file or folder is old and its writing process is gone.

    Clocks jump, and differ among machines: a time in the future counts as one in the past.
    """
    age = abs(time.time() - partial.stat().st_mtime)
    return age > ABANDONED and not _alive(partial.name.split(".")[-3])


def _alive(process: str) -> bool:
    """Whether a process of that id exists; only on POSIX, as ``os.kill`` ends it elsewhere."""
    if os.name != "posix" or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no number of a process
        return True
    return True


UNREADABLE = "unreadable"  # in place of a digest; reading the content raises later


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, or ``UNREADABLE``."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return UNREADABLE


def file_digests(paths: Sequence[Path], cache: Path | None = None) -> list[str]:
    """Return the SHA-256 of every file.

    With a `cache` file, a digest is stored together with the file's size and its times of
    modification and of change, and is computed again when any of them differs. The cache only
    saves time: it may be absent, damaged or unwritable.
    """
    remembered = _load(cache)
    stamps = [_stamp(path) for path in paths]
    digests = [
        remembered.get(str(path), {}).get(stamp) for path, stamp in zip(paths, stamps, strict=True)
    ]
    missing = [i for i, digest in enumerate(digests) if digest is None]
    if missing:
        with ThreadPoolExecutor(min(8, available_cores() + 1)) as pool:
            fresh = pool.map(file_digest, [paths[i] for i in missing])
            for i, digest in zip(
                counted_work(missing, "reading files", "files"), fresh, strict=True
            ):
                digests[i] = digest
        if cache is not None:
            rows = zip(paths, stamps, digests, strict=True)
            table = {str(path): {s: d} for path, s, d in rows if d != UNREADABLE}
            with suppress(OSError), atomic_path(cache) as partial:
                partial.write_text(json.dumps(table), encoding="utf-8", errors="surrogatepass")
    return [digest for digest in digests if digest is not None]


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:  # a dangling link
        return UNREADABLE
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def _load(cache: Path | None) -> dict[str, dict[str, str]]:
    if cache is None:
        return {}
    try:
        table = json.loads(cache.read_text(encoding="utf-8", errors="surrogatepass"))
    except (OSError, ValueError):
        return {}
    fine = isinstance(table, dict) and all(isinstance(entry, dict) for entry in table.values())
    return table if fine else {}

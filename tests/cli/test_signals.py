"""What signals do to the command line, at any moment: its exit code, and no traceback."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

START = """
import os, signal, sys, time
from fewshot import signals
from fewshot.cli import main as program
def kill(name, wait=0.0):
    time.sleep(wait)
    os.kill(os.getpid(), getattr(signal, name))
def swallow(name):
    try:
        kill(name)
    except BaseException:
        pass
class Lost:
    def __del__(self):
        kill("SIGTERM")
def work(arguments):
    {work}
    print("done")
    return 0
program._dispatch = work
sys.exit(program.main([]))
"""


def ended(work, **options):
    """Exit code and lines on standard error of a command that does `work`."""
    done = subprocess.run(
        [sys.executable, "-c", START.format(work=work)],
        capture_output=True, text=True, timeout=60, check=False, **options,
    )  # fmt: skip
    assert "done" not in done.stdout or done.returncode == 0
    return done.returncode, [line for line in done.stderr.splitlines() if line]


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_the_exit_code_is_that_of_the_signal(name, code):
    line = "fewshot: interrupted. Features extracted so far are kept."
    assert ended(f"kill({name!r})") == (code, [line])


@pytest.mark.parametrize(
    "work",
    [
        "Lost()",  # Python prints such an exception and goes on
        "signals.GRACE = 0.1; swallow('SIGTERM'); time.sleep(30)",
        "swallow('SIGTERM'); kill('SIGTERM', signals.SAME)",
        "swallow('SIGTERM'); raise ImportError('initialization failed')",
        "swallow('SIGTERM'); raise program.FewshotError('a', 'b')",
    ],
    ids=["lost", "swallowed", "twice", "turned into another", "into one of ours"],
)
def test_an_exception_that_a_library_swallows_delays_the_end_and_no_more(work):
    code, lines = ended(work)
    assert code == 143
    assert len(lines) <= 1, lines


def test_a_signal_during_an_import_is_no_import_error(tmp_path):
    (tmp_path / "late.py").write_text("import __main__\n__main__.kill('SIGINT')\n")
    work = "sys.path.insert(0, '.')\n    try:\n        import late\n    except BaseException: pass"
    assert ended(work, cwd=tmp_path) == (130, ["fewshot: interrupted."])


def test_what_is_sent_twice_at_once_counts_once():
    """`timeout` sends its signal to the process and to the process's group."""
    work = "try:\n        kill('SIGTERM')\n    finally:\n        kill('SIGTERM'); print('closed')"
    code, lines = ended(work)
    assert code == 143
    assert len(lines) == 1


def test_an_ignored_signal_stays_ignored():
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    assert ended("kill('SIGHUP')", **ignoring) == (0, [])


@pytest.mark.parametrize("wait", [0.2, 0.8, 1.6])
def test_from_the_first_moment_of_a_sweep(process, feature_settings, wait):
    child = process("-m", *feature_settings, "episodes.count=200000", "seed=0,1")
    time.sleep(wait)
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=60)
    assert child.returncode in (143, -signal.SIGTERM)  # the latter before fewshot is imported
    assert "Traceback" not in err
    assert len(err.split("\n\n")) <= 2

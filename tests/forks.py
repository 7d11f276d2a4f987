"""Runs command lines of fewshot, each in a fork of one process that has imported what takes long.

Reads a case as a line of JSON, ``{"arguments": [...], "folder": ..., "seconds": ...}``, and answers
with a line ``{"code": ..., "stdout": ..., "stderr": ...}``; the code of a case that did not end in
time is null. A case may name folders of packages (``"path"``), variables of the environment
(``"environment"``) and the address space that it may have in bytes (``"memory"``), and may run
Python (``"code"``) in place of a command line.
"""

import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import time
from pathlib import Path

PACKAGES = [
    f"fewshot.{name}"
    for name in ("cli", "datasets", "estimators", "heads", "report", "results", "statistics",
                 "sweeps", "tasks")
]  # fmt: skip


def prepare():
    """Import what any command may need; no thread is started before a fork."""
    import matplotlib  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import scipy.stats  # noqa: F401
    import torch

    import fewshot.api
    import fewshot.cli.hydra
    import fewshot.evaluation.run  # noqa: F401

    # Else every fork would import, and without bytecode compile, what its command needs of these.
    for package in map(importlib.import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    torch.set_num_threads(1)


def run(case):
    """Run a case in a fork, which is killed with its children at the end of its time."""
    folder = Path(case["folder"])
    files = [folder / ".output", folder / ".errors"]
    child = os.fork()
    if child == 0:
        _become(case, files)
    code = _waited(child, time.monotonic() + case["seconds"])
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    return {"code": code, "stdout": texts[0], "stderr": texts[1]}


def _become(case, files):
    code = 1
    try:
        os.setsid()
        os.chdir(case["folder"])
        for stream, file in zip((1, 2), files, strict=True):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if memory := case.get("memory"):
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        sys.path[:0] = case.get("path", [])
        os.environ |= case.get("environment", {})
        try:
            code = _result(case)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            import traceback

            traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


def _result(case):
    if text := case.get("code"):
        return exec(text, {"__name__": "__main__"})
    from fewshot.cli.main import main

    return main([os.fsdecode(os.fsencode(word)) for word in case["arguments"]])


def _waited(child, end):
    while time.monotonic() < end:
        process, status = os.waitpid(child, os.WNOHANG)
        if process:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


if __name__ == "__main__":
    prepare()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)

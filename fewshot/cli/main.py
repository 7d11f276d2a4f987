"""``fewshot``: dispatch to the commands, and their exit codes."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from fewshot import __version__, signals
from fewshot.cli.arguments import is_override
from fewshot.exceptions import FewshotError, UnknownNameError
from fewshot.files import path_error
from fewshot.hardware import freed_memory_kept
from fewshot.memory import REMEDY, memory_error
from fewshot.progress import whole_command

# Commands that do not take Hydra's arguments; imported on use only.
SMALL = {
    "extract": "fewshot.cli.extract",
    "bank": "fewshot.cli.bank",
    "predict": "fewshot.cli.predict",
    "fit": "fewshot.cli.fit",
    "classify": "fewshot.cli.classify",
    "card": "fewshot.cli.card",
    "export": "fewshot.cli.export",
    "oneclass": "fewshot.cli.oneclass",
    "segment": "fewshot.cli.segment",
    "calibrate": "fewshot.cli.calibrate",
    "text": "fewshot.cli.text",
    "list": "fewshot.cli.listing",
    "report": "fewshot.cli.report",
    "results": "fewshot.cli.results",
    "reproduce": "fewshot.cli.reproduce",
    "cite": "fewshot.cli.cite",
}
# What to lower where memory runs out; for all others, that of a run.
LOWER = {
    "predict": "Give fewer images, fewer --backbone, or a lower --size.",
    "fit": "Give fewer images, fewer --backbone, or a lower --size.",
    "classify": "Give smaller images, or fewer at a time.",
    "oneclass": "Give fewer images or a lower --size.",
    "segment": "Give fewer images or a smaller --size.",
    "calibrate": "Give fewer files or lower --episodes.",
    "results": "Give fewer runs, or choose with --columns and the like.",
    "report": "Give fewer runs.",
}
FULL = (errno.ENOSPC, errno.EDQUOT)
COMMANDS = ("run", *SMALL, "help")
HELP = """\
fewshot: how well will a few-shot classifier do, and how sure is that?

Usage
  fewshot [run] [SETTING=VALUE ...]      evaluate; with no setting, on data that is built in
  fewshot --dry-run [SETTING=VALUE ...]  how long that would take, from a few images
  fewshot -m SETTING=VALUE,VALUE ...     every combination, one run each (Hydra multirun)
  fewshot -m sweep=NAME                  a ready sweep: fewshot list sweeps
  fewshot -m tune=optuna ...             hyper-parameters, chosen on base classes
  fewshot predict DIR [--query PATH ...]  your few labelled images: which error to expect
  fewshot fit DIR --output MODEL         a classifier of them as a file, with its predicted error
  fewshot classify MODEL IMAGES ...      labels by such a file, with their probabilities
  fewshot card MODEL                     what is in it: classes, error, network, licence
  fewshot export MODEL --output FILE     the same as ONNX, from images to probabilities
  fewshot oneclass CLASS IMAGES ...      which of these images show what a word names
  fewshot segment IMAGES ... --like DIR --out FOLDER   masks, from a few annotated images, or
                                         by a model: fewshot fit DIR --task segmentation
  fewshot calibrate FILE ... --output F  learn calibration from data sets of your own
  fewshot extract [SETTING=VALUE ...]    features only; --dry-run says how long it takes
  fewshot bank list|show|verify|export|gc   features on disk
  fewshot text describe|show|fit ...     descriptions of classes, and what they say of images
  fewshot list KIND [PATTERN]            backbones, datasets, episodes, heads, estimators,
                                         tasks, sweeps or loggers
  fewshot report RUN ... [--figures svg,pdf]   one report over runs: a path, latest, part of a name
  fewshot cite RUN ...                   papers to cite for runs, and a paragraph on the protocol
  fewshot results query|export|compare|published|merge|migrate ...   rows, tables for papers,
                                         published figures, stores
  fewshot reproduce RUN                  compute a run again: are its rows the same?
  fewshot --version

Examples
  fewshot                                                    EfficientNet-Lite0 on digits
  fewshot dataset=folder dataset.root=my_images              a sub-folder of images per class
  fewshot dataset=features dataset.path=bank.npz             features (M, D) and labels (M,)
  fewshot dataset=folder dataset.root=my_images backbone=dinov2_vits14
  fewshot backbone=callable backbone.target=my.module:factory
  fewshot episodes.ways=3 episodes.shots=[1,2,5] episodes.count=1000 'head=[ncm,lda]'
  fewshot task=one_class ...                                 yes or no from a class's name alone
  fewshot task=segmentation dataset=folder dataset.root=my_scenes    images/ and masks/
  fewshot task=verification 'head=[ncm,zero_shot]' ...        is it of class c? one at a time
  fewshot task=open_set 'head=[ncm,lda]' ...                  of which class is it, or of none?
  fewshot -m backbone=resnet18,dinov2_vits14 episodes.shots=1,5
  fewshot predict my_images --unlabelled camera_roll
  fewshot fit my_images --output birds.fewshot
  fewshot list backbones '*dinov2*'

Settings you may want
  dataset.split=random      half of the classes base, half novel: adds the constant baseline,
                            one-shot predictions, and calibration.source=base
  dataset.on_error=skip     pass over unreadable images, and record them
  episodes.queries=15       query images per class; all the rest by default
  episodes.min_images=drop  leave out classes with too few images
  seed=0  device=auto  threads=2  paths.runs=runs  paths.cache=DIR  paths.weights=DIR

  fewshot --cfg job         prints every setting, its value and what it means
  fewshot --hydra-help      Hydra's own options (--config-dir, --multirun, --info, ...)

Exit codes: 0 done, 1 a defect in fewshot, 2 a mistake in what was given, 3 a predicted error above
the limit of `fewshot predict --fail-above`, or other rows in `fewshot reproduce`, 129, 130 or 143
stopped by SIGHUP, Ctrl-C or SIGTERM.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # Names of files and classes may have characters that the terminal has not.
        sys.stdout.reconfigure(errors="backslashreplace")
    with signals.stopping():
        try:
            with whole_command(next((a for a in arguments[:1] if a in COMMANDS), "run")):
                return _exit_code(arguments)
        except BaseException as error:
            if not (signals.is_stopped() or isinstance(error, KeyboardInterrupt)):
                raise
        # Whatever a library has made of the exception that the signal raised.
        kept = "" if arguments[:1] == ["classify"] else " Features extracted so far are kept."
        print(f"\nfewshot: interrupted.{kept}", file=sys.stderr)
        return signals.exit_code()


def _exit_code(arguments: list[str]) -> int:
    try:
        with freed_memory_kept():  # before any thread gets its arena of the heap
            code = _dispatch(arguments)
            if sys.stdout is not None:  # None where it is closed
                sys.stdout.flush()  # a full disk is said here, not at the end of the interpreter
            return code
    except FewshotError as error:
        if signals.is_stopped():
            raise
        return _print_error(str(error))
    except BrokenPipeError:  # `fewshot list backbones | head`
        _discard_output()
        return 0
    except Exception as error:
        remedy = LOWER.get(arguments[0] if arguments else "", REMEDY)
        known = memory_error(error, remedy) or path_error(error)
        if isinstance(error, OSError) and error.errno in FULL and error.filename is None:
            _discard_output()
            known = FewshotError("stdout", "cannot write to standard output: the disk is full")
        if known is None:  # a defect
            raise
        return _print_error(str(known))


def _discard_output() -> None:
    """Send what is left to be printed nowhere, so that the interpreter does not fail at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(arguments: list[str]) -> int:
    command = arguments[0] if arguments else "run"
    if command in ("-h", "--help", "help") or (
        command == "run" and any(a in ("-h", "--help") for a in arguments)
    ):
        print(HELP, end="")
        return 0
    if command == "--version":
        print(f"fewshot {__version__}")
        return 0
    if command in SMALL:
        run_small = import_module(SMALL[command]).main
        return int(run_small(arguments[1:]))
    if command != "run" and not is_override(command):
        raise _unknown_command(command)
    from fewshot.cli.hydra import main as run

    return run(arguments[1:] if command == "run" else arguments)


def _unknown_command(word: str) -> FewshotError:
    """Return the error for a first word that is no command: often a path, or a name."""
    from fewshot.config.suggestions import stray_word

    return stray_word(word) or UnknownNameError("command", word, COMMANDS)


def _print_error(message: str) -> int:
    """Print an error of a user, without what moves the cursor: names may have anything."""
    from fewshot.report.wording import plain

    readable = message.encode(errors="backslashreplace").decode()  # file names that are not UTF-8
    print(f"fewshot: error: {plain(readable)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())

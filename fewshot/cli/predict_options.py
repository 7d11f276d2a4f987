"""Options that `fewshot predict` and `fewshot fit` share, and errors in their words."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from fewshot.cli.arguments import reworded, share
from fewshot.exceptions import FewshotError, expect

# Arguments of `fewshot.predict` that are options here.
OPTIONS = (
    "backbone", "head", "base", "unlabelled", "query", "calibrator", "level", "device", "weights",
    "size", "target", "more",
)  # fmt: skip
# Arguments of `fewshot.predict` and of what it calls that have another name here.
NAMES = {"images": "DIR", "support": "DIR", "next_labels": "--next", "task": "--task"}
SUPPORT = (
    "one sub-folder of images per class; or a .npz file of features and labels, which get unit "
    "length as those of images do"
)


def add_networks_and_heads(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is compared."""
    add = parser.add_argument
    add("-b", "--backbone", metavar="NAMES", default="efficientnet_lite0",
        help="one or more, with commas: names of `fewshot list backbones`, timm:MODEL, "
        "torchvision:MODEL/PRETRAINED, open_clip:MODEL/PRETRAINED, resnet12:FILE, "
        "callable:MODULE:FUNCTION (default: %(default)s)")  # fmt: skip
    add("--head", metavar="NAMES",
        help="one or more, with commas; `fewshot list heads` (default: ncm,lda,ridge,logistic; of "
        "segmentation pixel_lda,prototype)")  # fmt: skip


def add_unlabelled(parser: argparse.ArgumentParser) -> None:
    """Add the option for images without labels."""
    parser.add_argument(
        "--unlabelled", nargs="+", action="extend", metavar="PATH",
        help="images without labels, or folders of them at any depth, most of them of these "
        "classes: a much sharper prediction, beside the one from DIR alone, and a list of those to "
        "label next; with features, a file of features")  # fmt: skip


def add_calibration(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what predictions rest on."""
    add = parser.add_argument
    add("--base", metavar="DIR",
        help="other classes with labels, of the same kind of images: a sharper "
        "prediction")  # fmt: skip
    add("--calibrator", metavar="FILE", help="JSON of `fewshot calibrate`")
    add("--level", type=share, default=0.9, metavar="SHARE",
        help="of the interval, as 90%% or 0.9 (default: %(default)s)")  # fmt: skip


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how images are read and networks run."""
    add = parser.add_argument
    add("--strict", action="store_true",
        help="stop at images that cannot be read, instead of passing over them")  # fmt: skip
    add("--skip-unreadable", action="store_true", help=argparse.SUPPRESS)  # the default
    add("--weights", metavar="DIR", help="where weights are looked for first")
    add("--size", metavar="PIXELS", help="input of the network")
    add("--device", default="auto", help="auto, cpu, cuda ... (default: %(default)s)")


def shared_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `fewshot.predict` from the options that are shared."""
    from fewshot.evaluation.notices import OnTerminal

    strict, heads = arguments.strict, arguments.head
    expect(not (strict and arguments.skip_unreadable), "--strict",
           "expected it or --skip-unreadable, got both")  # fmt: skip
    options = {
        "backbone": names_of(arguments.backbone),
        **({} if heads is None else {"head": names_of(heads)}),
        "base": arguments.base,
        "unlabelled": arguments.unlabelled,
        "calibrator": arguments.calibrator,
        "level": arguments.level,
        "on_error": "raise" if strict else "skip",
        "device": arguments.device,
        "weights": arguments.weights,
        "size": None if arguments.size is None else integer("--size", arguments.size, "of pixels"),
        "notices": OnTerminal(),
    }
    _expect_no_masks(arguments.support)
    return options


def _expect_no_masks(folder: str) -> None:
    """Raise for images with masks, whose folders would be taken for classes."""
    from fewshot.tasks.segmentation.masks.folder import parts_of_folder

    path = Path(folder).expanduser()
    expect(
        not (path.is_dir() and parts_of_folder(path)),
        "DIR",
        f"expected one sub-folder of images per class, got a folder of images with masks: {folder}",
        "Say --task segmentation.",
    )


def in_options(
    error: FewshotError, *, path: str, strict: bool = False, settings: bool = False
) -> FewshotError:
    """An error of `fewshot.predict` and of what it calls, with options in place of arguments.

    Parameters
    ----------
    error : FewshotError
    path : str
        The option for the file that is written.
    strict : bool
        Whether the option ``--strict`` was given.
    settings : bool
        Whether settings of a run were given beside options.
    """
    skip = ", or leave out --strict" if strict else ""
    words = {", or set dataset.on_error=skip": skip, "dataset.root=": "", "dataset.root": "DIR"}
    words |= {"point path to": f"point {path} to"}
    words |= {", or set dataset.same_names=keep if they are two classes": ""}
    words |= {"estimator.auto.level": "--level", "backbone.size": "--size"}
    words |= {" or features.batch_size": ""}
    here = reworded(error, {}, words)
    argument = here.argument.removeprefix("segmentation.")
    if argument in OPTIONS:
        argument = f"--{argument}"
    # That of callable:..., timm:... and the like, which nobody set as a setting.
    if argument.startswith("backbone.") and not settings:
        argument = "--backbone"
    argument = {**NAMES, "path": path}.get(argument, argument)
    return FewshotError(argument, here.problem, here.remedy)


def names_of(text: str) -> list[str]:
    """Names between commas, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def integer(option: str, text: str, of: str = "") -> int:
    """A positive integer; `of` says what it is a number of."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 18 or int(text) == 0:
        kind = f"a number {of}" if of else "a positive integer"
        raise FewshotError(option, f"expected {kind}, got {text!r}")
    return int(text)


def file_text(target: Path, content: str, following: str) -> str:
    """The lines about a model file that was written.

    Parameters
    ----------
    target : Path
    content : str
        What is in it, in a sentence or two.
    following : str
        A command that uses the model, with ``{}`` for its name; empty if there is none.
    """
    from fewshot.report.aligned import terminal_width, wrapped_to
    from fewshot.report.wording import plain
    from fewshot.units import size

    name = plain(shlex.quote(str(target)))
    file = f"Model: {plain(target)}, {size(target.stat().st_size)}. {content}"
    lines = [*wrapped_to(file, terminal_width()), f"Its card: fewshot card {name}"]
    if following:
        lines.append(f"Next: {following.replace('{}', name)}")
    return "\n".join(lines)

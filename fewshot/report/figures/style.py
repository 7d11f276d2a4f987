"""The common style of all figures, independent of the user's matplotlibrc."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

# Okabe and Ito's colours, distinguishable with colour blindness; markers differ as well. Yellow
# and sky blue come last: on white they are faint.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("--", ":", "-.", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 3)), (0, (8, 3)))
INK, GREY, FAINT = "#1f2328", "#57606a", "#d8dee4"

STYLE: dict[str, Any] = {
    # Names of heads and estimators are text, never a formula.
    "text.parse_math": False,
    "text.usetex": False,
    "svg.fonttype": "none",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.labelcolor": GREY,
    "axes.edgecolor": "#afb8c1",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "figure.constrained_layout.h_pad": 0.09,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
}

SCREEN_DPI = 96  # of figures in notebooks


class ShownFigure(Figure):
    """A figure that notebooks show; those of matplotlib need ``%matplotlib inline`` first."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        with house_style():
            self.savefig(picture, format="png", dpi=SCREEN_DPI)
        return picture.getvalue()


@contextmanager
def house_style(salt: str = "fewshot") -> Iterator[None]:
    """Context with matplotlib's defaults and `STYLE`; the user's settings are restored after it.

    Parameters
    ----------
    salt : str
        Makes the ids within an SVG repeatable.
    """
    settings: Any = {**STYLE, "svg.hashsalt": salt}
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        # A head may be named in a script which the bundled font lacks; browsers have others.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def marker(i: int) -> Any:
    """Marker of the i-th series: once the colours come round again, it is another."""
    return nth(MARKERS, i + i // len(COLORS))


def nth(values: tuple[Any, ...], i: int) -> Any:
    """The i-th value, starting again at the end."""
    return values[i % len(values)]

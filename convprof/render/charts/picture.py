"""Charts as SVG and PNG files; needs the extra `plot` (matplotlib), imported when it is used."""

from __future__ import annotations

import importlib.util
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from convprof.atomic_files import one_line, write_bytes_atomically
from convprof.errors import InputError
from convprof.render import files

if TYPE_CHECKING:
    from convprof.render.charts.chart import Drawable

SUFFIXES = (".svg", ".png")
EXTRA = "matplotlib"
DOTS_PER_INCH = 150


def require(path: str, flag: str = "--plot") -> None:
    """Raise InputError unless a picture can be written to `path`. Call it before measuring.

    The suffix must be known, the file writable, and matplotlib installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        end = f"ends in {suffix!r}" if suffix else "has no suffix"
        known = " or ".join(SUFFIXES)
        raise InputError(f"{flag} {one_line(path)}: the name {end}; use {known}")
    files.check_writable(path, flag, stdout=False)
    if importlib.util.find_spec(EXTRA) is None:
        raise InputError(
            f"{flag} {one_line(path)}: pictures need {EXTRA}: pip install 'convprof[plot]'"
        )


def write(chart: Drawable, path: str) -> None:
    """Draw a chart into a file; readers see the old or the complete new file.

    InputError as from `require`; ConvprofError if writing fails.
    """
    require(path)
    write_bytes_atomically(path, drawn(chart, Path(path).suffix.lower()))


def drawn(chart: Drawable, suffix: str) -> bytes:
    """Return the file's content for `.svg` or `.png`: the same chart gives the same bytes."""
    import matplotlib as mpl

    from convprof.render.charts.figure import figure_of

    data = io.BytesIO()
    with mpl.rc_context(), warnings.catch_warnings():
        # A name may have letters that the font lacks: boxes in a .png, right in an .svg.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        # The user's own matplotlib style must not change whether labels fit.
        mpl.rcdefaults()
        mpl.rcParams["svg.fonttype"] = "none"  # text that can be searched, copied and read aloud
        mpl.rcParams["svg.hashsalt"] = "convprof"
        mpl.rcParams["text.parse_math"] = False  # a name may have dollar signs
        metadata = {"Date": None, "Title": chart.title} if suffix == ".svg" else None
        figure = figure_of(chart)
        figure.savefig(data, format=suffix.removeprefix("."), dpi=DOTS_PER_INCH, metadata=metadata)
    return data.getvalue()

"""The sheet as a PNG (or SVG) file; needs the extra `plot`, imported when it is used."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from convprof.atomic_files import write_bytes_atomically
from convprof.errors import InputError
from convprof.render.charts import picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.show_features.sheet import Section

FLAG = "--output"
DEFAULT = "features.png"


def require(path: str | None) -> str:
    """Return the name to write to; InputError unless a picture can be written there.

    A file that the user named is replaced; an existing file with the default name is not.
    """
    name = DEFAULT if path is None else path
    if path is None and Path(DEFAULT).exists():
        raise InputError(
            f"{DEFAULT}: exists here already; {FLAG} {DEFAULT} replaces it, or name another file"
        )
    picture.require(name, FLAG)
    return name


def write(title: str, sections: Sequence[Section], path: str) -> None:
    """Draw the sheet into a file; readers see the old or the complete new file.

    ConvprofError if writing fails.
    """
    write_bytes_atomically(path, drawn(title, sections, Path(path).suffix.lower()))


def drawn(title: str, sections: Sequence[Section], suffix: str) -> bytes:
    """Return the file's content for `.png` or `.svg`."""
    import matplotlib as mpl

    from convprof.render.show_features.figure import DOTS_PER_INCH, figure_of

    data = io.BytesIO()
    with mpl.rc_context(), warnings.catch_warnings():
        # A file's name may have letters that the font lacks; they are drawn as boxes.
        warnings.simplefilter("ignore", UserWarning)
        mpl.rcdefaults()  # the user's own matplotlib style must not change whether titles fit
        figure = figure_of(title, sections)
        figure.savefig(data, format=suffix.removeprefix("."), dpi=DOTS_PER_INCH)
    return data.getvalue()

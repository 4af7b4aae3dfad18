"""Saved facts of a machine."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rich.console import Console

from convprof.errors import InputError
from convprof.render import sysinfo
from convprof.render.show import Extent, SavedView
from convprof.studies.answer import Answer
from convprof.studies.machine_answer import sysinfo_answer

if TYPE_CHECKING:
    from convprof.studies.show import SavedDocument

BANDWIDTH = "the bandwidth of memory is in a document of convprof ceilings, not of sysinfo"
_WIDTH = 80


def view(saved: SavedDocument, extent: Extent) -> SavedView:
    """Return the facts of a machine."""
    del extent  # all are shown
    fields = saved.fields
    _check(fields)
    return SavedView(
        report=lambda console: sysinfo.show(console, fields, boxed=console.is_terminal),
        answer=lambda: _answer(fields),
        lacks=(BANDWIDTH,),
    )


def _answer(fields: dict[str, Any]) -> Answer:
    """Return what the document says: the first sentence."""
    return Answer(sysinfo_answer(fields, []).sentences[:1])


def _check(fields: dict[str, Any]) -> None:
    """Raise InputError unless all of it can be printed: its fields are as many as a machine's."""
    console = Console(file=io.StringIO(), width=_WIDTH)
    try:
        sysinfo.show(console, fields, boxed=False)
        sysinfo_answer(fields, [])
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise InputError(f"a fact is of another form than a machine's ({error})") from None

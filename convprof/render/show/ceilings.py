"""Saved ceilings: peaks and bandwidths."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from convprof.render import ceilings
from convprof.render.ceilings_chart import ceilings_chart
from convprof.render.show import Extent, SavedView
from convprof.studies import saved_ceilings
from convprof.studies.ceilings import document
from convprof.studies.machine_answer import ceilings_answer

if TYPE_CHECKING:
    from convprof.studies.show import SavedDocument


def view(saved: SavedDocument, extent: Extent) -> SavedView:
    """Return the peaks and bandwidths of a document."""
    del extent  # all are shown
    sets, machine = saved_ceilings.read(saved.fields)
    dtypes = list(dict.fromkeys(peak.dtype for each in sets for peak in each.peaks))
    now = time.time()
    return SavedView(
        report=lambda console: ceilings.ceilings_report(
            console, sets, dtypes, now=now, machine=machine
        ),
        answer=lambda: ceilings_answer(sets, dtypes[0]) if dtypes else None,
        forms={
            "csv": lambda: ceilings.to_csv(document(sets, dtypes)),
            "markdown": lambda: ceilings.to_markdown(sets, dtypes, now=now, machine=machine),
        },
        chart=lambda dated: ceilings_chart(sets, dtypes, dated=dated),
    )

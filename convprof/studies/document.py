"""Put everything that one command found out into one result document."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from convprof import __version__
from convprof.machine import facts
from convprof.results import Document, plain
from convprof.simd import numba_setup, scheduling
from convprof.studies import roofs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.machine.ceilings import Peak
    from convprof.machine.noise import NoiseWatch


def begin(settings: dict[str, Any], peaks: Sequence[Peak]) -> Document:
    """Return a document with the machine's identity and ceilings, and nothing measured yet."""
    known = facts()
    return Document(
        tool_version=__version__,
        machine={**known.identity(), "key": known.identity_key()},
        state={},
        ceilings={"peaks": [plain(peak) for peak in peaks]},
        settings={**settings, "llvm_model": scheduling.model().name},
    )


def observe(document: Document, watch: NoiseWatch) -> None:
    """Write the machine's state, the disturbances and the bandwidths that were used.

    What decides least comes last: if one of them cannot be found out, the document has the others.
    """
    threads = [peak["threads"] for peak in document.ceilings.get("peaks", [])]
    document.ceilings["bandwidths"] = plain(roofs.bandwidths_known(threads))
    document.state = {**watch.state(), "noise": []}
    document.settings["numba"] = numba_setup.deviations()
    document.state["noise"] = [dataclasses.asdict(finding) for finding in watch.findings()]

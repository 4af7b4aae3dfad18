"""Put everything that one command measured into one result document."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from convprof.codegen import numba_setup, scheduling
from convprof.machine import facts, software
from convprof.results import Document, envelope, plain
from convprof.strategies.peers import package
from convprof.studies.run import known_peaks
from convprof.studies.study.advice import answer
from convprof.version import VERSION

if TYPE_CHECKING:
    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.studies.run import Choice
    from convprof.studies.study.page import Page


def machine() -> dict[str, Any]:
    """Return what this machine is, and the key that two documents to be compared must share."""
    known = facts()
    return {**known.identity(), "key": known.identity_key()}


def state(watch: NoiseWatch) -> dict[str, Any]:
    """Return how the machine was while measuring, and what disturbed it."""
    noise = [dataclasses.asdict(finding) for finding in watch.findings()]
    return {**watch.state(), "noise": noise}


def begin(settings: dict[str, Any], choice: Choice, model: MachineModel) -> Document:
    """Return a document with the machine's identity and peaks, and no measurement yet.

    ``isa_peaks`` are the peaks of generated kernels if instruction sets were chosen for them.
    """
    peaks, own = known_peaks(choice, model)
    return Document(
        tool_version=VERSION,
        machine=machine(),
        state={},
        ceilings={"peaks": plain(peaks), "isa_peaks": plain(own) or None},
        settings={
            **settings,
            "llvm_model": scheduling.model().name,
            "versions": software.versions(),
        },
    )


def observe(document: Document, watch: NoiseWatch, model: MachineModel) -> None:
    """Write the machine's state, the disturbances and the bandwidths that were used.

    The least important comes last: if one of them fails, the document has those before it.
    """
    threads = [peak["threads"] for peak in document.ceilings.get("peaks", [])]
    document.ceilings["bandwidths"] = plain(model.bandwidths(threads))
    document.state = {**watch.state(), "noise": []}
    document.settings["versions"] = {**document.settings["versions"], **package.versions()}
    document.settings["numba"] = numba_setup.deviations()
    document.state["noise"] = [dataclasses.asdict(finding) for finding in watch.findings()]


# A page as the document of ``convprof study --json``.


def document(
    page: Page, settings: dict[str, Any], watch: NoiseWatch, *, interrupted: bool
) -> dict[str, Any]:
    """Return the page in JSON types: SI units, null for unknown, never NaN."""
    advice = answer(page)
    return envelope(
        "study",
        machine=machine(),
        state=state(watch),
        settings={**settings, **page.settings},
        study=page.study,
        title=page.title,
        facts=page.facts,
        sections=[
            {
                "title": s.title,
                "unit": s.unit.name,
                "unit_si": s.unit.value,
                "cycles_per": s.cycles_per,
                "across": s.across,
                "plot": s.plot,
                "notes": s.notes,
                "rows": s.rows,
            }
            for s in page.sections
        ],
        findings=[{**dataclasses.asdict(f), "difference": f.difference} for f in page.findings],
        answer=advice.to_json() if advice else None,
        interrupted=interrupted,
    )

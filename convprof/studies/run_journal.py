"""The journal of a command over many problems: the results of each finished problem.

The journal is a file next to the result document. Its header has the command and the machine; the
same command continues it, and ``convprof show`` turns it into a document.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING, Any

from convprof.archive import Archive
from convprof.errors import InputError
from convprof.json_checks import array, text
from convprof.machine import facts
from convprof.results import Measurements, envelope, plain
from convprof.studies import reading, versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems import Problem, TypedProblem
    from convprof.results import Document, Measurement
    from convprof.studies.journal import Journal, Record

KIND = "run"
SUFFIX = ".journal"


def identity(
    command: str, tasks: Sequence[TypedProblem], flags: dict[str, Any], settings: dict[str, Any]
) -> Record:
    """Return what must be the same for a journal to be continued."""
    problems = [task.problem for task in tasks]
    words = [[p.kind, p.descriptor, p.name, plain(p.dims())] for p in problems]
    listed = [[*each, task.dtype] for each, task in zip(words, tasks, strict=True)]
    digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    return envelope(
        KIND,
        machine={"key": facts().identity_key()},
        command={"command": command, "problems": len(problems), "sha256": digest},
        flags=flags,
        settings=settings,
    )


def difference(journal: Journal, identity: Record) -> str | None:
    """Return why a command cannot continue the journal; None if it can."""
    stored = journal.differs(identity)
    if stored is not None and "sha256" in stored:
        return "its problems are not this command's problems"
    return stored


def header(known: Record, begun: Document) -> Record:
    """Return the first line: what command continues it, and the document's first fields."""
    own: Record = plain(
        {
            "started": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "machine": begun.machine,
            "ceilings": begun.ceilings,
            "settings": begun.settings,
        }
    )
    return {**known, **own}


def record(
    index: int,
    problem: Problem,
    measurements: Sequence[Measurement],
    comparisons: Sequence[dict[str, Any]],
    state: dict[str, Any],
) -> Record:
    """Return the line of a finished problem."""
    fields: Record = plain(
        {
            "index": index,
            "problem": problem.descriptor,
            "state": state,
            "measurements": list(measurements),
            "comparisons": list(comparisons),
        }
    )
    return fields


class Kept:
    """One finished problem of a journal, compressed: a journal may have thousands."""

    def __init__(self, value: Record, settings: Any) -> None:
        """InputError if the line does not describe one. ``settings`` are the journal's."""
        value = versions.with_labels(value, settings)
        self.index: Any = value.get("index")
        self.descriptor: Any = value.get("problem")
        self.measurements = Measurements(map(reading.measurement, array(value["measurements"])))
        self.comparisons = Archive(reading.objects(value.get("comparisons", [])))
        self.measurements.compress()
        self.comparisons.compress()
        self.state: Any = value.get("state")
        self.host = None if value.get("host") is None else text(value["host"])
        """The host of a fleet that measured it; None for this machine."""


def finished(journal: Journal, problems: Sequence[Problem]) -> dict[int, Kept]:
    """Return the finished problems by their numbers; InputError for a damaged journal."""
    by_index: dict[int, Kept] = {}
    settings = (journal.header or {}).get("settings")
    for line, value in enumerate(journal.records(), 2):
        try:
            kept = Kept(value, settings)
        except (InputError, LookupError) as error:
            raise journal.damaged(f"line {line} is damaged: {error}") from None
        index = kept.index
        known = isinstance(index, int) and not isinstance(index, bool)
        if not known or not 0 <= index < len(problems) or index in by_index:
            raise journal.damaged(f"line {line} belongs to no problem of this command")
        if kept.descriptor != problems[index].descriptor:
            raise journal.damaged(f"line {line} belongs to another problem")
        kept.state = None  # the state at the end of this process is the document's
        by_index[index] = kept
    return by_index

"""Hostile result documents, stores and journals, and what reads them."""

from __future__ import annotations

import contextlib
import functools
import io
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hostile_making import documents, edited_json, mutated
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PEAK = {
    "dtype": "f32",
    "threads": 2,
    "flop_per_s": 1e11,
    "bits": 256,
    "isa": "avx2",
    "core_hz": 2e9,
}
BANDWIDTH = {"level": "L1", "operation": "load", "threads": 2, "bytes_per_s": 1e11}
MEASURED = {
    "problem": {"kind": "gemm", "descriptor": "8x8:8x8", "name": None, "m": 8},
    "strategy": "tiled", "layout": None, "dtype": "f32", "threads": 2, "cache": "hot",
    "status": "ok", "reason": None,
    "time_s": {"median": 1e-6, "mad": 1e-8, "ci95_low": 1e-6, "ci95_high": 2e-6},
    "flops": {"direct": 1024, "executed": 1024}, "flop_per_s": 1e9, "peak_fraction": 0.01,
    "bytes_min": 768, "bytes_moved": 900, "workspace_bytes": None,
}  # fmt: skip
DOCUMENT = {
    "schema_version": 1,
    "machine": {
        "key": "0123456789ab",
        "brand": "Example",
        "caches": [
            {"level": 1, "kind": "data", "size_bytes": 32768, "shared_by": 1, "instances": 2}
        ],
    },
    "ceilings": {"peaks": [PEAK], "isa_peaks": [PEAK], "bandwidths": [BANDWIDTH]},
    "settings": {"isa": "avx2"},
    "measurements": [MEASURED, {"status": "refused"}],
}


def results() -> st.SearchStrategy[bytes]:
    """Return result documents."""
    from convprof.results import SCHEMA_VERSION

    return documents({**DOCUMENT, "schema_version": SCHEMA_VERSION})


def read_results(data: bytes, folder: Path) -> bool:
    """Read a result document, and place its measurements under the roofs that it brings."""
    from convprof.studies import roofline, saved

    path = folder / "r.json"
    path.write_bytes(data)
    file = saved.read(str(path))
    roofline.groups(file)
    roofline.lacking(file)
    roofline.rooflines(file)
    return True


@contextlib.contextmanager
def _cache_in(folder: Path) -> Iterator[None]:
    from unittest import mock

    from convprof.cache_folder import VARIABLE

    with mock.patch.dict("os.environ", {VARIABLE: str(folder)}):
        yield


def kept_ceilings() -> st.SearchStrategy[bytes]:
    """Return files of kept ceilings."""
    from convprof.machine import ceilings_store

    ceilings = {"threads": 2, "measured_at": 1.7e9, "peaks": [PEAK], "bandwidths": [BANDWIDTH]}
    return documents({"format": ceilings_store.FORMAT, "machine": "here", "sets": [ceilings]})


def read_ceilings(data: bytes, folder: Path) -> bool:
    """Recall ceilings."""
    from convprof.machine import ceilings_store

    with _cache_in(folder):
        ceilings_store._path("here").write_bytes(data)
        found = ceilings_store.load("here")
    for threads, ceilings in found.items():
        assert ceilings.threads == threads
        ceilings_store.highest(ceilings.bandwidths, "L1", threads)
    return bool(found)


KEY = {"version": "1", "problem": {"kind": "gemm", "m": 8}, "threads": 1}


@dataclass(frozen=True)
class Blocking:
    """The blocking of the remembered choice."""

    mc: int = 8
    nc: int = 16


CHOICE = {"strategy": "packed", "blocking": asdict(Blocking())}


def choices() -> st.SearchStrategy[bytes]:
    """Return files of a remembered choice."""
    return documents({"key": KEY, "choice": CHOICE})


def read_choice(data: bytes, folder: Path) -> bool:
    """Recall a choice, and look for it among the candidates."""
    from convprof import choice_store
    from convprof.strategies import registry
    from convprof.strategies.tuning import auto

    with _cache_in(folder):
        choice_store._path(auto.CHOICES, KEY).write_bytes(data)
        choice = choice_store.load(auto.CHOICES, KEY)
    packed: Any = registry.find("gemm", "packed")
    known = auto._known(choice, [auto.Candidate(packed, Blocking())])
    return known is not None


@functools.cache
def _plan() -> Any:
    from convprof.measure.settings import Settings
    from convprof.problems import Gemm
    from convprof.studies.run import Choice
    from convprof.studies.sweep.plan import Plan

    choice = Choice(strategies=("tiled",), layouts=("nchw",))
    return Plan(Gemm(m=8, n=8, k=8), "size", (8, 16, 32), choice, Settings())


@functools.cache
def _journal_lines() -> list[Any]:
    from convprof.results import plain
    from convprof.studies.sweep.plan import KIND

    plan = _plan()
    identity = plain(plan.identity())
    header = {
        "schema_version": identity["schema_version"],
        "kind": KIND,
        "tool_version": identity["tool_version"],
        "started": "2026-01-01T00:00:00+00:00",
        "machine": {**identity["machine"], "caches": DOCUMENT["machine"]["caches"]},  # type: ignore[index]
        "ceilings": {"peaks": [PEAK], "isa_peaks": None, "bandwidths": []},
        "sweep": {**identity["sweep"], "meaning": plan.meaning},
        "settings": {**identity["settings"], "argv": ["sweep"]},
    }
    points = [
        {"index": index, "x": x, "state": {}, "measurements": [MEASURED]}
        for index, x in enumerate(plan.values[:2])
    ]
    return [header, *points]


@st.composite
def journals(draw: st.DrawFn) -> bytes:
    """Draw a journal with a line or two changed; its end is seldom there."""
    lines = _journal_lines()
    whole = [json.dumps(line).encode() for line in lines]
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(lines) - 1))
        whole[at] = draw(edited_json(lines[at]) | documents(lines[at]))
    data = b"".join(line + b"\n" for line in whole)
    return draw(st.just(data) | mutated([data]))


def read_journal(data: bytes, folder: Path) -> bool:
    """Continue a sweep, and show what is there."""
    from convprof.cli.outputs import Outputs
    from convprof.cli.sweep import SweepWork
    from convprof.render import console
    from convprof.studies.journal import Journal
    from convprof.studies.sweep import plan as sweep_plan
    from convprof.studies.sweep.study import Sweep

    path = folder / "points.jsonl"
    path.write_bytes(data)
    plan = _plan()
    with Journal(str(path), sweep_plan.KIND) as journal:
        if journal.header is None:
            return False
        sweep_plan.check_same(journal, plan.identity())
        study = Sweep(plan, journal)
        if study.done:
            out = io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                outputs = Outputs({"json": str(path)}, "never", quiet=True)
                SweepWork(plan, journal, outputs).show(console.stdout("never"))
    return True


WHOLE = {
    **MEASURED,
    "time_s": {**MEASURED["time_s"], "min": 9e-7, "samples": 25, "calls_per_sample": 4},  # type: ignore[dict-item]
    "problem": {**MEASURED["problem"], "n": 8, "k": 8, "batch": 1},  # type: ignore[dict-item]
    "cycles": {"per_call": 3e3, "per_flop": 2.9, "source": "calibrated", "core_hz": 2e9},
    "intensity": 1.3, "bound": "memory", "phases": {"pack": 1e-7}, "prepare_s": 1e-5,
    "compile_s": 0.1, "max_rel_error": 3e-7,
}  # fmt: skip


COMPARED = {
    "kind": "peers", "problem": WHOLE["problem"], "threads": 2,
    "a": {"strategy": "tiled", "layout": None, "threads": 2},
    "b": {"strategy": "tiled", "layout": None, "threads": 2},
    "ratio": 0.8, "ci95": [0.7, 0.9], "rounds": 25, "verdict": "faster",
}  # fmt: skip
COMPARED_BY_1 = {
    **{key: value for key, value in COMPARED.items() if key not in ("ci95", "rounds")},
    "ratio": {"value": 1.25, "low": 1.1, "high": 1.4, "rounds": 25},
}


def shown() -> st.SearchStrategy[bytes]:
    """Return result documents and journals of `run` for `show`."""
    from convprof.results import SCHEMA_VERSION

    document = {
        **DOCUMENT,
        "schema_version": SCHEMA_VERSION,
        "tool_version": "0.1.0",
        "state": {"core_hz": {"median": 2e9, "min": 2e9, "max": 2e9}, "noise": []},
        "measurements": [WHOLE, {**WHOLE, "status": "failed", "reason": "an error"}],
        "comparisons": [COMPARED],
        "networks": [],
    }
    first = {**document, "schema_version": 1, "comparisons": [COMPARED_BY_1]}
    every = (document, first, _of_environments(document))
    return st.one_of(*(form(each) for each in every for form in (documents, _run_journals)))


def _of_environments(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of ``compare commands``."""
    names = {"a": "B", "b": "A"}
    sides = {side: {**COMPARED[side], "environment": name} for side, name in names.items()}
    return {
        **document,
        "settings": {
            "environments": [
                {"name": name, "python": "python", "versions": {"torch": name}, "lent": False}
                for name in "AB"
            ]
        },
        "measurements": [{**WHOLE, "environment": name} for name in "AB"],
        "comparisons": [{**COMPARED, **sides, "kind": "environments"}],
    }


@st.composite
def _run_journals(draw: st.DrawFn, document: dict[str, Any]) -> bytes:
    """Draw a journal with a line or two changed; its end is seldom there."""
    from convprof.studies.run_journal import KIND

    header = {
        "schema_version": document["schema_version"],
        "kind": KIND,
        "tool_version": "0.1.0",
        "command": {"command": "run", "problems": 3, "sha256": "0" * 64},
        "flags": {},
        **{key: document[key] for key in ("machine", "ceilings", "settings")},
        "started": "2026-01-01T00:00:00+00:00",
    }
    record = {
        "problem": "8x8:8x8", "state": {}, "measurements": [WHOLE],
        "comparisons": document["comparisons"],
    }  # fmt: skip
    lines: list[Any] = [header, {"index": 0, **record}, {"index": 2, **record}]
    whole = [json.dumps(line).encode() for line in lines]
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(lines) - 1))
        whole[at] = draw(edited_json(lines[at]) | documents(lines[at]))
    data = b"".join(line + b"\n" for line in whole)
    return draw(st.just(data) | mutated([data]))


def read_shown(data: bytes, folder: Path) -> bool:
    """Print what `show` finds in a file, and write it in every form."""
    from rich.console import Console

    from convprof.render import export
    from convprof.render.files import parts
    from convprof.render.show import Extent, view_of
    from convprof.studies import show

    path = folder / "r.json.journal"
    path.write_bytes(data)
    saved = show.read_any(str(path))
    view = view_of(saved, Extent())
    view.report(Console(file=io.StringIO(), width=100))
    view.answer()
    for form in view.forms.values():
        "".join(parts(form()))
    if isinstance(saved, show.Saved):
        export.to_json(saved.document)
    return True


def compared() -> st.SearchStrategy[bytes]:
    """Return result documents whose measurements have rounds, and those of `shown`."""
    return st.one_of(documents(_with_rounds()), shown())


def _with_rounds() -> dict[str, Any]:
    from convprof.results import SCHEMA_VERSION

    rounds = {"rounds_s": [1e-6, 1.1e-6, 1e-6, 1.2e-6, 1e-6], "samples": 5}
    cycles = {"per_call": 2e3, "per_flop": 2.0, "source": "calibrated", "core_hz": 2e9}
    timed = {**WHOLE, "time_s": {**MEASURED["time_s"], **rounds}, "cycles": cycles}
    return {
        **DOCUMENT,
        "schema_version": SCHEMA_VERSION,
        "tool_version": "0.1.0",
        "state": {"core_hz": {"median": 2e9, "min": 2e9, "max": 2e9}, "others_share": 0.1},
        "settings": {"isa": "avx2", "versions": {"numba": "1"}, "llvm_model": "x", "tune": "off"},
        "measurements": [timed, {**timed, "status": "failed", "reason": "an error"}],
        "comparisons": [],
        "networks": [],
    }


def read_compared(data: bytes, folder: Path) -> bool:
    """Compare a file with a good one, in both directions; print and write it in every form."""
    from rich.console import Console

    from convprof.render.compare import results as render
    from convprof.studies.compare import results, results_files
    from convprof.studies.compare.results_answer import answer

    good, path = folder / "good.json", folder / "r.json"
    good.write_text(json.dumps(_with_rounds()))
    path.write_bytes(data)
    there, base = (results_files.read(str(each)) for each in (path, good))
    for each in (results.compare(base, there), results.compare(there, base)):
        render.results_report(Console(file=io.StringIO(), width=100), [each], every=True)
        made = results.document([each], None, answer([each], 0.05))
        json.dumps(made, allow_nan=False).encode()
        for part in (*render.to_csv([each]), *render.to_markdown([each], every=True)):
            assert part.replace("\n", "").isprintable()
    return True

"""Problems, machines and notes in a line of plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof import dtypes, units
from convprof.problems.attention import CAUSAL, NO_MASK, OF_KEYS, OF_PAIRS, counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convprof.results import Document, Measurement

CYCLE_SOURCES = {
    "pmu": "hardware counters",
    "calibrated": "elapsed time x core clock, measured next to each sample",
    "tsc": "the time-stamp counter, which does not follow the core clock",
}

_MASKED = {CAUSAL: "causal", OF_KEYS: "a mask of keys", OF_PAIRS: "a mask of pairs"}

LONGEST_NAME = 60
"""The most characters of a problem's name in tables and titles; files have the whole name."""


def problem_line(problem: dict[str, Any], dtype: str) -> str:
    """Return ``conv2d 1x64x56x56 -> 64, 3x3, pad 1 + bias, relu · resnet50:conv1``.

    The pass is included if it is not forward.
    """
    kind, _, which = problem["kind"].partition("-")
    if kind == "conv2d":
        text = _conv2d(problem)
    elif kind == "gemm":
        batch = f"{problem['batch']} x " if problem["batch"] > 1 else ""
        text = f"gemm {batch}({problem['m']}x{problem['k']}) ({problem['k']}x{problem['n']})"
    elif kind == "attention":
        text = _attention(problem)
    else:
        text = f"{kind} {problem['descriptor']}"
    dtype = dtypes.short_name(dtype)
    if problem.get("weight_dtype"):
        dtype += f" x {problem['weight_dtype']} in groups of {problem['group']}"
    if problem.get("epilogue"):
        text += f" + {problem['epilogue'].replace(',', ', ')}"
    name = short_name(problem["name"] or "")
    return " · ".join(part for part in (text, which, name, dtype) if part)


def short_name(name: str) -> str:
    """Return a name that fits a line; a name in a shape file may list many networks."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."


def _attention(problem: dict[str, Any]) -> str:
    """Return sizes, shared keys and a mask; files of earlier versions have the sizes only."""
    heads, tokens = problem["heads"], problem["tokens"]
    key_heads, keys = problem.get("key_heads", heads), problem.get("keys", tokens)
    mask = problem.get("mask", NO_MASK)
    exponentials = problem["batch"] * heads * counted(tokens, keys, mask)
    parts = ["attention " + "x".join(str(problem[k]) for k in ("batch", "heads", "tokens", "dim"))]
    if (key_heads, keys) != (heads, tokens):
        parts.append(f"{keys} keys in {key_heads} head{'s' if key_heads > 1 else ''}")
    parts += [_MASKED[mask]] if mask in _MASKED else []
    return ", ".join([*parts, f"{exponentials:,} exponentials besides the FLOPs"])


def _conv2d(problem: dict[str, Any]) -> str:
    shape = "x".join(str(problem[key]) for key in "nchw")
    parts = [f"conv2d {shape} -> {problem['k']}", f"{problem['r']}x{problem['s']}"]
    for key, plain in (("stride", 1), ("pad", 0), ("dilation", 1)):
        values = problem[key]
        if set(values) != {plain}:
            shown = values[:1] if len(set(values)) == 1 else values
            parts.append(f"{key} {'x'.join(map(str, shown))}")
    if problem["groups"] > 1:
        parts.append(f"{problem['groups']} groups")
    return ", ".join(parts)


def machine_line(document: Document) -> str:
    """Return the CPU, SIMD width, cores, measured clock and measured peak."""
    machine, peaks = document.machine, document.ceilings.get("peaks", [])
    simd = machine.get("simd") or {}
    isa, bits = simd.get("isa"), simd.get("bits")
    cores = machine.get("physical_cores")
    parts = [
        machine.get("brand") or "unknown CPU",
        f"{isa or 'unknown SIMD'} {bits} bits" if bits else isa or "unknown SIMD",
        f"{cores} core{'s' if cores != 1 else ''}" if cores else "unknown cores",
    ]
    clock = document.state.get("core_hz")
    if clock:
        parts.append(f"{clock['median'] / 1e9:.2f} GHz measured")
    for peak in peaks:
        rate = units.si(peak["flop_per_s"], "FLOP/s")
        parts.append(f"peak {rate} {dtypes.short_name(peak['dtype'])} on {peak['threads']}")
    return " · ".join(parts)


def cycles_line(measurements: Iterable[Measurement]) -> str:
    """Return the definition of a FLOP and the source of the cycles; empty without any time."""
    timed = False
    sources: dict[str, None] = {}
    for m in measurements:
        timed = timed or m.time_s is not None
        if m.cycles:
            sources[m.cycles.source] = None
    if not timed:
        return ""
    if not sources:
        return "1 multiply-add = 2 FLOPs · cycles: unknown on this machine"
    spelled = "; ".join(CYCLE_SOURCES[source] for source in sources)
    return f"1 multiply-add = 2 FLOPs · cycles: {spelled}"


def refusal_line(measurement: Measurement) -> str:
    """Return why a strategy refuses in every setting: ``refused: tiled runs on one thread``."""
    name, reason = measurement.strategy, measurement.bare_reason
    mark = ":" if reason == measurement.reason else ""
    return f"refused: {name}{mark} {reason}"


def refusal_lines(refused: Iterable[Measurement]) -> list[str]:
    """Return a line per reason: ``refused: fma and blas: each computes f32 and f64, not bf16``."""
    groups: dict[str | None, dict[str, Measurement]] = {}
    for m in refused:
        groups.setdefault(m.bare_reason, {}).setdefault(m.strategy, m)
    return [_refusals(group) for group in groups.values()]


def _refusals(alike: dict[str, Measurement]) -> str:
    """Return the line of some strategies that refuse for the same reason."""
    first = next(iter(alike.values()))
    if len(alike) == 1:
        return refusal_line(first)
    each = "" if first.bare_reason == first.reason else "each "
    return f"refused: {dtypes.listed(alike, 'and')}: {each}{first.bare_reason}"


def exclusion_line(measurement: Measurement) -> str:
    """Return the reason why a contestant has no row: ``refused  tiled nhwc 2 threads: reason``."""
    return f"{measurement.status}: {measurement.label}: {measurement.bare_reason}"

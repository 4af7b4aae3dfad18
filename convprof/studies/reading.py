"""Whole measurements and documents from JSON of unknown origin, to be written again.

What is printed or computed with is checked field by field. Values that are only passed on are
checked for their form: finite numbers, printable texts.
"""

from __future__ import annotations

import errno
import functools
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from convprof.dtypes import types
from convprof.errors import InputError, NotAResultError
from convprof.json_checks import array, count, mapping, number, positive, text, tree, words
from convprof.machine.ceilings_store import read_bandwidth, read_peak
from convprof.problems.layouts import LAYOUTS
from convprof.results import (
    KIND,
    Cycles,
    Document,
    Flops,
    Measurement,
    Status,
    Time,
    plain,
)
from convprof.stats import MOST_ROUNDS
from convprof.studies import versions

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

MOST_THREADS = 1 << 12
_SIZES = {
    "conv2d": ("n", "c", "h", "w", "k", "r", "s", "groups"),
    "gemm": ("m", "n", "k", "batch"),
    "attention": ("batch", "heads", "tokens", "dim"),
}
"""By kind of problem, the fields that its line on the screen needs."""
_KNOWN_SIZES = {"attention": ("key_heads", "keys")}
"""By kind of problem, sizes that files of earlier versions do not have."""
_PAIRS = {"conv2d": ("stride", "pad", "dilation")}
_PAIR_LENGTHS = (2, 4)
_SOURCES: tuple[Literal["pmu", "calibrated", "tsc"], ...] = ("pmu", "calibrated", "tsc")
_BOUNDS: tuple[Literal["compute", "memory"], ...] = ("compute", "memory")

T = TypeVar("T")


def from_file(path: str, parse: Callable[[BinaryIO, str], T]) -> T:
    """Return what ``parse`` makes of an open file and its printable name.

    InputError in one line if the file cannot be read; NotAResultError if it is not a result.
    """
    shown = path if path.isprintable() else repr(path)
    try:
        with _opened(path) as file:
            return parse(file, shown)
    except InputError as error:
        reason = str(error)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{shown}: cannot be read: {reason}") from None
    raise NotAResultError(f"{shown}: not a result of convprof: {reason}")


def _opened(path: str) -> BinaryIO:
    """Open a file; a name that is no file may be a saved run: NAME or NAME~1."""
    if not Path(path).exists():
        from convprof.studies.history import store

        try:
            data = store.document(path)
        except InputError as error:
            raise OSError(errno.ENOENT, f"no such file, and no saved run: {error}") from None
        if data is not None:
            return io.BytesIO(data)
        if store.is_reference(path):
            raise OSError(errno.ENOENT, "no such file, and no saved run of that name")
    return Path(path).open("rb")


def measurement(value: Any) -> Measurement:
    """Return the measurement that JSON describes; a field that is absent is unknown."""
    fields = mapping(value)
    status: Status = one_of(fields.get("status"), get_args(Status), "status")
    optional = functools.partial(_optional, fields)
    timed = status == "ok"
    flops = _flops(fields.get("flops")) if timed else optional("flops", _flops)
    return Measurement(
        problem=problem(fields.get("problem")),
        strategy=text(fields.get("strategy")),
        layout=optional("layout", lambda v: one_of(v, LAYOUTS, "layout")),
        dtype=types(text(fields.get("dtype"))).name,
        threads=threads(fields.get("threads")),
        cache="cold" if fields.get("cache") == "cold" else "hot",
        status=status,
        reason=optional("reason", words),
        isa=optional("isa", text),
        environment=optional("environment", text),
        time_s=_time(fields.get("time_s")) if timed else None,
        cycles=optional("cycles", _cycles),
        flops=flops,
        flop_per_s=optional("flop_per_s", positive),
        peak_fraction=optional("peak_fraction", positive),
        tile_fraction=optional("tile_fraction", positive),
        bytes_min=count(fields.get("bytes_min"), 0) if timed else optional("bytes_min", _bytes),
        intensity=optional("intensity", number),
        bytes_moved=optional("bytes_moved", _bytes),
        bound=optional("bound", lambda v: one_of(v, _BOUNDS, "bound")),
        level=optional("level", text),
        bandwidth_fraction=optional("bandwidth_fraction", positive),
        phases=optional("phases", _phases),
        workspace_bytes=optional("workspace_bytes", _bytes),
        prepare_s=optional("prepare_s", number),
        compile_s=optional("compile_s", number),
        max_rel_error=optional("max_rel_error", number),
        note=optional("note", words),
        doubt=optional("doubt", words) if timed else None,
    )


def document(value: Any) -> Document:
    """Return the result document that JSON describes; InputError says what is wrong with it."""
    fields = mapping(value)
    fields = versions.upgraded(fields, versions.of(fields))
    fields = versions.with_labels(fields, fields.get("settings"))
    if fields.get("kind", KIND) != KIND:
        raise InputError(f"it is of the kind {text(fields['kind'])!r}, which has no measurements")
    if "measurements" not in fields:
        raise InputError("there are no measurements in it")
    content = head(fields)
    content.state = state(fields.get("state", {}))
    content.measurements += map(measurement, array(fields["measurements"]))
    content.comparisons += objects(fields.get("comparisons", []))
    content.networks += objects(fields.get("networks", []))
    content.interrupted = fields.get("interrupted") is True
    return content


def head(fields: dict[str, Any]) -> Document:
    """Return a document with the machine, the ceilings and the settings, and nothing measured."""
    version = fields.get("tool_version")
    return Document(
        tool_version="unknown" if version is None else text(version),
        machine=_machine(fields.get("machine")),
        state={},
        ceilings=_ceilings(fields.get("ceilings")),
        settings=tree(mapping(fields.get("settings", {}))),
    )


def argv(settings: dict[str, Any]) -> tuple[str, ...]:
    """Return the words of the command that wrote a document; empty if it has none."""
    value = settings.get("argv")
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return tuple(value)
    return ()


def objects(value: Any) -> list[dict[str, Any]]:
    """Return comparisons or networks, of which only the form is checked."""
    items: list[dict[str, Any]] = [tree(mapping(item)) for item in array(value)]
    return items


def one_of(value: Any, known: tuple[T, ...], what: str) -> T:
    """Return the value if it is known."""
    for each in known:
        if isinstance(value, str) and value == each:
            return each
    raise InputError(f"an unknown {what}")


def threads(value: Any) -> int:
    """Return a number of threads or of instances; far larger ones than exist are refused."""
    number = count(value)
    if number > MOST_THREADS:
        raise InputError("an integer is far too large")
    return number


def _optional(fields: dict[str, Any], key: str, read: Callable[[Any], T]) -> T | None:
    return None if fields.get(key) is None else read(fields[key])


def _bytes(value: Any) -> int:
    return count(value, 0)


def problem(value: Any) -> dict[str, Any]:
    """Return a problem in JSON types, with a kind, a descriptor and a name that can be printed."""
    fields: dict[str, Any] = tree(mapping(value))
    name = fields.get("name")
    return {
        **fields,
        "kind": text(fields.get("kind")),
        "descriptor": words(fields.get("descriptor")),
        "name": None if name is None else words(name),
    }


def check_shown(problem: dict[str, Any]) -> None:
    """Raise InputError unless the problem has all the sizes that its line on a screen needs."""
    kind = problem["kind"].partition("-")[0]
    for key in _SIZES.get(kind, ()):
        count(problem.get(key))
    for key in _KNOWN_SIZES.get(kind, ()):
        if key in problem:
            count(problem[key])
    if "mask" in problem:
        words(problem["mask"])
    for key in _PAIRS.get(kind, ()):
        pair = [count(item, 0) for item in array(problem.get(key))]
        if len(pair) not in _PAIR_LENGTHS:
            raise InputError(f"{key} does not have two or four numbers")
    weights = problem.get("weight_dtype")
    if weights is not None:
        words(weights)
        count(problem.get("group"))
    epilogue = problem.get("epilogue")
    if epilogue is not None:
        words(epilogue)


def _time(value: Any) -> Time:
    fields = mapping(value)
    median = positive(fields.get("median"))
    return Time(
        median=median,
        mad=number(fields.get("mad", 0.0)),
        ci95_low=_optional(fields, "ci95_low", number),
        ci95_high=_optional(fields, "ci95_high", number),
        min=number(fields.get("min", median)),
        samples=count(fields.get("samples", 1)),
        calls_per_sample=count(fields.get("calls_per_sample", 1)),
        rounds_s=_optional(fields, "rounds_s", _rounds),
    )


def _rounds(value: Any) -> tuple[float, ...]:
    rounds = array(value)
    if not 1 <= len(rounds) <= MOST_ROUNDS:
        raise InputError(f"rounds_s does not have 1 to {MOST_ROUNDS} numbers")
    return tuple(map(positive, rounds))


def _cycles(value: Any) -> Cycles:
    fields = mapping(value)
    return Cycles(
        per_call=number(fields.get("per_call")),
        per_flop=_optional(fields, "per_flop", number),
        source=one_of(fields.get("source"), _SOURCES, "source of cycles"),
        core_hz=positive(fields.get("core_hz")),
    )


def _flops(value: Any) -> Flops:
    fields = mapping(value)
    return Flops(count(fields.get("direct"), 0), count(fields.get("executed"), 0))


def _phases(value: Any) -> dict[str, float]:
    return {text(key): number(item) for key, item in mapping(value).items()}


def _machine(value: Any) -> dict[str, Any]:
    fields: dict[str, Any] = tree(mapping(value))
    text(fields.get("key"))
    _optional(fields, "brand", text)
    _optional(fields, "physical_cores", count)
    simd = _optional(fields, "simd", mapping) or {}
    _optional(simd, "isa", text)
    _optional(simd, "bits", count)
    return fields


def state(value: Any) -> dict[str, Any]:
    """Return how the machine was."""
    fields: dict[str, Any] = tree(mapping(value))
    clock = _optional(fields, "core_hz", mapping)
    if clock is not None:
        positive(clock.get("median"))
    return fields


def _ceilings(value: Any) -> dict[str, Any]:
    fields: dict[str, Any] = tree(mapping(value))
    for key in ("peaks", "isa_peaks", "bandwidths"):
        read: Callable[[Any], Any] = read_bandwidth if key == "bandwidths" else read_peak
        if fields.get(key) is not None:
            fields[key] = [plain(read(item)) for item in array(fields[key])]
    return {**fields, "peaks": fields.get("peaks") or []}

"""The Python interface: run a strategy, measure a problem, compile a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.dtypes import of_kind, types
from convprof.errors import InputError, RefusedError, UnknownNameError
from convprof.machine import facts
from convprof.problems.layouts import LAYOUTS
from convprof.results import NATIVE
from convprof.strategies import registry
from convprof.strategies.base import Prepared, Setting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from convprof.measure.contestant import Cache
    from convprof.measure.settings import Settings
    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.studies.network.compiled import Compiled


LONGEST_BUDGET_S = 3600.0
TUNE, CACHES = ("off", "quick", "full"), ("hot", "cold")


def prepare(
    problem: Problem | str,
    strategy: str,
    layout: str = "nchw",
    threads: int = 1,
    dtype: str = "f32",
    *,
    isa: str = NATIVE,
) -> Prepared:
    """Bind a strategy to a problem, or to the text of one: allocate its memory, compile its code.

    ``layout`` is accepted and ignored for a GEMM; ``isa`` is what kernels are generated for, and
    ignored by strategies whose kernels are not. ``UnknownNameError`` for a name that does not
    exist, ``RefusedError`` with the reason if the strategy cannot do it, ``TooLargeError`` if
    the memory is not there.
    """
    if layout not in LAYOUTS:
        raise UnknownNameError.of("layout", layout, LAYOUTS)
    check_threads(threads)
    check_isa(isa)
    one = _problem(problem)
    named = registry.find(one.kind, strategy)
    setting = Setting(layout, of_kind(types(dtype).name, one.kind), threads, isa)
    reason = named.why_not(one, setting)
    if reason is not None:
        raise RefusedError(reason)
    return named.prepare(one, setting)


def measure(
    problem: Problem | str,
    strategies: str | Sequence[str] = (),
    layouts: str | Sequence[str] = LAYOUTS,
    threads: int | Sequence[int] = 1,
    dtype: str = "f32",
    *,
    isa: str = NATIVE,
    tune: str = "quick",
    cache: Cache = "hot",
    budget_s: float = 0.07,
    rounds: int | None = None,
    seed: int = 0,
) -> list[Measurement]:
    """Time strategies on one problem in interleaved rounds, as ``convprof run`` does.

    ``problem`` may be a text that the command line takes: ``resnet50:layer1.0.conv2``,
    ``512x512:512x512``. Without ``strategies``: all that ``run`` measures. The machine's peak is
    measured first, where this process has not done so.

    Return the records that ``run --json`` writes, with the same names of fields, in SI units:
    ``time_s.median``, ``peak_fraction``, ``max_rel_error``. A strategy that refuses, fails or is
    wrong has its ``status`` and ``reason``. ``convprof.results.plain`` turns a record into JSON
    types.

    ``UnknownNameError`` for a name that does not exist; ``InputError`` for a value or a text that
    makes no sense, and for a text that names several problems.
    """
    from convprof.machine.model import MachineModel
    from convprof.studies import preflight
    from convprof.studies.run import Choice, Run, measure_peaks

    one = _problem(problem)
    settings = _settings(budget_s, rounds, seed)
    names = _names(strategies)
    _check_names("layout", _names(layouts), LAYOUTS)
    counts = (threads,) if isinstance(threads, (int, str)) else tuple(threads)
    for count in counts:
        check_threads(count)
    check_isa(isa)
    _check_names("tune", [tune], TUNE)
    _check_names("cache", [cache], CACHES)
    preflight.check_strategies(names, [one])
    choice = Choice(
        strategies=names,
        layouts=_names(layouts),
        threads=counts,
        dtype=of_kind(types(dtype).name, one.kind),
        isas=(isa,),
        tune=tune,
        cache=cache,
    )
    machine = MachineModel.here()
    measure_peaks(choice, machine)
    run = Run(one, choice, settings, machine)
    for _ in run.events():
        pass
    return run.measurements()


def compile(  # noqa: A001  # as in convprof.compile("model.onnx")
    path: str | Path,
    threads: int = 1,
    *,
    dims: Mapping[str, int] | None = None,
    output: str | Sequence[str] = (),
    tune: str = "quick",
    budget_s: float = 0.07,
    seed: int = 0,
) -> Compiled:
    """Return the network of an ONNX file as its fastest chain, with the file's weights.

    The plan is measured as by ``convprof network FILE --plan``: a minute for a large network.
    ``Compiled.save`` stores it for ``load``. ``dims`` sets dimensions that the file leaves open;
    ``output`` names the results, which may be any values in the file, instead of all its outputs.
    The result of an input from ``seed`` is compared with a float64 reference.

    ``InputError`` for a file or value that makes no sense, ``RefusedError`` with the reason where
    no chain computes the network, ``ConvprofError`` where its result is wrong.
    """
    from convprof.studies.network.compiled import compile_network

    settings = _compile_settings(threads, tune, budget_s, seed)
    from convprof.networks.onnx import load as read

    imported = read(path, dims or {}, _names(output))
    return compile_network(imported, threads, tune, settings)


def from_torch(
    module: Any,
    example: Any,
    threads: int = 1,
    *,
    tune: str = "quick",
    budget_s: float = 0.07,
    seed: int = 0,
) -> Compiled:
    """Return a module of PyTorch as its fastest chain, as ``compile`` does with an ONNX file.

    ``example`` is an input of the module, or a tuple of several; ``run`` takes inputs of these
    shapes as ``x``, or ``x0``, ``x1``, …, and returns ``y``, or ``y0``, ``y1``, ….
    The module is exported by torch.onnx, in evaluation mode. ``InputError`` with the exporter's
    reason where that fails.
    """
    from convprof.networks.onnx.from_torch import from_module
    from convprof.studies.network.compiled import compile_network

    settings = _compile_settings(threads, tune, budget_s, seed)
    imported = from_module(module, example)
    return compile_network(imported, threads, tune, settings)


def load(
    path: str | Path,
    plan: str | Path,
    *,
    dims: Mapping[str, int] | None = None,
    output: str | Sequence[str] = (),
    seed: int = 0,
) -> Compiled:
    """Return the network of an ONNX file as the chain of a plan that ``Compiled.save`` stored.

    Nothing is timed; the result is compared with a float64 reference. ``InputError`` for a plan of
    another model, or of a machine with other blockings.
    """
    from convprof.networks.onnx import load as read
    from convprof.studies.network.compiled import load_plan

    return load_plan(read(path, dims or {}, _names(output)), plan, seed, check_threads)


def _settings(budget_s: float, rounds: int | None, seed: int) -> Settings:
    """Return how to measure; InputError for values that make no sense."""
    from convprof.measure.settings import Settings

    if not 0 < budget_s <= LONGEST_BUDGET_S:
        raise InputError(
            f"use seconds, above 0 and up to {LONGEST_BUDGET_S:g}", field="budget_s", value=budget_s
        )
    for field, value, least in (("rounds", rounds, 1), ("seed", seed, 0)):
        if value is not None and value < least:
            raise InputError(f"must be at least {least}", field=field, value=value)
    return Settings(budget_s, rounds, seed)


def _compile_settings(threads: int, tune: str, budget_s: float, seed: int) -> Settings:
    """Return how to measure a plan; InputError for values that make no sense."""
    check_threads(threads)
    _check_names("tune", [tune], TUNE)
    return _settings(budget_s, None, seed)


def _check_names(field: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise UnknownNameError for the first name that is not known."""
    for name in names:
        if name not in known:
            raise UnknownNameError.of(field, name, known)


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return one name or several as a tuple."""
    return (names,) if isinstance(names, str) else tuple(names)


def _problem(problem: Problem | str) -> Problem:
    """Return a problem, or the one problem that a text of the command line names."""
    if not isinstance(problem, str):
        return problem
    from convprof.studies.selection import select

    problems = select([problem]).problems
    if len(problems) != 1:
        raise InputError(
            f"{problem[:60]!r} names {len(problems)} problems: measure them one by one"
        )
    return problems[0]


def check_threads(threads: int) -> None:
    """Raise InputError unless this process can run that many threads at once here."""
    most = facts().topology.usable_cpus
    if not isinstance(threads, int):
        raise InputError("must be a whole number", field="threads", value=threads)
    if not 1 <= threads <= most:
        uses = f"1-{most}" if most > 1 else "1"
        raise InputError(f"{thread_limit()}. Use {uses}", field="threads", value=threads)


def thread_limit() -> str:
    """Return what limits the number of threads here, as a sentence without its full stop."""
    topology = facts().topology
    most = topology.usable_cpus
    if topology.limited_by == "quota":
        return (
            f"the CPU quota (cgroup) is {topology.quota_cpus:g} CPUs, and more threads than {most} "
            "would all be stopped in each period"
        )
    if topology.limited_by == "affinity":
        allowed = f"{most} of this machine's {topology.logical_cpus} logical CPUs"
        return f"this process may use {allowed} (its affinity; see taskset, numactl or cpusets)"
    return f"this machine has {most} usable core{'s' if most > 1 else ''}"


def check_isa(isa: str) -> None:
    """Raise InputError unless kernels can be generated for that instruction set and run here."""
    if isa != NATIVE:  # which there always is; asking loads LLVM
        from convprof.codegen import isa as isas

        isas.find(isa)

"""The flags of a measuring command, checked and turned into values."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from convprof.cli import isolation
from convprof.cli.problem_flags import suite, suite_notes
from convprof.dtypes import F32, of_kind
from convprof.errors import InputError, TooLargeError
from convprof.problems.checks import shown
from convprof.problems.gradients import TRAINING
from convprof.problems.typed import TypedProblem

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping, Sequence

    from convprof.machine.model import MachineModel
    from convprof.measure.settings import Settings
    from convprof.problems import LeftOut, Problem
    from convprof.results import Document
    from convprof.studies.run import Choice


@dataclass(frozen=True)
class Asked:
    """The flags of a measuring command, checked and turned into values."""

    tasks: list[TypedProblem]
    notes: list[str]
    choice: Choice
    settings: Settings
    machine: MachineModel
    refused: dict[TypedProblem, TooLargeError] = field(default_factory=dict)
    """Problems beyond this machine's memory or the time limit; they are not in ``tasks``."""
    left_out: list[LeftOut] = field(default_factory=list)
    """Lines of shape files that are not computed."""
    counts: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    """How often each problem was named, by the ``problem_key`` of its measurements."""

    @property
    def problems(self) -> list[Problem]:
        """The problems, of which two may differ in their types only."""
        return [task.problem for task in self.tasks]

    def choice_of(self, task: TypedProblem) -> Choice:
        """Return the choice for a problem: the command's, in the problem's own types."""
        return self.choice.in_type(task.dtype) if task.dtype else self.choice

    def begin_document(self) -> Generator[str, None, Document]:
        """Measure the peaks, saying so; return the document without measurements yet."""
        from convprof.studies import document, run

        yield "measuring this machine's peak"
        run.measure_peaks(self.choice, self.machine)
        settings = {"argv": sys.argv[1:], **self.settings_shown()}
        return document.begin(settings, self.choice, self.machine)

    def settings_shown(self) -> dict[str, Any]:
        """Return the settings in the form of the result document."""
        choice, settings = self.choice, self.settings
        return {
            "budget_s": settings.budget_s,
            "rounds": settings.rounds,
            "seed": settings.seed,
            **settings.processes.to_json(),
            "cache": choice.cache,
            "dtype": ",".join(choice.dtypes),
            "isa": ",".join(choice.isas),
            "tune": choice.tune,
            "max_error": choice.max_error,
            "threads": list(choice.threads),
            "layouts": list(choice.layouts),
            "strategies": list(choice.strategies) or None,
            **_environments_shown(choice),
        }


def _environments_shown(choice: Choice) -> dict[str, Any]:
    environments = [environment.to_json() for environment in choice.environments]
    return {"environments": environments} if environments else {}


def asked(
    flags: dict[str, Any],
    *,
    every: bool = False,
    several_isas: bool = False,
    several_dtypes: bool = False,
) -> Asked:
    """Convert flags to values; InputError for the first invalid flag.

    ``every``: the command needs all problems, so a problem that is too large ends it.
    ``several_isas``, ``several_dtypes``: the command compares instruction sets, element types.
    """
    from convprof.machine.model import MachineModel
    from convprof.measure.settings import Settings
    from convprof.studies import preflight

    dry = flags.get("dry_run", False)
    selection = suite(flags, file_types=not several_dtypes)
    names = names_from(flags, "strategy")
    preflight.check_strategies(names, selection.problems)
    if several_dtypes:
        counts, dtypes = selection.counts, dtypes_from(flags["dtype"], selection.problems)
    else:
        counts = in_types(flags["dtype"], selection.counts)
        dtypes = tuple(dict.fromkeys(task.dtype for task in counts))
    choice = _choice(flags, names, dtypes, several_isas=several_isas)
    if several_dtypes and flags["dtype"] == "all":
        choice = replace(choice, every_dtype=True)
    retune_from(flags)
    machine = MachineModel.here()
    refused = _refused(counts, choice, machine, flags.get("pass_"))
    if refused and not dry and (every or len(refused) == len(counts)):
        raise next(iter(refused.values()))
    return Asked(
        [task for task in counts if task not in refused],
        selection.notes if dry else suite_notes(selection),
        choice,
        Settings(
            flags["budget"], flags["rounds"], flags["seed"], processes=isolation.processes(flags)
        ),
        machine,
        refused,
        selection.left_out,
        {_key(task, dtypes[0]): count for task, count in counts.items()},
    )


def _choice(
    flags: dict[str, Any], names: tuple[str, ...], dtypes: tuple[str, ...], *, several_isas: bool
) -> Choice:
    """Return what is measured of each problem; InputError for an invalid flag."""
    from convprof.studies.run import Choice

    return Choice(
        strategies=names,
        layouts=layouts_from(flags.get("layout", "all")),
        threads=threads_from(flags["threads"]),
        dtype=dtypes[0],
        further_dtypes=dtypes[1:],
        isas=isas_from(flags["isa"]) if several_isas else (isa_from(flags["isa"]),),
        tune=flags["tune"],
        max_error=flags.get("max_error", 0.0),
        cache=flags["cache"],
    )


def _key(task: TypedProblem, default: str) -> tuple[str, ...]:
    """Return the ``problem_key`` of a task's measurements; ``default``: the type if it has none."""
    from convprof.measure.report import describe
    from convprof.results import problem_key

    return (*problem_key(describe(task.problem)), task.dtype or default)


def in_types(text: str | None, counts: Mapping[TypedProblem, int]) -> dict[TypedProblem, int]:
    """Return the same counts, of problems with a type: the file's, or else the command's.

    ``text``: the value of ``--dtype``.
    """
    from convprof.studies import preflight

    default = dtype_from(F32.name if text is None else text)
    preflight.check_gradients([task.problem for task in counts if not task.dtype], default)
    typed: dict[TypedProblem, int] = {}
    for task, count in counts.items():
        each = TypedProblem(task.problem, of_kind(task.dtype or default, task.problem.kind))
        typed[each] = typed.get(each, 0) + count
    return typed


def _refused(
    tasks: Collection[TypedProblem], choice: Choice, machine: MachineModel, which: str | None
) -> dict[TypedProblem, TooLargeError]:
    """Return the problems that are too large, of each type; ``which``: the passes of a layer."""
    from convprof.studies import preflight

    refused: dict[TypedProblem, TooLargeError] = {}
    for dtype in dict.fromkeys(task.dtype for task in tasks):
        problems = [task.problem for task in tasks if task.dtype == dtype]
        errors = preflight.too_large(
            problems, dtype or choice.dtype, len(choice.layouts), choice.threads, machine
        )
        if which == TRAINING:  # a total needs every pass of a layer
            errors = preflight.with_siblings(errors, problems)
        refused |= {TypedProblem(problem, dtype): error for problem, error in errors.items()}
    return refused


def retune_from(flags: dict[str, Any]) -> None:
    """Let ``auto`` choose again with --retune; InputError if nothing would be timed."""
    if not flags["retune"]:
        return
    if flags["tune"] == "off":
        raise InputError("--retune times the candidates again, and --tune off times none")
    from convprof import choice_store
    from convprof.strategies.tuning.auto import CHOICES

    choice_store.renew(CHOICES)


def names_from(flags: Mapping[str, Any], parameter: str) -> tuple[str, ...]:
    """Return the names of a repeatable flag, each once; empty without the flag.

    InputError for a flag without a name, which would otherwise mean all. ``parameter``: the flag as
    click names it, such as ``with_``.
    """
    values = flags[parameter]
    names = comma_list(values)
    if values and not names:
        field, value = parameter.rstrip("_"), shown(",".join(values))
        raise InputError("name at least one", field=field, value=value)
    return names


def comma_list(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of a repeatable flag whose values may be comma lists, each once."""
    names = [name.strip() for value in values for name in value.split(",")]
    return tuple(dict.fromkeys(name for name in names if name))


def layouts_from(text: str) -> tuple[str, ...]:
    """Return the layouts of ``nchw``, ``nhwc``, ``nchw,nhwc`` or ``all``."""
    from convprof.problems.layouts import LAYOUTS

    names = comma_list((text.lower(),))
    unknown = [name for name in names if name not in (*LAYOUTS, "all")]
    if unknown or not names:
        raise InputError(f"--layout {text}: use {', '.join(LAYOUTS)} or all")
    return LAYOUTS if "all" in names else names


def threads_from(text: str) -> tuple[int, ...]:
    """Return the numbers of threads of ``1``, ``1,2`` or ``all``, each once."""
    from convprof.api import check_threads
    from convprof.machine import facts

    counts = []
    for part in comma_list((text,)):
        if part != "all" and not part.lstrip("-").isdecimal():
            raise InputError(f"--threads {text}: use numbers such as 1 or 1,2, or 'all'")
        count = facts().topology.usable_cores if part == "all" else int(part[:9])
        try:
            check_threads(count)
        except InputError as error:
            way_out = ", or 'all'" if facts().topology.usable_cpus > 1 else ""
            raise InputError(f"{error.reason}{way_out}", field="threads", value=part) from None
        counts.append(count)
    if not counts:
        raise InputError("--threads: use numbers such as 1 or 1,2, or 'all'")
    return tuple(dict.fromkeys(counts))


def log_settings(flags: dict[str, Any]) -> Settings | None:
    """Return how to measure problems of a log; None without --measure."""
    from convprof.measure.settings import Settings

    if flags["measure"]:
        return Settings(flags["budget"], processes=isolation.processes(flags))
    if isolation.is_given():
        raise InputError("--isolate needs --measure: without it no library computes")
    return None


def one_number_of_threads(text: str | None) -> int | None:
    """Return the number of threads of a log; None without a flag. InputError for several."""
    if text is None:
        return None
    threads, *more = threads_from(text)
    if more:
        raise InputError("give one number", field="threads", value=text)
    return threads


def dtype_from(text: str, only: Sequence[str] = ()) -> str:
    """Return the element type, or source:weights:result if they differ; InputError if unknown.

    ``only``: the types that a command supports, if not all.
    """
    from convprof.dtypes import hint, is_part, types

    flag = f"--dtype {shown(text).strip(chr(39))}"
    if "," in text:
        raise InputError(f"{flag}: name one type; compare dtypes compares several")
    _check_activations(flag, text)
    try:
        of = types(text)
    except InputError:
        raise InputError(f"{flag}: {hint(text, only)}") from None
    if is_part(text) or (only and of.name not in only):
        raise InputError(f"{flag}: {hint(text, only)}")
    return of.name


def _check_activations(flag: str, text: str) -> None:
    """Raise InputError for a type that only weights have: ``int4``, or ``f32 x int4`` of a row."""
    from convprof.dtypes import GROUPED, SHORT, listed
    from convprof.problems.grouped_weights import WIDTHS

    activations, _, weights = text.rpartition(" x ")
    if weights in WIDTHS and (activations or weights not in SHORT):
        raise InputError(
            f"{flag}: a type of weights; run --weight-dtype {weights} with --dtype "
            f"{listed(GROUPED, 'or')} computes it, and compare dtypes without --dtype compares it"
        )


def dtypes_from(text: str, problems: Sequence[Problem]) -> tuple[str, ...]:
    """Return the element types of ``bf16,int8`` or ``all`` to compare, f32 first.

    InputError for an unknown type, and for one in which a problem is not computed.
    """
    from convprof.studies.compare.dtypes import chosen

    names = [] if text == "all" else [dtype_from(name) for name in comma_list((text,))]
    return chosen(problems, names)


def isa_from(text: str) -> str:
    """Return the instruction set in lower case, if this CPU has it."""
    from convprof.api import check_isa

    name = text.lower()
    if "," in name or name == "all":
        raise InputError(
            "this command takes one instruction set; run, compare and network compare several",
            field="isa",
            value=text,
        )
    check_isa(name)
    return name


def isas_from(text: str) -> tuple[str, ...]:
    """Return the instruction sets that ``avx2``, ``avx2,avx512`` or ``all`` mean, each once."""
    from convprof.results import NATIVE

    names = comma_list((text.lower(),))
    if len(names) == 1 and names[0] != "all":
        return (isa_from(names[0]),)
    from convprof.codegen import isa

    if "all" in names:
        return isa.available() or (NATIVE,)
    if not names:
        raise InputError(f"use names such as {NATIVE}, or 'all'", field="isa", value=text)
    return tuple(dict.fromkeys(isa.find(name).name for name in names))

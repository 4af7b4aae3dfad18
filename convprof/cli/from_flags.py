"""The flags of a measuring command, checked and turned into values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from convprof.cli import isolation
from convprof.errors import InputError, TooLargeError
from convprof.problems.checks import shown
from convprof.problems.gradients import TRAINING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.machine.model import MachineModel
    from convprof.measure.settings import Settings
    from convprof.problems import LeftOut, Problem
    from convprof.studies.run import Choice
    from convprof.studies.selection import Selection

DEFAULT_PROBLEM = "resnet50:layer1.0.conv2"
"""The 3x3 convolution of ResNet-50's first stage, 1x64x56x56 -> 64."""


@dataclass(frozen=True)
class Asked:
    """The flags of a measuring command, checked and turned into values."""

    problems: list[Problem]
    notes: list[str]
    choice: Choice
    settings: Settings
    machine: MachineModel
    """The result document, filled while the command measures."""
    refused: dict[Problem, TooLargeError] = field(default_factory=dict)
    """Problems beyond this machine's memory or the time limit; they are not in ``problems``."""
    left_out: list[LeftOut] = field(default_factory=list)
    """Lines of shape files that are not computed."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How often each shape was named, by the problem's descriptor."""

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
    from convprof.studies.run import Choice

    dry = flags.get("dry_run", False)
    selection, problems = suite(flags)
    notes = selection.notes + ([] if dry else _summary(selection))
    names = comma_list(flags["strategy"])
    preflight.check_strategies(names, problems)
    dtype, *further = (
        dtypes_from(flags["dtype"], problems) if several_dtypes else [dtype_from(flags["dtype"])]
    )
    preflight.check_gradients(problems, dtype)
    choice = Choice(
        strategies=names,
        layouts=layouts_from(flags.get("layout", "all")),
        threads=threads_from(flags["threads"]),
        dtype=dtype,
        further_dtypes=tuple(further),
        every_dtype=several_dtypes and flags["dtype"] == "all",
        isas=isas_from(flags["isa"]) if several_isas else (isa_from(flags["isa"]),),
        tune=flags["tune"],
        max_error=flags.get("max_error", 0.0),
        cache=flags["cache"],
    )
    retune_from(flags)
    machine = MachineModel.here()
    refused = preflight.too_large(
        problems, choice.dtype, len(choice.layouts), choice.threads, machine
    )
    if flags.get("pass_") == TRAINING:  # a total needs every pass of a layer
        refused = preflight.with_siblings(refused, problems)
    if refused and not dry and (every or len(refused) == len(set(problems))):
        raise next(iter(refused.values()))
    return Asked(
        [problem for problem in problems if problem not in refused],
        notes,
        choice,
        Settings(
            flags["budget"], flags["rounds"], flags["seed"], processes=isolation.processes(flags)
        ),
        machine,
        refused,
        selection.left_out,
        selection.counts,
    )


def suite(flags: dict[str, Any]) -> tuple[Selection, list[Problem]]:
    """Return the selection, and its problems with their epilogues, weights and passes."""
    selection = selected(flags)
    return selection, _computed(flags, selection.problems)


def suite_notes(selection: Selection) -> list[str]:
    """Return what a user should know about a selection."""
    return selection.notes + _summary(selection)


def retune_from(flags: dict[str, Any]) -> None:
    """Let ``auto`` choose again with --retune; InputError if nothing would be timed."""
    if not flags["retune"]:
        return
    if flags["tune"] == "off":
        raise InputError("--retune times the candidates again, and --tune off times none")
    from convprof import choice_store
    from convprof.strategies.tuning.auto import CHOICES

    choice_store.renew(CHOICES)


def computed(flags: dict[str, Any]) -> tuple[list[Problem], list[str]]:
    """Return the problems with their pass, epilogue and type of weights, and notes on them."""
    problems, notes = problems_from(flags)
    return _computed(flags, problems), notes


def _computed(flags: dict[str, Any], problems: list[Problem]) -> list[Problem]:
    which = flags.get("pass_", "forward")
    problems = epilogue_from(flags.get("epilogue"), which, problems)
    problems = grouped_weights_from(flags, problems)
    return passes_from(which, problems)


def problems_from(flags: dict[str, Any]) -> tuple[list[Problem], list[str]]:
    """Return the problems of PROBLEM, --batch or the shape flags, and notes on them."""
    selection = selected(flags)
    return selection.problems, suite_notes(selection)


def _summary(selection: Selection) -> list[str]:
    return [f"{line}; run --dry-run lists them all" for line in selection.summary()]


def selected(flags: dict[str, Any]) -> Selection:
    """Return the problems of PROBLEM, --batch or the shape flags, and the omitted ones."""
    from convprof.problems.gradients import forward_only
    from convprof.studies.selection import Selection, select

    shape = spelled(flags)
    texts, batch = flags["problem"], flags["batch"]
    if shape and (texts or batch):
        raise InputError(
            f"{shape[0]} spells a problem, and {(*texts, *batch)[0]} names one: use one of them"
        )
    if shape:
        problem = _from_flags(flags)
        if flags["mb"] is not None and problem.has_minibatch:
            check_range("--mb", flags["mb"], 1, 2**31 - 1)
            problem = problem.with_batch(flags["mb"])
        return Selection([problem], [])
    if not texts and not batch:
        texts = (DEFAULT_PROBLEM,)
    selection = select(texts, batch=batch, mb=flags["mb"], match=flags["match"])
    forward = forward_only(selection.problems)
    which = flags.get("pass_")
    if which in (None, "forward") and (which or forward == selection.problems):
        return selection
    if forward != selection.problems:
        how = f"--pass {which} holds instead" if which else "this command has no --pass: forward"
        selection.notes.append(f"--dir in the file: {how}")
    return replace(selection, problems=forward)


WHOLE_FLAGS = ("gemm", "attention")
"""Flags that each describe a whole problem."""
SHAPE_FLAGS = (
    "input_", "filters", "kernel", "stride", "pad", "dilation", "groups", *WHOLE_FLAGS
)  # fmt: skip
"""The flags that describe a problem."""


_DESCRIBED = {"--gemm": "a product", "--attention": "attention"}


def spelled(flags: dict[str, Any]) -> list[str]:
    """Return the flags of a command line that describe a shape."""
    return [f"--{name.rstrip('_')}" for name in SHAPE_FLAGS if flags[name] is not None]


def _from_flags(flags: dict[str, Any]) -> Problem:
    from convprof.problems import attention_from_flags, conv2d_from_flags, gemm_from_flags

    shape_flags = spelled(flags)
    if flags["match"] is not None:
        raise InputError("--match filters named problems; with shape flags there is only one")
    whole = next((f"--{name}" for name in WHOLE_FLAGS if flags[name] is not None), None)
    if whole and len(shape_flags) > 1:
        other = next(flag for flag in shape_flags if flag != whole)
        raise InputError(
            f"{other} describes {_DESCRIBED.get(other, 'a convolution')} and {whole} "
            f"{_DESCRIBED[whole]}: use one of them"
        )
    if flags["gemm"] is not None:
        return gemm_from_flags(flags["gemm"])
    if flags["attention"] is not None:
        return attention_from_flags(flags["attention"])
    missing = [flag for flag in ("--input", "--filters", "--kernel") if flag not in shape_flags]
    if missing:
        raise InputError(
            f"{shape_flags[0]} also needs {', '.join(missing)}: "
            "e.g. --input 1x64x56x56 --filters 64 --kernel 3"
        )
    return conv2d_from_flags(
        input=flags["input_"],
        filters=flags["filters"],
        kernel=flags["kernel"],
        stride=flags["stride"] or "1",
        pad=flags["pad"] or "0",
        dilation=flags["dilation"] or "1",
        groups=1 if flags["groups"] is None else flags["groups"],
    )


def passes_from(which: str, problems: list[Problem]) -> list[Problem]:
    """Return the passes of each layer; InputError if a problem has a forward pass only."""
    from convprof.errors import ProblemError
    from convprof.problems.gradients import passes_of

    try:
        return [each for problem in problems for each in passes_of(problem, which)]
    except ProblemError as error:
        raise InputError(f"--pass {which}: {error}") from None


def epilogue_from(text: str | None, which: str, problems: list[Problem]) -> list[Problem]:
    """Return the problems with an epilogue; InputError if the problems do not support it."""
    from convprof.errors import ProblemError
    from convprof.problems.epilogue import Epilogue

    if text is None:
        return problems
    if which != "forward":
        raise InputError(
            f"--epilogue {text}: only a forward pass has one; leave out --pass {which}"
        )
    try:
        epilogue = Epilogue.parse(text)
    except ProblemError as error:
        reason = str(error).removeprefix(f"{shown(text)}: ")
        raise InputError(f"--epilogue {shown(text)}: {reason}") from None
    try:
        return [problem.with_epilogue(epilogue) for problem in problems]
    except ProblemError as error:
        raise InputError(f"--epilogue {text}: {error}") from None


def grouped_weights_from(flags: dict[str, Any], problems: list[Problem]) -> list[Problem]:
    """Return the problems with weights of 8 or 4 bits; InputError if they do not support them."""
    from convprof.dtypes import GROUPED, listed
    from convprof.errors import ProblemError
    from convprof.problems.grouped_weights import GROUPS, GroupedWeights

    text, group = flags.get("weight_dtype"), flags.get("group")
    if text is None:
        if group is not None:
            raise InputError(f"--group {group} needs --weight-dtype int8 or int4")
        return problems
    flag = f"--weight-dtype {shown(text).strip(chr(39))}"
    if flags.get("pass_", "forward") != "forward":
        raise InputError(f"{flag}: only a forward pass has such weights; leave out --pass")
    if flags["dtype"] not in GROUPED:
        raise InputError(f"{flag} takes --dtype {listed(GROUPED, 'or')}, not {flags['dtype']}")
    weights = GroupedWeights(text, GROUPS[-1] if group is None else group)
    try:
        return [problem.with_grouped_weights(weights) for problem in problems]
    except ProblemError as error:
        raise InputError(f"{flag}: {error}") from None


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
            raise InputError(f"{error.reason}{way_out}", field="threads", value=count) from None
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
    if is_part(of) or (only and of.name not in only):
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


def dtypes_from(text: str, problems: Sequence[Problem]) -> list[str]:
    """Return the element types of ``bf16,int8`` or ``all`` to compare, f32 first.

    InputError for an unknown type, and for one in which a problem is not computed.
    """
    from convprof.studies.compare.dtypes import chosen

    names = [] if text == "all" else [dtype_from(name) for name in comma_list((text,))]
    return list(chosen(problems, names))


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


def check_range(flag: str, value: float, low: float, high: float) -> None:
    """Raise InputError unless the value is from ``low`` to ``high``."""
    if not low <= value <= high:
        raise InputError(f"{flag} {value:g}: use a value from {low:g} to {high:g}")

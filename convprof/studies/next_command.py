"""The command line that an answer recommends, for the problem of a measurement."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convprof import networks
from convprof.dtypes import COMMON, short_name
from convprof.errors import UnknownNameError
from convprof.problems.base import FORWARD
from convprof.results import NATIVE
from convprof.strategies import registry
from convprof.studies.shortlist import executed_fraction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.studies.roofline_model import RooflinePoint

_NAME = re.compile(r'n"[^"]*"$')
"""The name at the end of a descriptor, which may have hundreds of characters."""
_FAMILIES = ("conv2d", "gemm", "attention")
"""Problems that a text on the command line describes."""
MODEL = "MODEL.onnx"
"""A file that the user knows, and convprof does not."""
IDLE = "--wait-idle"
"""Waits before measuring until other programs are idle."""
FAR = 0.7
"""A share of the peak below which a further idea is worth more than a comparison."""
_LADDERS = {"conv2d": "conv", "gemm": "gemm"}


def next_command(measurement: Measurement, *, peers_measured: bool) -> str:
    """Return the command that explains most about the fastest strategy; empty if none can.

    The roofline if memory is the limit, or may be, but its bandwidth is not known. The ladder if
    arithmetic is the limit and less than ``FAR`` of the peak is reached. Else the comparison with
    libraries.
    """
    problem = measurement.problem
    kind = str(problem["kind"]).partition("-")[0]
    if kind not in _FAMILIES:
        return ""
    if problem.get("weight_dtype"):
        return _other_weights(measurement)
    plain = which_pass(measurement) == FORWARD and not problem.get("epilogue")
    limit_known = measurement.bound or measurement.level  # not where the caches are unknown
    if plain and measurement.peak_fraction is not None and limit_known not in {None, "compute"}:
        return line("roofline", measurement, *_same(measurement))
    far = (executed_fraction(measurement) or 1.0) < FAR
    hot = measurement.cache == "hot"
    if far and plain and hot and kind in _LADDERS and measurement.dtype in COMMON:
        return line(f"ladder {_LADDERS[kind]}", measurement)
    if not peers_measured and hot and libraries_take(measurement):
        return line("compare peers", measurement)
    return line("run", measurement, *_same(measurement), "--asm") if generated(measurement) else ""


def described(measurement: Measurement) -> bool:
    """Whether a text on the command line describes the problem."""
    return str(measurement.problem["kind"]).partition("-")[0] in _FAMILIES


def libraries_take(measurement: Measurement) -> bool:
    """Whether a library computes the problem's kind in the measurement's type.

    Epilogues are compared in the common types only, and no library has weights of 8 or 4 bits.
    """
    if measurement.problem.get("weight_dtype"):
        return False
    if measurement.problem.get("epilogue") and measurement.dtype not in COMMON:
        return False
    kind = str(measurement.problem["kind"])
    every = registry.strategies(kind) if kind in registry.KINDS else []
    return any(s.role.is_compared and measurement.dtype in s.dtypes for s in every)


def against_libraries(measurement: Measurement, *options: str) -> str:
    """Return the command that compares a problem with libraries; empty if no library takes it.

    Without its epilogue where libraries compute only the problem itself in the type.
    """
    bare = replace(measurement, problem={**measurement.problem, "epilogue": None})
    taken = next((m for m in (measurement, bare) if libraries_take(m)), None)
    return "" if taken is None else line("compare peers", taken, *options)


def line(name: str, measurement: Measurement, *options: str) -> str:
    """Return ``convprof NAME PROBLEM``, with the types, the pass and the epilogue."""
    words = ["convprof", *name.split(), problem_text(measurement)]
    words += problem_options(measurement.problem)
    if measurement.dtype != "f32":
        words += ["--dtype", short_name(measurement.dtype)]
    return shlex.join([*words, *options])


def _other_weights(measurement: Measurement) -> str:
    """Return what compares weights of 8 and 4 bits with each type: no ladder has such weights."""
    plain = {**measurement.problem, "weight_dtype": None}
    return line("compare dtypes", replace(measurement, problem=plain, dtype="f32"))


def problem_options(problem: dict[str, Any]) -> list[str]:
    """Return the options that describe what the text of a problem does not say."""
    stored = (problem["weight_dtype"], problem["group"]) if problem.get("weight_dtype") else None
    return _beyond_text(pass_of(problem), problem.get("epilogue") or "", stored)


def _beyond_text(which: str, epilogue: str, weights: tuple[str, int] | None) -> list[str]:
    """Return the options for the pass, the epilogue and the weights.

    ``weights``: the type of weights of 8 or 4 bits, and the size of their groups.
    """
    words = [] if which == FORWARD else ["--pass", which]
    if epilogue:
        words += ["--epilogue", epilogue]
    if weights is not None:
        words += ["--weight-dtype", weights[0], "--group", str(weights[1])]
    return words


def problem_text(measurement: Measurement) -> str:
    """Return the layer's name in its network where that means the same problem, or a descriptor."""
    return text_of(measurement.problem["name"], str(measurement.problem["descriptor"]))


def text_of(name: str | None, descriptor: str) -> str:
    """Return the name where it means the layer of a network with that descriptor."""
    name = name or ""
    unnamed = _NAME.sub("", descriptor)
    if name.partition(":")[0] in networks.names():
        try:
            same = [p.descriptor for p in networks.find(name)] == [descriptor]
        except UnknownNameError:
            return unnamed
        return str(name) if same else unnamed
    return unnamed


def square(size: int) -> str:
    """Return the product of two square matrices."""
    return f"{size}x{size}:{size}x{size}"


def which_pass(measurement: Measurement) -> str:
    """Return ``forward``, ``backward-data`` or ``backward-weights``."""
    return pass_of(measurement.problem)


def pass_of(problem: dict[str, Any]) -> str:
    """Return the pass of the problem of a document."""
    return str(problem["kind"]).partition("-")[2] or FORWARD


def generated(measurement: Measurement) -> bool:
    """Whether the strategy's kernels are generated, so that their assembly can be printed."""
    strategies = registry.strategies(measurement.problem["kind"])
    return any(s.name == measurement.strategy and s.generated for s in strategies)


def same_again(measurement: Measurement, *, idle: bool = False) -> str:
    """Return the command that measures the same again, into a file to compare with.

    ``idle``: when other programs are idle. Empty for what no text describes.
    """
    if not described(measurement):
        return ""
    wait = (IDLE,) if idle else ()
    return line("run", measurement, *_same(measurement), *wait, "--json", "again.json")


def _same(measurement: Measurement) -> list[str]:
    """Return the options that select the measured strategy, layout, threads and caches."""
    options = ["-s", measurement.strategy, "-t", str(measurement.threads)]
    if measurement.layout:
        options += ["--layout", measurement.layout]
    if measurement.cache == "cold":
        options += ["--cache", "cold"]
    return options + _isa(measurement)


def _isa(measurement: Measurement) -> list[str]:
    """Return the option that selects the instruction set, where it was named."""
    return [] if measurement.isa in (None, NATIVE) else ["--isa", str(measurement.isa)]


# After a study, a ladder, a sweep or a list: what puts the advice to the test.

AFTER_STUDY = {
    "unroll": "convprof ladder gemm -s vectorized,fma,unrolled --why",
    "simd": "convprof instructions --match '^fma'",
    "fma": "convprof ladder gemm -s vectorized,fma --why",
    "layout": "convprof compare layouts",
}
AFTER_LIMIT = {
    "threads": "convprof study threads",
    "launch": "convprof study threads",
    "cache": "convprof study tile",
    "chains": "convprof study unroll",
    "arithmetic": "convprof study simd",
    "loads": "convprof study unroll",
}
"""What to try next, by what limits the fastest rung of a ladder."""


def study_again(name: str) -> str:
    """Return the command that repeats a study when other programs are idle."""
    return f"convprof study {name} {IDLE}"


def after_tiles(size: int) -> str:
    """Return what shows the blocking that is chosen for a product."""
    return f"convprof run {square(size)} -s packed,auto --explain"


def after_threads(size: int, count: int) -> str:
    """Return the command that compares numbers of threads, for convprof and for NumPy's BLAS."""
    return f"convprof run {square(size)} -s packed,blas -t 1,{count}"


def after_cores(name: str, cores: int = 0) -> str:
    """Return what shows more of a prediction: of one layer on ``cores``, or the measured times."""
    if cores:
        return shlex.join(["convprof", "study", "threads", name, "--cores", str(cores)])
    return shlex.join(["convprof", "run", name, "-s", "auto", "-t", "1,all"])


def after_ladder(best: Measurement, limit: str | None) -> str:
    """Return what explains the limit of the fastest rung."""
    if limit in AFTER_LIMIT:
        return AFTER_LIMIT[limit]
    if limit == "peak":
        return line("compare peers", best)
    if limit == "bandwidth":
        return line("roofline", best, *_same(best))
    return line("run", best, *_same(best), "--asm" if generated(best) else "--phases")


def again(name: str, measurement: Measurement) -> str:
    """Return the command that measures a problem again when other programs are idle.

    ``name``: ``run``, ``ladder``, ``compare peers``, …
    """
    if name == "ladder":
        name = f"ladder {_LADDERS[measurement.problem['kind']]}"
    return line(name, measurement, IDLE)


def after_sweep(problem: dict[str, Any], over: str, strategy: str, best: int) -> str:
    """Return what explains the rate of a strategy at the best value of a sweep."""
    text = text_of(problem.get("name"), str(problem.get("descriptor")))
    if over.startswith(("tile", "unroll")):
        return shlex.join(["convprof", "run", text, "-s", f"{strategy},auto", "--explain"])
    if problem["kind"] == "gemm" and over == "size":
        text = square(best)
    return shlex.join(["convprof", "roofline", text])


def run_of(problem: Problem) -> str:
    """Return the command that measures a problem, with the pass, the epilogue and the weights."""
    words = ["convprof", "run", text_of(problem.name, problem.descriptor)]
    weights = problem.grouped_weights
    stored = None if weights is None else (weights.dtype, weights.group)
    words += _beyond_text(problem.pass_name, problem.epilogue.text, stored)
    return shlex.join(words)


def side_by_side(a: Measurement, b: Measurement) -> str:
    """Return the command that shows how far two strategies are from the limit.

    Only forward passes without an epilogue have a roofline; of the others, where the time goes.
    """
    names = ["-s", f"{a.strategy},{b.strategy}", "-t", str(a.threads), *_isa(a)]
    if which_pass(a) == FORWARD and not a.problem.get("epilogue"):
        return line("roofline", a, *names)
    return line("run", a, *names, "--phases")


# After a network: its command line, whose words are ``command``, and flags.


def network_command(name: str, *options: str) -> list[str]:
    """Return the words that run a network; of a file whose name is not known, with MODEL.onnx."""
    known = name if name in networks.names() else MODEL
    return ["convprof", "network", known, *options]


def fused(command: Sequence[str]) -> str:
    """Return the command that computes activations together with the layers before them."""
    return shlex.join([*command, "--fuse"])


def fused_in(command: Sequence[str], layout: str) -> str:
    """Return the command that computes every layer in a layout, activations fused."""
    return shlex.join([*command, "--fuse", "--layout", layout])


def planned(command: Sequence[str], library: str = "") -> str:
    """Return the command that chooses strategies and layouts, next to a library if one is named."""
    return shlex.join([*command, "--plan", *(("--with", library) if library else ())])


def again_when_idle(command: Sequence[str], *flags: str) -> str:
    """Return the same command with its flags, to be measured when other programs are idle."""
    return shlex.join([*command, *flags, IDLE])


def passes_again(command: Sequence[str], which: str) -> str:
    """Return the command that measures the passes again when other programs are idle."""
    return again_when_idle(command, "--pass", which)


def plan_of(network: str) -> str:
    """Return the command that chooses strategies and layouts for a network."""
    return f"convprof network {network} --plan"


def after_diagnosis(worst: Measurement) -> str:
    """Return what measures faster ways for the operation of a log that loses the most time.

    A type that no library computes is measured in f32.
    """
    threads = ("-t", str(worst.threads))
    in_f32 = replace(worst, dtype="f32")
    return against_libraries(worst, *threads) or line("compare peers", in_f32, *threads)


def with_model(logs: Sequence[str]) -> str:
    """Return the command that diagnoses logs with the shapes of a model."""
    return shlex.join(["convprof", "diagnose", *(logs or ["LOG"]), "--model", MODEL])


def after_faster(best: Measurement, library: Measurement | None) -> str:
    """Return what shows the distance of the faster way from the limit, next to the library."""
    if library is None or (library.strategy, library.dtype) == (best.strategy, best.dtype):
        return next_command(best, peers_measured=True)
    return side_by_side(best, library)


def after_roofline(point: RooflinePoint) -> str:
    """Return the command for what bounds a strategy: ideas, fewer bytes, or a comparison."""
    measurement = point.measurement
    kind = str(measurement.problem["kind"])
    if measurement.problem.get("weight_dtype"):
        return _other_weights(measurement)
    if point.bound == "memory" and is_depthwise(measurement.problem):
        return line("compare layouts", measurement)
    if point.bound == "memory":
        return "convprof explain tile"
    if point.left * FAR > 1 and kind in _LADDERS and measurement.dtype in COMMON:
        return line(f"ladder {_LADDERS[kind]}", measurement)
    if kind in _FAMILIES and measurement.cache == "hot" and libraries_take(measurement):
        return line("compare peers", measurement)
    return ""


def is_depthwise(problem: dict[str, Any]) -> bool:
    """Whether it is a convolution with filters of its own for each channel."""
    groups = problem.get("groups", 1)
    return bool(groups != 1 and groups == problem.get("c"))


def in_environments(measurement: Measurement, pythons: Sequence[str]) -> str:
    """Return the command that compares one contestant in the same environments."""
    options = [word for python in pythons for word in ("--python", python)]
    return line("compare commands", measurement, *_same(measurement), *options)


_PATCHES = (7, 14, 24)
"""Patches along the side of an image: images of 112, 224 and 384 pixels at patches of 16."""


def growth_of_mixers(patch: int) -> str:
    """Return the command that shows how attention and convolutions grow with the image."""
    images = ",".join(str(patch * patches) for patches in _PATCHES)
    return f"convprof compare mixers --images {images}"


def last_two() -> str:
    """Return what compares the two newest saved runs."""
    return "convprof compare results last~1 last"


def fleet_table(path: str, host: str) -> str:
    """Return what adds prices to the results of a fleet; the price per hour is an example."""
    return shlex.join(["convprof", "fleet", "table", path, "--price", f"{host}=0.34"])

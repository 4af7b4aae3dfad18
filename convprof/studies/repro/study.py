"""Measure a call of a library, then write it as a program or a model of its own."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.dtypes import COMMON, listed
from convprof.errors import RefusedError
from convprof.machine import software
from convprof.problems.layouts import NCHW
from convprof.results import FAILURES
from convprof.strategies import registry
from convprof.studies.answer import Answer
from convprof.studies.one_session import OneSession
from convprof.studies.repro import benchdnn, numpy_script, onnx_file, onnx_script, torch_script
from convprof.studies.repro.call import ReproCall
from convprof.studies.roofline_session import RooflineSession
from convprof.studies.run import contestants

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.machine.model import MachineModel
    from convprof.machine.noise import NoiseWatch
    from convprof.measure.settings import Settings
    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.studies.run import Choice

PYTHON, BENCHDNN, ONNX = FORMATS = ("python", "benchdnn", "onnx")
_ON_ONEDNN, _READS_ONNX = ("torch", "openvino"), ("onnxruntime", "openvino")
_WRITERS: dict[tuple[str, str, str], Callable[[ReproCall], str | bytes]] = {
    (PYTHON, "torch", "conv2d"): torch_script.convolution,
    (PYTHON, "torch", "gemm"): torch_script.product,
    (PYTHON, "torch", "attention"): torch_script.attention,
    (PYTHON, "onnxruntime", "conv2d"): onnx_script.onnxruntime,
    (PYTHON, "onnxruntime", "gemm"): onnx_script.onnxruntime,
    (PYTHON, "blas", "gemm"): numpy_script.product,
    **{
        (BENCHDNN, name, kind): benchdnn.batch for name in _ON_ONEDNN for kind in ("conv2d", "gemm")
    },
    **{(ONNX, name, kind): onnx_file.model for name in _READS_ONNX for kind in ("conv2d", "gemm")},
}
"""By form, strategy and kind of problem."""


class Repro(OneSession):
    """One call. Iterate over ``events``; then ``text`` is the reproducer."""

    def __init__(
        self,
        problem: Problem,
        choice: Choice,
        settings: Settings,
        machine: MachineModel,
        *,
        form: str,
        watch: NoiseWatch | None = None,
    ) -> None:
        """RefusedError for what cannot be reproduced."""
        (strategy,) = choice.strategies
        self._write = _writer(problem, choice, form)
        self._form, self._problem, self._seed = form, problem, settings.seed
        layout = NCHW if form == ONNX else choice.layouts[0]
        self._choice = replace(choice, layouts=(layout,))
        registry.find(problem.kind, strategy)
        self.session = RooflineSession(contestants(problem, self._choice), settings, machine, watch)

    @property
    def measured(self) -> Measurement | None:
        """The measurement of the call, if it succeeded."""
        return next((m for m in self.measurements() if m.time_s is not None), None)

    def why_not(self) -> str | None:
        """Return why the library did not compute the problem; None if it did."""
        return next((m.reason for m in self.measurements() if m.time_s is None), None)

    def text(self) -> str | bytes:
        """Return the reproducer. Only after a measurement that succeeded."""
        measured = self.measured
        if measured is None:
            raise RefusedError(self.why_not() or "nothing was measured")
        return self._write(
            ReproCall(
                self._problem,
                self._choice.layouts[0],
                self._seed,
                measured,
                _versions(measured.strategy),
            )
        )

    @property
    def failed(self) -> bool:
        """Whether the library computed a wrong result, or raised."""
        return any(m.status in FAILURES for m in self.measurements())

    def answer(self, path: str) -> Answer | None:
        """Return how to run the reproducer in a file."""
        measured = self.measured
        if measured is None:
            return None
        command = _COMMANDS[self._form, measured.strategy == "openvino"]
        words = {"path": shlex.quote(path), "threads": measured.threads}
        driver = "conv" if self._problem.kind == "conv2d" else "matmul"
        return Answer((_HOW[self._form], f"Run: {command.format(**words, driver=driver)}"))


_HOW = {
    PYTHON: "The program needs no convprof: it draws the same data, and prints the time of a call.",
    BENCHDNN: "benchdnn, the benchmark of oneDNN, reads the shape file; it draws its own data.",
    ONNX: "The model has the same weights; the tools of the libraries draw their own input.",
}
_BENCHDNN = "OMP_NUM_THREADS={threads} benchdnn --{driver} --mode=P --batch={path}"
_COMMANDS = {
    (PYTHON, False): "python {path}",
    (BENCHDNN, False): _BENCHDNN,
    (BENCHDNN, True): _BENCHDNN,
    (ONNX, False): "onnxruntime_perf_test -I -x {threads} {path}",
    (ONNX, True): "benchmark_app -m {path} -hint none -nstreams 1 -nthreads {threads}",
}
"""By form, and whether OpenVINO was measured."""


def _writer(problem: Problem, choice: Choice, form: str) -> Callable[[ReproCall], str | bytes]:
    """Return the function that writes the reproducer; RefusedError if there is no such function."""
    (strategy,) = choice.strategies
    if choice.dtype not in COMMON:
        raise RefusedError(
            f"reproducers compute {listed(COMMON, 'or')}", field="dtype", value=choice.dtype
        )
    if problem.epilogue:
        raise RefusedError("a reproducer has no epilogue")
    writer = _WRITERS.get((form, strategy, problem.kind))
    if writer is not None:
        return writer
    names = [name for f, name, kind in _WRITERS if (f, kind) == (form, problem.kind)]
    if not names:
        forms = dict.fromkeys(f for f, _, kind in _WRITERS if kind == problem.kind)
        raise RefusedError(
            f"{problem.kind} is reproduced as {listed(forms, 'or')}", field="format", value=form
        )
    raise RefusedError(
        f"as {form}, {problem.kind} is reproduced for {listed(names, 'or')}",
        field="strategy",
        value=strategy,
    )


def _versions(strategy: str) -> dict[str, str | None]:
    """Return the versions of the libraries that take part; None for a library without a package."""
    names = dict.fromkeys((strategy, "numpy"))
    return {name: software.version(name) for name in names}

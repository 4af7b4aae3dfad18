"""A shape file for benchdnn, the benchmark of oneDNN."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convprof.studies.repro.call import ReproCall

_DRIVERS = {"conv2d": "conv", "gemm": "matmul"}
_TAGS = {"nchw": "abcd", "nhwc": "acdb"}


def batch(call: ReproCall) -> str:
    """Return the file: facts and the command as comments, the options and the problem."""
    problem = call.problem
    driver = _DRIVERS[problem.kind]
    lines = [f"# {fact}" for fact in call.facts()]
    lines.append(f"# OMP_NUM_THREADS={call.threads} benchdnn --{driver} --mode=P --batch=FILE")
    lines += ["--reset", f"--dt={call.dtype}"]
    if driver == "conv":
        tag = _TAGS[call.layout]
        lines += ["--dir=FWD_I", f"--stag={tag}", f"--dtag={tag}"]
    lines.append(problem.descriptor)
    return "\n".join(lines) + "\n"

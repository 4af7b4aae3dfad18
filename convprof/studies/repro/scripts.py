"""Parts of programs in Python that all libraries share: data, clock and output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.dtypes import find, types
from convprof.studies.repro.call import ROUNDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.repro.call import ReproCall

ALIGNED = '''
def aligned(array):
    """Return a copy that begins at a page: a tensor in the middle of a cache line is slower."""
    memory = np.zeros(array.nbytes + 4096, np.uint8)
    begin = -memory.ctypes.data % 4096
    copy = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
'''
CLOCK = """
def seconds(call):
    begin = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - begin) / CALLS


for call in calls.values():
    for _ in range(3):  # the first calls compile kernels
        call()
samples = {name: [] for name in calls}
for _ in range(ROUNDS):
    for name, call in calls.items():
        call()
        samples[name].append(seconds(call))
for name, times in samples.items():
    middle, least = 1e6 * statistics.median(times), 1e6 * min(times)
    print(f"{name}: {middle:.1f} us a call in the median, {least:.1f} us in the fastest sample")
"""
"""A sample of each call in every round, so that a change of the clock reaches all calls alike."""


def program(call: ReproCall, imports: Sequence[str], names: Sequence[str], body: str) -> str:
    """Return a whole program: facts, data, the calls that ``body`` defines, and the clock.

    ``names``: of the operands, in the order in which they are drawn. ``body`` ends with the
    definition of ``calls``, a dict of functions by name.
    """
    head = "\n".join(f"# {line}" for line in call.facts())
    standard = "import statistics\nimport time\n\n"
    modules = "\n".join(f"import {name}" for name in imports)
    return (
        f"{head}\n\n{standard}{modules}\n\n"
        f"THREADS, CALLS, ROUNDS = {call.threads}, {call.calls}, {ROUNDS}\n\n"
        f"{ALIGNED}\n\n{operands(call, names)}\n{body.strip()}\n\n{CLOCK}"
    )


def operands(call: ReproCall, names: Sequence[str]) -> str:
    """Return the lines that draw the operands, the same numbers as convprof's."""
    lines = [f"random = np.random.default_rng({call.seed})"]
    specs = call.problem.operands("nchw", types(call.dtype))
    kind = find(call.dtype).numpy
    for name, spec in zip(names, specs, strict=True):
        drawn = f"random.random({tuple(spec.shape)}, dtype=np.float32) * 2 - 1"
        typed = drawn if kind == "float32" else f"({drawn}).astype(np.{kind})"
        lines.append(f"{name} = aligned({typed})")
    return "\n".join(lines) + "\n"

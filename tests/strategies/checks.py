"""Checks for strategies of every kind: bound to drawn operands, right, and right once more."""

from __future__ import annotations

import tracemalloc

from hypothesis import example
from hypothesis import strategies as st

from convprof.codegen.isa import available
from convprof.dtypes import COMMON, DTYPES, F32
from convprof.machine import facts
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.peers.package import Library

THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
TOLERANCE = {"f32": 2e-5, "f64": 1e-13}


def own_strategies(kind):
    """Return the names of the strategies of a kind that neither choose nor need a library."""
    return [
        strategy.name
        for strategy in registry.strategies(kind)
        if strategy.name != "auto" and not isinstance(strategy, Library)
    ]


def any_setting(kind, name, threads=None, layouts=LAYOUTS):
    """Return a strategy that draws settings: an ISA only where kernels are generated for it."""
    strategy = registry.find(kind, name)
    if threads is None:
        threads = THREADS if strategy.parallel else [1]
    return st.builds(
        Setting,
        st.sampled_from(layouts),
        st.sampled_from(COMMON),
        st.sampled_from(threads),
        st.sampled_from((strategy.generated and available()) or ("native",)),
    )


def with_examples(test, examples):
    """Return a random test that tries these examples as well, where this CPU has their ISA."""
    for each in examples:
        if not any(isinstance(x, Setting) and x.isa not in available() for x in each):
            test = example(*each)(test)
    return test


def prepared_for(problem, name, setting, seed=0):
    """Return a bound strategy and its operands."""
    operands = Operands(problem, setting.types, seed)
    prepared = registry.find(problem.kind, name).prepare(problem, setting)
    prepared.bind(*operands.all(setting.layout))
    return prepared, operands


def check(problem, name, setting, seed=0, tolerance=None):
    """Run a strategy twice and compare the result with the reference."""
    prepared, operands = prepared_for(problem, name, setting, seed)
    prepared.run()
    assert prepared.output().shape == problem.result(setting.layout, F32).shape
    assert prepared.output().dtype == DTYPES[setting.dtype].numpy
    error = max_rel_error(operands, prepared.output(), setting.layout)
    assert error < (tolerance or TOLERANCE[setting.dtype])
    check_again(prepared)
    prepared.close()


def most_allocated(prepared):
    """Return the most bytes that a run allocates from Python; memory that it frees counts too."""
    prepared.run()
    tracemalloc.start()
    try:
        prepared.run()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return most


def check_again(prepared):
    """Run once more: everything is written again, and each bit is the same."""
    first = prepared.output().tobytes()
    output = prepared.output()
    output.fill(255 if output.dtype == "u1" else -1)
    prepared.run()
    assert first == prepared.output().tobytes()

"""A whole network in PyTorch, as a competent user runs it.

Inference mode, images in channels_last, activations in place where no other call reads them, the
operations of attention in one call. Three ways are timed on the network itself, and the
fastest is used: the eager calls; the same with oneDNN's packed weights and fused activations, in
the operators that ``torch.compile`` uses when it freezes a model; and the graph from
``torch.jit.trace``, ``freeze`` and ``optimize_for_inference``. A fourth way, ``torch.compile``
itself, is used only when named: it takes seconds to minutes, and needs a C++ compiler.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.errors import RefusedError
from convprof.problems.graph import INPUT
from convprof.problems.shapes import IMAGE_AXES
from convprof.strategies.peers.package import fastest, load
from convprof.strategies.peers.torch.calls import UNSUPPORTED
from convprof.strategies.peers.torch.ops import tensors_by_node
from convprof.strategies.peers.torch.state import torch
from convprof.strategies.peers.torch.steps import Step, eager, packed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from convprof.problems.graph import Network

    Array = np.ndarray[Any, Any]
    Tensor = Any
    Weights = Mapping[str, Mapping[str, Array]]
    Run = Callable[[Tensor], Tensor]

EAGER, PACKED, JIT, COMPILE = "eager", "packed", "jit", "compile"
WAYS = {
    EAGER: "eager calls",
    PACKED: "oneDNN's packed weights and fused activations",
    JIT: "torch.jit.optimize_for_inference",
    COMPILE: "torch.compile on frozen weights",
}
"""The ways of running a network, with a description for users."""
QUICK = (EAGER, PACKED, JIT)
"""The ways that need no compiler."""


@dataclass(frozen=True)
class Built:
    """A network that runs in PyTorch."""

    run: Run
    """The function of the input, in its logical shape; both memory formats are free."""
    way: str
    """The name of the way in ``WAYS``."""
    explanation: str
    """The ways that were timed, the time of a call of each, and the choice."""
    prepare_s: float
    """Seconds spent on converting weights."""
    compile_s: float
    """Seconds spent on packing, tracing or compiling, first calls, and choosing."""


def build(
    network: Network,
    weights: Weights,
    threads: int,
    x: Tensor,
    ways: Sequence[str] = QUICK,
) -> Built:
    """Return the network in the fastest of some ways, timed on the input ``x``.

    ``weights`` are f32, by node and by name in the op; linear ones (inputs, outputs). They are
    rounded to the type of ``x``, as ``model.to(torch.bfloat16)`` does. PyTorch is held to
    ``threads`` until ``torch_state.torch().release()``. The eager way always works. A way that this
    build of PyTorch lacks is left out; RefusedError if no other is named.
    """
    library = torch()
    library.hold(threads)
    start = time.perf_counter()
    tensors = _in_type(tensors_by_node(network, weights), x.dtype)
    prepare_s = time.perf_counter() - start
    start = time.perf_counter()
    image = prepared_input(x)
    makers: dict[str, Callable[[], Run]] = {
        EAGER: lambda: _calling(eager(network, tensors, in_place=True)),
        PACKED: lambda: _calling(packed(network, tensors)),
        JIT: lambda: _traced(_passing(eager(network, tensors, in_place=False)), image),
        COMPILE: lambda: _compiled(_passing(eager(network, tensors, in_place=False)), image),
    }
    by_way = {way: run for way in ways if (run := _warmed_up(makers[way], x, way)) is not None}
    if not by_way:
        raise RefusedError(f"this PyTorch does not run {network.name} with {', '.join(ways)}")
    runs = [_bound(run, x) for run in by_way.values()]
    chosen = list(by_way)[fastest(runs)]
    return Built(
        run=by_way[chosen],
        way=chosen,
        explanation=f"{WAYS[chosen]}, the fastest of {', '.join(by_way)}",
        prepare_s=prepare_s,
        compile_s=time.perf_counter() - start,
    )


def _in_type(by_node: Mapping[str, dict[str, Tensor]], dtype: Any) -> dict[str, dict[str, Tensor]]:
    """Return the weights in one of PyTorch's types; nodes that share tensors still do."""
    converted: dict[int, dict[str, Tensor]] = {}
    for own in by_node.values():
        if id(own) not in converted:
            converted[id(own)] = {name: tensor.to(dtype) for name, tensor in own.items()}
    return {node: converted[id(own)] for node, own in by_node.items()}


def prepared_input(x: Tensor) -> Tensor:
    """Return the input in the network's memory format: images in channels_last."""
    if x.dim() != IMAGE_AXES:
        return x
    return x.contiguous(memory_format=torch().module.channels_last)


def _bound(run: Run, x: Tensor) -> Callable[[], Tensor]:
    return lambda: run(x)


def _warmed_up(maker: Callable[[], Run], x: Tensor, way: str) -> Run | None:
    """Return a way after two runs; None if PyTorch lacks it, which ``eager`` must not be."""
    try:
        run = maker()
        for _ in range(2):  # the first calls specialise a graph and compile oneDNN's kernels
            run(x)
    except UNSUPPORTED:
        if way == EAGER:
            raise
        return None
    return run


def _passing(steps: Sequence[Step]) -> Run:
    """Return the function that runs the steps; each result is freed after its last reader."""
    last = steps[-1].writes

    def run(x: Tensor) -> Tensor:
        results = {INPUT: prepared_input(x)}
        for step in steps:
            results[step.writes] = step.run(*[results[name] for name in step.reads])
            for name in step.frees:
                del results[name]
        return results[last]

    return run


def _calling(steps: Sequence[Step]) -> Run:
    """Return the same function in inference mode."""
    run, inference_mode = _passing(steps), torch().module.inference_mode

    def call(x: Tensor) -> Tensor:
        with inference_mode():
            return run(x)

    return call


def _traced(run: Run, x: Tensor) -> Run:
    """Return the graph of ``run``, frozen and optimised."""
    t = torch().module

    class Traced(t.nn.Module):  # type: ignore[misc, name-defined]  # a class at run time only
        def forward(self, x: Tensor) -> Tensor:
            return run(x)

    with warnings.catch_warnings(), t.no_grad():
        # warnings of deprecation, and of values that a trace makes constant
        warnings.simplefilter("ignore")
        graph = t.jit.freeze(t.jit.trace(Traced().eval(), x, check_trace=False))
        graph = t.jit.optimize_for_inference(graph)
    inference_mode = t.inference_mode

    def call(x: Tensor) -> Tensor:
        with inference_mode():
            return graph(prepared_input(x))

    return call


def _compiled(run: Run, x: Tensor) -> Run:
    """Return ``run`` compiled by ``torch.compile``, which may pack its weights as constants."""
    t = torch().module
    make_fx = load("torch.fx.experimental.proxy_tensor").make_fx
    settings = load("torch._inductor.config")
    with (
        warnings.catch_warnings(),
        t.no_grad(),
        settings.patch(freezing=True, compile_threads=1),
    ):
        warnings.simplefilter("ignore")
        graph = t.compile(make_fx(run)(x).eval())  # closures' tensors become buffers, thus constant
        graph(x)  # the first call compiles

    def call(x: Tensor) -> Tensor:
        with t.no_grad():
            return graph(prepared_input(x))

    return call

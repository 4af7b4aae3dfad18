"""A whole network in PyTorch, as a competent user would run it.

Inference mode, images in channels_last, activations in place where nobody else reads them, the
three operations of attention in one call. Three ways are tried on the network itself, and the
fastest is kept: the eager calls; the same with oneDNN's packed weights and fused activations, in
the operators that ``torch.compile`` uses when it freezes a model; and the graph that
``torch.jit.trace``, ``freeze`` and ``optimize_for_inference`` make of it. A fourth, ``torch.compile``
itself, is for those who ask for it: it takes seconds to minutes, and a C++ compiler.
"""  # noqa: E501

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
"""The ways, and what they are in words."""
QUICK = (EAGER, PACKED, JIT)
"""Those that take no compiler."""


@dataclass(frozen=True)
class Built:
    """A network that runs in PyTorch."""

    run: Run
    """Of the input in its logical shape and any memory format; the result may have any, too."""
    way: str
    """Which of ``WAYS`` it is."""
    explanation: str
    """What was tried and chosen, with the time of a call of each."""
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

    ``weights`` are f32, by node and by name in the op; linear ones (inputs, outputs). PyTorch is
    held to ``threads`` until ``torch_state.torch().release()``. The eager way works always; one
    that this build of PyTorch does not have is left out, RefusedError if there is no other.
    """
    library = torch()
    library.hold(threads)
    start = time.perf_counter()
    tensors = tensors_by_node(network, weights)
    prepare_s = time.perf_counter() - start
    start = time.perf_counter()
    image = prepared_input(x)
    makers: dict[str, Callable[[], Run]] = {
        EAGER: lambda: _calling(eager(network, tensors, in_place=True)),
        PACKED: lambda: _calling(packed(network, tensors)),
        JIT: lambda: _traced(_passing(eager(network, tensors, in_place=False)), image),
        COMPILE: lambda: _compiled(_passing(eager(network, tensors, in_place=False)), image),
    }
    made = {way: run for way in ways if (run := _made(makers[way], x, way)) is not None}
    if not made:
        raise RefusedError(f"this PyTorch does not run {network.name} with {', '.join(ways)}")
    runs = [_bound(run, x) for run in made.values()]
    chosen = list(made)[fastest(runs)]
    return Built(
        run=made[chosen],
        way=chosen,
        explanation=f"{WAYS[chosen]}, the fastest of {', '.join(made)}",
        prepare_s=prepare_s,
        compile_s=time.perf_counter() - start,
    )


def prepared_input(x: Tensor) -> Tensor:
    """Return the input as the network takes it: images in channels_last."""
    if x.dim() != IMAGE_AXES:
        return x
    return x.contiguous(memory_format=torch().module.channels_last)


def _bound(run: Run, x: Tensor) -> Callable[[], Tensor]:
    return lambda: run(x)


def _made(maker: Callable[[], Run], x: Tensor, way: str) -> Run | None:
    """Return a way that has run twice; None if it is not there, which ``eager`` must be."""
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
    """Return the function that takes the steps; each result is let go after its last reader."""
    last = steps[-1].writes

    def run(x: Tensor) -> Tensor:
        known = {INPUT: prepared_input(x)}
        for step in steps:
            known[step.writes] = step.run(*[known[name] for name in step.reads])
            for name in step.frees:
                del known[name]
        return known[last]

    return run


def _calling(steps: Sequence[Step]) -> Run:
    """Return the same in inference mode."""
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
        warnings.simplefilter("ignore")  # of deprecation, and of what a trace makes constant
        graph = t.jit.freeze(t.jit.trace(Traced().eval(), x, check_trace=False))
        graph = t.jit.optimize_for_inference(graph)
    inference_mode = t.inference_mode

    def call(x: Tensor) -> Tensor:
        with inference_mode():
            return graph(prepared_input(x))

    return call


def _compiled(run: Run, x: Tensor) -> Run:
    """Return what ``torch.compile`` makes of ``run``, whose weights it may pack as constants."""
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

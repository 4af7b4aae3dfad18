"""A network bound to its weights, ready to run from its input to its result.

Every layer reads the memory that the layer before has written. Results share one piece of memory
(``arena``), all layers share scratch memory, and the stages of neighbouring layers are one launch
of the thread team.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen.threads import Program, Work, team
from convprof.errors import ConvprofError, ProblemError
from convprof.integers import round_up
from convprof.problems.graph import INPUT
from convprof.problems.layouts import to_logical
from convprof.strategies import memory
from convprof.strategies.base import Prepared, Setting
from convprof.strategies.networks.arena import Lifetime, places
from convprof.strategies.networks.connections import Tensor
from convprof.strategies.networks.quantised import (
    ATTENTION,
    BYTES,
    FROM_BYTES,
    SIGNED,
    attention_constants,
    constants,
    is_quantised,
)
from convprof.strategies.networks.shared_weights import SharedWeights
from convprof.strategies.plan import Y
from convprof.strategies.plan_runner import Group, PlanRunner, launches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from convprof.dtypes import Types
    from convprof.problems.network import NetworkProblem
    from convprof.problems.quantisation import Scale
    from convprof.problems.tensors import TensorSpec
    from convprof.strategies.networks.connections import Connections, Link
    from convprof.strategies.networks.quantised import Calibration
    from convprof.strategies.networks.shared_weights import PackedArrays

    Array = np.ndarray[Any, Any]
    Weights = Mapping[str, Mapping[str, Array]]
    Action = Callable[[], None]


EMPTY_LAUNCHES = 9


class Chain(Prepared):
    """All layers of a network, prepared."""

    problem: NetworkProblem
    times_phases = True

    def __init__(
        self,
        whole: NetworkProblem,
        setting: Setting,
        connections: Connections,
        weights: Callable[[Weights], Weights],
        calibration: Calibration,
        *,
        shared: SharedWeights | None = None,
    ) -> None:
        """Allocate and compile; ``weights`` converts the network's weights for the links.

        ``calibration`` is for the converted weights. ``shared``: what other chains have packed;
        None: only the chain's own layers share weights.

        ``TooLargeError`` before an allocation that does not fit.
        """
        self.problem = whole
        self.setting = setting
        self._links, self._views, self._result = (
            connections.links,
            connections.views,
            connections.result,
        )
        self._weights, self._calibration = weights, calibration
        self._scales: Mapping[str, Scale] = {}
        """The meaning of bytes by the name of a result, in a network in int8."""
        self._input = whole.operands(setting.layout, setting.types)[0]
        self._kind = self._input.dtype.array_type
        self._shared = SharedWeights() if shared is None else shared
        self._prepared = [
            self._shared.prepared(link.problem, link.choice, setting) for link in self._links
        ]
        self.compile_s = sum(prepared.compile_s for prepared in self._prepared)
        self._slots, size = places(self._lifetimes())
        scratch = [sum(map(_pages, _scratch(prepared).values())) for prepared in self._prepared]
        memory.require(size + max(scratch, default=0), whole.descriptor)
        self._arena = memory.zeros((size,), np.uint8)
        self._scratch = memory.zeros((max(scratch, default=0),), np.uint8)
        own = sum(prepared.workspace_bytes or 0 for prepared in self._prepared) - sum(scratch)
        self.workspace_bytes = size + self._scratch.nbytes + max(0, own)
        self._arrays: dict[Tensor, Array] = {}
        self._packed: list[PackedArrays | None] = []
        """What the layers have packed, perhaps for other chains too."""
        self._steps: list[tuple[str, list[Group] | Action]] = []
        self._actions: list[Action] = []
        self._apart: list[tuple[str, Action, bool]] = []
        """The layers one by one, with launches prepared beforehand (preparing takes 15 µs), and
        whether the chain launches the layer together with others."""

    def bind(self, x: Array, weights: Weights) -> None:  # type: ignore[override]
        """Take the input in the setting's layout, and the weights by layer and name.

        In int8, other weights need other arrays: arrays that are bound again are not calibrated
        again.
        """
        shape = self._input.shape
        if np.shape(x) != shape:
            raise ProblemError(f"x has shape {np.shape(x)}; this network needs {shape}")
        start = time.perf_counter()
        known = self._weights(self._exact(weights))
        if is_quantised(self.setting):
            logical = to_logical(np.asarray(x), self._input.layout)
            self._scales = self._calibration.scales(logical, weights, known)
        before, self._packed = self._packed, []  # of equal weights: found again
        array = np.ascontiguousarray(x, dtype=self._kind)
        image = INPUT in self.problem.network.images
        self._arrays = {Tensor(INPUT, self.setting.layout if image else "nchw"): array}
        self._steps = [
            self._bound(link, prepared, known)
            for link, prepared in zip(self._links, self._prepared, strict=True)
        ]
        del before
        self.prepare_s = time.perf_counter() - start
        self._actions = self._joined()
        self._apart = [
            (name, work if callable(work) else self._launch(_rows(work)), not callable(work))
            for name, work in self._steps
        ]

    def run(self) -> None:
        """Run every layer once."""
        for action in self._actions:
            action()

    def output(self) -> Array:
        """Return the network's result; the next ``run()`` overwrites it."""
        if not self._arrays:
            raise ConvprofError("nothing is bound yet: call bind(x, weights) and run() first")
        shape = self.problem.result(self.setting.layout, self.setting.types).shape
        return _shaped(self._array(self._result), shape)

    def executed_flops(self) -> int:
        """Return the FLOPs of all layers."""
        return sum(prepared.executed_flops() for prepared in self._prepared)

    def bytes_moved(self) -> int:
        """Return the bytes that all layers move at least."""
        return sum(prepared.bytes_moved() for prepared in self._prepared)

    def run_phases(self) -> Mapping[str, float]:
        """Run twice, the second time with a clock between the layers.

        The first run wakes the threads and fills the caches as a chain does. The time of an empty
        launch is subtracted from layers that the chain launches together with others.
        """
        seconds: dict[str, float] = {}
        self.run()
        launch_s = self._launch_s()
        for name, action, joined in self._apart:
            start = time.perf_counter()
            action()
            elapsed = time.perf_counter() - start
            seconds[name] = max(elapsed - launch_s, elapsed / 10) if joined else elapsed
        return seconds

    def _launch_s(self) -> float:
        """Return the seconds of an empty launch: the fewest of a few samples."""
        groups = next((work for _, work in self._steps if not callable(work) and work), None)
        if groups is None:
            return 0.0
        row = groups[0].rows[0]
        empty = self._launch([row._replace(hi=row.lo)])
        samples = []
        for _ in range(EMPTY_LAUNCHES):
            start = time.perf_counter()
            empty()
            samples.append(time.perf_counter() - start)
        return min(samples)

    def memory(self) -> list[Array]:
        """Return the shared memory, the input and each layer's own memory."""
        own = [array for prepared in self._prepared for array in prepared.memory()]
        return [self._arena, self._scratch, *own]

    def close(self) -> None:
        """Restore what the layers' libraries changed in the process."""
        for prepared in self._prepared:
            prepared.close()

    def _exact(self, weights: Weights) -> Weights:
        """Return the weights in f64 if the chain is, so that folding rounds to this type only.

        Shorter types are rounded when the layers take their folded weights.
        """
        if self._kind != np.float64:
            return weights
        arrays = {id(array): array for own in weights.values() for array in own.values()}
        exact = {key: np.asarray(array, self._kind) for key, array in arrays.items()}
        return {
            node: {name: exact[id(array)] for name, array in own.items()}
            for node, own in weights.items()
        }

    def _lifetimes(self) -> dict[str, Lifetime]:
        """Return the lifetime of each result; a view extends the lifetime of its result."""
        alive = {}
        for index, link in enumerate(self._links):
            size = link.problem.result(link.layout, self._types(link)).nbytes
            always = link.is_constant  # so that no other result overwrites it
            first, last = (0, len(self._links)) if always else (index, index)
            alive[link.writes] = Lifetime(size, first, last)
            for tensor in map(self._root, link.reads):
                if tensor in alive:
                    alive[tensor] = replace(alive[tensor], last=max(alive[tensor].last, index))
        result = self._root(self._result)
        if result in alive:
            alive[result] = replace(alive[result], last=len(self._links))
        return {" ".join(tensor): life for tensor, life in alive.items()}

    def _root(self, tensor: Tensor) -> Tensor:
        while tensor in self._views:
            tensor = self._views[tensor].of
        return tensor

    def _array(self, tensor: Tensor) -> Array:
        """Return the flat elements of a tensor, from its start."""
        start = 0
        while tensor in self._views:
            start += self._views[tensor].start
            tensor = self._views[tensor].of
        return self._arrays[tensor].reshape(-1)[start:]

    def _bound(
        self, link: Link, prepared: Prepared, weights: Weights
    ) -> tuple[str, list[Group] | Action]:
        """Bind a layer to its neighbours; return its name and its work."""
        result = link.problem.result(link.layout, self._types(link))
        at = self._slots[" ".join(link.writes)]
        memory_of_result = self._arena[at : at + result.nbytes]
        target = memory_of_result.view(result.dtype.array_type)
        self._arrays[link.writes] = target
        specs = link.problem.operands(link.layout, self._types(link))
        operands = self._operands(link, specs, weights)
        if isinstance(prepared, PlanRunner):
            prepared.lend({Y: memory_of_result, **self._lent(prepared)})
            what = f"{link.name} of {self.problem.descriptor}"
            self._packed.append(self._shared.bind(prepared, operands, what))
            prepared.forget_sources()
            if link.is_constant:
                prepared.run()
                return link.name, []
            groups = prepared.groups()
            return link.name, prepared.run if groups is None else groups
        prepared.bind(*operands)
        return link.name, _copying(prepared, target.reshape(result.shape))

    def _operands(self, link: Link, specs: tuple[TensorSpec, ...], weights: Weights) -> list[Array]:
        """Return the operands of a layer: the results that it reads, and its named constants."""
        read = (self._array(tensor) for tensor in link.reads)
        constants = iter(self._constants(link, weights))
        return [_shaped(next(constants if spec.constant else read), spec.shape) for spec in specs]

    def _constants(self, link: Link, weights: Weights) -> list[Array]:
        """Return the constant operands of a layer or a conversion, in their order."""
        if link.changes_type:
            return [self._scales[link.reads[0].name].factors]
        own = weights.get(link.step.name, {}) if link.step else {}
        if link.step and link.choice.dtype == ATTENTION:
            masks = [own[name] for name in link.problem.parameters]
            return [*masks, *attention_constants(link.step, self._scales)]
        if link.step and link.choice.dtype in {BYTES, FROM_BYTES, SIGNED}:
            layer = self._calibration.layer(link.step, own, self._scales)
            return constants(link.step, link.choice.dtype, layer, self._scales)
        return [own[name] for name in link.problem.parameters]

    def _types(self, link: Link) -> Types:
        return link.choice.setting(self.setting).types

    def _lent(self, prepared: PlanRunner) -> dict[str, Array]:
        """Return a part of the shared scratch memory for each lendable workspace."""
        lent, at = {}, 0
        for key, size in prepared.scratch().items():
            lent[key] = self._scratch[at : at + size]
            at += _pages(size)
        return lent

    def _launch(self, rows: list[Work]) -> Action:
        if not rows:  # a result that was computed before
            return lambda: None
        members, program = team(self.setting.threads), Program(rows, self.setting.threads)
        return lambda: members.run(program)

    def _joined(self) -> list[Action]:
        """Return as few actions as Ctrl-C allows: successive layers are one launch."""
        actions: list[Action] = []
        groups: list[Group] = []
        for _, work in self._steps:
            if not callable(work):
                groups += work
                continue
            actions += [*map(self._launch, launches(groups)), work]
            groups = []
        return [*actions, *map(self._launch, launches(groups))]


def _rows(groups: Iterable[Group]) -> list[Work]:
    return [row for group in groups for row in group.rows]


def _shaped(array: Array, shape: tuple[int, ...]) -> Array:
    """Return the first elements of an array in a shape: a view may be shorter than its memory."""
    return array.reshape(-1)[: math.prod(shape)].reshape(shape)


def _pages(size: int) -> int:
    return round_up(size, memory.PAGE_BYTES)


def _scratch(prepared: Prepared) -> dict[str, int]:
    return prepared.scratch() if isinstance(prepared, PlanRunner) else {}


def _copying(prepared: Prepared, target: Array) -> Action:
    """Return the run of a library's layer, and the copy to where the next layer reads."""

    def run() -> None:
        prepared.run()
        np.copyto(target, prepared.output())

    return run

"""Weights that several chains of a network have packed alike: one copy of them in memory.

Chains that are compared have many layers in common, and packed weights are most of their memory. A
chain still has other memory for each of its layers, so it finds the caches as it would alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np

from convprof.strategies import memory
from convprof.strategies.networks.choice import plan_of, prepared_by

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from convprof.problems import Problem
    from convprof.strategies.base import Prepared, Setting
    from convprof.strategies.networks.choice import LayerChoice
    from convprof.strategies.plan import Plan
    from convprof.strategies.plan_runner import PlanRunner

    Array = np.ndarray[Any, Any]


class PackedArrays:
    """The packed weights of a layer. While a layer reads them, other layers find them."""

    def __init__(self, plan: Plan, arrays: Mapping[str, Array]) -> None:
        """``arrays`` by the names of the plan's buffers."""
        self.plan = plan
        """While it exists, no other plan has its ``id``."""
        self.arrays = arrays


class SharedWeights:
    """What the chains of one network have planned and packed, as long as a chain uses it."""

    def __init__(self) -> None:
        self._plans: WeakValueDictionary[Hashable, Plan] = WeakValueDictionary()
        self._packed: WeakValueDictionary[Hashable, PackedArrays] = WeakValueDictionary()

    def __reduce__(self) -> tuple[type[SharedWeights], tuple[()]]:
        """Another process shares no memory."""
        return SharedWeights, ()

    def prepared(self, problem: Problem, choice: LayerChoice, chain: Setting) -> Prepared:
        """Return a problem prepared as chosen in a chain of a setting.

        Equal layers have one plan: a plan of many tiles takes longer than its layer.
        """
        key = problem, replace(choice, plan=None), chain, memory.l2_bytes()  # keeps no plan
        plan = self._plans.get(key)
        chosen_s = 0.0
        if plan is None:
            plan = plan_of(problem, choice, chain)
            if plan is None:
                return prepared_by(problem, choice, chain)
            chosen_s, plan.chosen_s = plan.chosen_s, 0.0  # other layers with it choose nothing
            self._plans[key] = plan
        runner = prepared_by(problem, replace(choice, plan=plan), chain)
        runner.compile_s += chosen_s
        return runner

    def bind(self, runner: PlanRunner, operands: Sequence[Array], what: str) -> PackedArrays | None:
        """Bind a layer; it reads what a layer has packed of the same numbers in the same way.

        The result, None where nothing is packed, must exist as long as the layer runs.
        ``TooLargeError`` where ``what`` needs more memory than there is.
        """
        plan = runner.plan
        if not plan.packed:
            runner.bind(*operands)
            return None
        sources = tuple(map(_digest, runner.sources(operands)))
        same = self._packed.get((id(plan), sources))
        if same is not None:
            runner.bind(*operands, packed=same.arrays)
            return same
        memory.require(runner.packed_bytes, what)
        runner.bind(*operands)
        made = self._packed[id(plan), sources] = self._alike(runner, sources)
        return made

    def _alike(self, runner: PlanRunner, sources: tuple[bytes, ...]) -> PackedArrays:
        """Return what a layer has packed, in the memory of an equal copy if there is one.

        A plan with another epilogue may pack the same.
        """
        forms = tuple((key, *_form(array)) for key, array in runner.packed().items())
        alike = self._packed.get((forms, sources))
        if alike is not None:
            runner.share_packed(alike.arrays)
        made = PackedArrays(runner.plan, runner.packed())
        self._packed.setdefault((forms, sources), made)
        return made


def _digest(array: Array) -> bytes:
    """Return bytes that only arrays of the same content have."""
    content = hashlib.sha256(repr(_form(array)).encode(), usedforsecurity=False)
    content.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return content.digest()


def _form(array: Array) -> tuple[tuple[int, ...], str]:
    return array.shape, array.dtype.str

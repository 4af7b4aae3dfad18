"""What is forgotten when an operation is added."""

from __future__ import annotations

import inspect
import sys

import pytest

from convprof.problems import ops


def below(base):
    for each in base.__subclasses__():
        yield each
        yield from below(each)


def is_defined(each):
    """Tell a class from the one that dataclass replaced for the sake of its slots."""
    return vars(sys.modules[each.__module__]).get(each.__name__) is each


CONCRETE = sorted(
    {each for each in below(ops.Op) if "kind" in vars(each) and is_defined(each)},
    key=lambda each: each.__name__,
)


@pytest.mark.parametrize("op", CONCRETE)
def test_an_operation_is_exported(op):
    exported = getattr(ops, op.__name__, None)
    assert exported is op, f"add {op.__name__} to __all__ in {op.__module__}"


@pytest.mark.parametrize("op", CONCRETE)
def test_an_operation_has_shape_rule_cost_and_reference(op):
    assert inspect.isabstract(op) is False, sorted(op.__abstractmethods__)


def test_operations_differ_in_kind():
    assert len({op.kind for op in CONCRETE}) == len(CONCRETE)

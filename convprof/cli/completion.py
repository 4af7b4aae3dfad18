"""Completion in the shell: names of strategies, networks, layers, instruction sets and types.

Completion compiles no kernel and does not import numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import click

    Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def problems(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Return networks, or after ``NETWORK:`` its layers.

    bash splits words at colons: the network and the colon are then words before the typed one.
    """
    before = context.params.get(parameter.name or "") or ()
    if isinstance(before, tuple) and before[1:] and before[-1] == ":":
        named = f"{before[-2]}:{typed}"
        return [text.partition(":")[2] for text in problems_of(named)]
    return problems_of(typed)


def problems_of(typed: str) -> list[str]:
    """Return the networks that begin with a text, or the layers with their network."""
    from convprof import networks

    network, colon, _ = typed.partition(":")
    if not colon:
        return _starting(typed, networks.names())
    if network not in networks.names():
        return []
    return _starting(typed, (layer.problem.name for layer in networks.layers(network)))


def strategies(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the strategies of all kinds of problems."""
    from convprof.strategies import registry

    every = (s.name for kind in registry.KINDS for s in registry.strategies(kind))
    return _in_list(typed, dict.fromkeys(every))


def libraries(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the libraries that convprof is compared with."""
    from convprof.strategies import registry

    every = (s for kind in registry.KINDS for s in registry.strategies(kind))
    return _in_list(typed, dict.fromkeys(s.name for s in every if s.role.is_compared))


def isas(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the instruction sets of kernels."""
    from convprof.codegen.isa import ISAS
    from convprof.results import NATIVE

    return _in_list(typed, (*ISAS, NATIVE))


def dtypes(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the element types of problems: bytes are only parts of mixtures."""
    from convprof.dtypes import PRODUCTS, SHORT

    alone = [name for name in PRODUCTS if ":" not in name]
    mixtures = [name for name in PRODUCTS if name not in alone and name.startswith(typed)]
    return _in_list(typed, (*alone, *SHORT, *(mixtures if typed else ())))


def weight_dtypes(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the types of grouped weights."""
    from convprof.problems.grouped_weights import WIDTHS

    return _starting(typed, WIDTHS)


def groups(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the sizes of groups of weights."""
    from convprof.problems.grouped_weights import GROUPS

    return _starting(typed, (*map(str, GROUPS), "channel"))


def layouts(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the layouts of activations."""
    from convprof.problems.layouts import LAYOUTS

    return _in_list(typed, (*LAYOUTS, "all"))


def _in_list(typed: str, names: Iterable[str]) -> list[str]:
    """Complete the last name of a comma list; names before it are not offered again."""
    before, comma, last = typed.rpartition(",")
    taken = before.split(",")
    return [f"{before}{comma}{name}" for name in _starting(last, names) if name not in taken]


def _starting(typed: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(typed)]

"""Attention of a network as one step: two products, a softmax between them, and what is around.

Exporters write the heads of a projection as reshapes and transpositions, keys that heads share as
repetitions, and a mask as a sum with the scores. One kernel reads queries, keys and values where
the projections have written them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from convprof.networks.rearrangements import MOST
from convprof.problems.ops import (
    Add,
    Expand,
    MatMul,
    Rearranged,
    RearrangedAttention,
    Reshape,
    Softmax,
    Terms,
    Transpose,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.problems.graph import Network, Node
    from convprof.problems.ops import Op
    from convprof.problems.shapes import Shape

_AXES = 4
_BETWEEN = (0, 2, 1, 3)  # (n, heads, t, d) and (n, t, heads, d)
_TURNED = (0, 1, 3, 2)


@dataclass(frozen=True)
class WholeAttention:
    """Nodes that one operation computes; the node with weights or buffers is the first."""

    nodes: tuple[str, ...]
    op: Op
    reads: tuple[str, ...]
    writes: str


class _Operand(NamedTuple):
    """Queries, keys or values as a part of an activation."""

    source: str
    part: Rearranged
    nodes: tuple[str, ...]
    sharing: int = 1


class _Operands(NamedTuple):
    """What both products of an attention read."""

    queries: _Operand
    keys: _Operand
    values: _Operand
    scale: float
    """The factor of the scores."""


class _Mask(NamedTuple):
    """What is between the first product and the softmax."""

    scores: str
    op: Op | None = None
    nodes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    has_tensor: bool = False
    """Whether the mask is a tensor among the weights and buffers of its node."""


def attentions(network: Network) -> Iterator[WholeAttention]:
    """Yield every attention, found from its last product, in the order of the network.

    A node is part of one attention at the most.
    """
    inside: set[str] = set()
    for node in network.nodes:
        whole = _packed(network, node) or _rearranged(network, node)
        if whole is not None and inside.isdisjoint(whole.nodes):
            inside.update(whole.nodes)
            yield whole


def _packed(network: Network, mix: Node) -> WholeAttention | None:
    """Return the attention of one packed projection."""
    soft = _only_read(network, mix.inputs[0])
    scores = _only_read(network, soft.inputs[0]) if soft else None
    whole = scores.op.joined(soft.op, mix.op) if soft and scores else None
    if soft is None or scores is None or whole is None:
        return None
    if mix.inputs != (soft.name, scores.inputs[0]):
        return None
    return WholeAttention((scores.name, soft.name, mix.name), whole, scores.inputs, mix.name)


def _rearranged(network: Network, mix: Node) -> WholeAttention | None:
    """Return the attention whose operands are parts of any activations; else None."""
    soft = _only_read(network, mix.inputs[0]) if mix.op == MatMul() else None
    if soft is None or soft.op != Softmax() or len(network.shapes[mix.name]) != _AXES:
        return None
    mask = _mask(network, soft.inputs[0])
    scores = _only_read(network, mask.scores) if mask else None
    operands = _operands(network, scores, mix) if scores else None
    if mask is None or scores is None or operands is None:
        return None
    q, k, v = operands.queries, operands.keys, operands.values
    sources = list(dict.fromkeys((q.source, k.source, v.source)))
    after = _transposition(network, mix)
    op = RearrangedAttention(
        queries=q.part,
        keys=k.part,
        values=v.part,
        sources=(sources.index(q.source), sources.index(k.source), sources.index(v.source)),
        scale=operands.scale,
        heads=network.shapes[mix.name][1],
        sharing=k.sharing,
        mask=mask.op,
        tokens_first=bool(after),
    )
    products = (scores.name, soft.name, mix.name)
    inner = (*mask.nodes, *products) if mask.has_tensor else (*products, *mask.nodes)
    nodes = (*inner, *q.nodes, *k.nodes, *v.nodes, *after)
    return WholeAttention(nodes, op, (*sources, *mask.reads), (after or (mix.name,))[-1])


def _only_read(network: Network, name: str) -> Node | None:
    """Return the node of a result that one node alone reads."""
    return network.by_name.get(name) if len(network.readers[name]) == 1 else None


def _mask(network: Network, name: str) -> _Mask | None:
    """Return the scores and the mask of what the softmax reads."""
    node = _only_read(network, name)
    if node is None:
        return None
    shape = network.shapes[name]
    match node.op:
        case Terms(own) if own[-1] == shape[-1]:
            has_tensor = not node.op.is_causal
            return _Mask(node.inputs[0], node.op, (name,), has_tensor=has_tensor)
        case Add():
            for scores, added in (node.inputs, node.inputs[::-1]):
                before, other = network.by_name.get(scores), network.shapes[added]
                is_product = before is not None and before.op.kind == MatMul.kind
                if is_product and network.shapes[scores] == shape and other[-1] == shape[-1]:
                    return _Mask(scores, node.op, (name,), (added,))
            return None
    return _Mask(name)


def _operands(network: Network, scores: Node, mix: Node) -> _Operands | None:
    """Return queries, keys and values of two products, if the kernels take them; else None."""
    match scores.op:
        case MatMul(transpose_b, scale) if scale > 0:
            turned = () if transpose_b else (Transpose(_TURNED),)
        case _:
            return None
    (queries, keys), (_, values) = scores.inputs, mix.inputs
    if network.shapes[queries][-1] != network.shapes[values][-1]:
        return None  # heads of keys and of values have one size in the kernels
    q, k = _operand(network, queries, ()), _operand(network, keys, turned)
    v = _operand(network, values, ())
    if q is None or k is None or v is None or q.sharing != 1 or k.sharing != v.sharing:
        return None
    return _Operands(q, k, v, scale)


def _operand(network: Network, name: str, after: tuple[Op, ...]) -> _Operand | None:
    """Return an operand of a product as a part of the first activation that can be read in place.

    ``after`` are rearrangements after the operand. None if no activation can be read in place.
    """
    last: _Operand | None = None
    now: _Operand | None = _Operand(name, Rearranged(after), ())
    while now is not None:
        if _is_readable(now.part, network.shapes[now.source]):
            last = now
        now = _before(network, now) if len(now.nodes) < MOST else None
    return last


def _before(network: Network, now: _Operand) -> _Operand | None:
    """Return the operand as a part of what the node before it reads; else None."""
    node = _only_read(network, now.source)
    if node is None or len(node.inputs) != 1:
        return None
    (source,), ops, sharing = node.inputs, now.part.ops, now.sharing
    shape = network.shapes[source]
    longer = _unshared(node.op, shape, ops) if sharing == 1 else None
    if longer is not None:
        sharing = network.shapes[node.name][2]
    elif node.op.only_rearranges:
        longer = tuple(_shortened((node.op, *ops)))
    images = network.images.intersection((node.name, source))
    if longer is None or images or Rearranged(longer).strides(shape) is None:
        return None
    return _Operand(source, Rearranged(longer), (node.name, *now.nodes), sharing)


def _shortened(ops: tuple[Op, ...]) -> Iterator[Op]:
    """Yield the same rearrangement, where no axes are joined and divided again.

    Exporters join images and heads around a transposition. A size 0 is the size of the shape
    before, which would be another one.
    """
    while ops:
        match ops:
            case (Reshape((_, t, d)), Transpose((0, 2, 1)), Reshape((n, h, *turned)), *rest) if (
                turned == [d, t] and 0 not in (n, h, t, d)
            ):
                yield Reshape((n, h, t, d))
                ops = (Transpose(_TURNED), *rest)
            case (Reshape(), Reshape(shape), *_) if 0 not in shape:
                ops = ops[1:]
            case (op, *rest):
                yield op
                ops = tuple(rest)


def _unshared(op: Op, shape: Shape, ops: tuple[Op, ...]) -> tuple[Op, ...] | None:
    """Return the rearrangement of (n, heads, 1, s, d) before it is repeated for several heads.

    None if ``op`` does not repeat it, or the heads of all repetitions are not the second axis from
    then on.
    """
    match op, ops:
        case Expand((n, heads, sharing, *rest)), (Reshape(flat), *others) if (
            shape == (n, heads, 1, *rest)
            and flat == (n, heads * sharing, *rest)
            and all(map(_keeps_heads, others))
        ):
            return (Reshape((n, heads, *rest)), *others)
    return None


def _keeps_heads(op: Op) -> bool:
    """Whether an operation only exchanges axes, and leaves the second one in its place."""
    match op:
        case Transpose((_, 1, *_)):
            return True
    return False


def _is_readable(part: Rearranged, shape: Shape) -> bool:
    """Whether the elements of a head are next to each other, and heads begin at whole heads."""
    places = part.strides(shape)
    if places is None or len(places.shape) != _AXES or places.strides[-1] != 1:
        return False
    dim = places.shape[-1]
    return all(step % dim == 0 for step in (*places.strides[:-1], places.start))


def _transposition(network: Network, mix: Node) -> tuple[str, ...]:
    """Return the node after the last product that puts the heads of a token side by side."""
    after = network.only_reader(mix.name)
    return (after.name,) if after is not None and after.op == Transpose(_BETWEEN) else ()

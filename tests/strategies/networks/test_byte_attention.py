"""Attention in networks of bytes: its types, its scales, its error."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from convprof.dtypes import ATTENTION_BYTES, tolerance
from convprof.measure.operands import NetworkOperands, Operands, max_rel_error
from convprof.problems import NetworkProblem, Operation
from convprof.problems.graph import INPUT, Builder, Network
from convprof.problems.ops import (
    Add,
    Attention,
    LayerNorm,
    Linear,
    MatMul,
    Rearranged,
    RearrangedAttention,
    Reshape,
    Slice,
    Softmax,
    Terms,
    Transpose,
)
from convprof.problems.quantisation import ChannelScales
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.networks.choice import layer_choices
from convprof.strategies.networks.recipe import Recipe
from convprof.strategies.networks.strategy import Chained

N, T, HEADS, DIM = 2, 9, 4, 8
WIDTH = HEADS * DIM
HEADS_FIRST = Transpose((0, 2, 1, 3))


def decoder(mask):
    """Queries, keys and values by a projection each, as exporters write them."""
    net = Builder()
    begin = net.add("norm", LayerNorm(), INPUT)
    for name in "qkv":
        net.add(f"{name}.proj", Linear(WIDTH), begin)
        net.add(f"{name}.apart", Reshape((N, T, HEADS, DIM)))
        net.add(f"{name}.heads", HEADS_FIRST)
    scores = net.add("scores", MatMul(transpose_b=True, scale=0.2), "q.heads", "k.heads")
    if mask == "activation":
        net.add("row", Slice(2, 0, T), INPUT)
        row = net.add("apart", Reshape((N, 1, T, T)))
        scores = net.add("masked", Add(), row, scores)
    elif mask is not None:
        scores = net.add("masked", mask, scores)
    net.add("softmax", Softmax(), scores)
    net.add("mix", MatMul(), "softmax", "v.heads")
    net.add("order", HEADS_FIRST)
    net.add("rows", Reshape((N, T, WIDTH)))
    net.add("out", Linear(WIDTH))
    return Network("decoder", (N, T, WIDTH), tuple(net.nodes))


CAUSAL = Terms((1, 1, T, T), learned=False, causal=True)


def chain(network, threads=1):
    setting = Setting("nchw", "u8:s8:s32", threads, tune="off")
    recipe = Recipe(network, fuse=True)
    choices = layer_choices(recipe, ("auto",), setting, "nchw")
    whole = NetworkProblem(network)
    prepared = Chained("chain", recipe, choices).prepare(whole, setting)
    operands = NetworkOperands(whole, setting.types, 0)
    prepared.bind(*operands.all("nchw"))
    prepared.run()
    return prepared, operands


OF_PAIRS = Terms((1, HEADS, T, T))


@pytest.mark.parametrize("mask", [None, CAUSAL, OF_PAIRS, "activation"], ids=str)
def test_projections_side_by_side_write_bytes_with_scales_of_their_own(mask):
    prepared, operands = chain(decoder(mask))
    types = {link.choice.dtype: link for link in prepared._links}
    attention, projection = types["s8:s8:u8"], types["u8:s8:s8"]
    assert attention.reads[0] == projection.writes
    assert [each.dtype for each in attention.reads[1:]] == [""] * (mask == "activation")
    scale = prepared._scales[projection.writes.name]
    assert isinstance(scale, ChannelScales)
    assert len(set(scale.of_channels.tolist())) == 3
    whole = prepared.problem
    limit = tolerance(prepared.setting.types, whole.terms, whole.roundings)
    assert 1e-4 < max_rel_error(operands, prepared.output(), "nchw") < limit < 0.05


def test_queries_of_a_large_range_leave_the_steps_of_values_alone():
    network = decoder(None)
    prepared, operands = chain(network)
    x, drawn = operands.all("nchw")
    weights = {name: dict(own) for name, own in drawn.items()}
    for name, factor in (("q.proj", 100), ("k.proj", 0.01)):
        weights[name]["weight"] = weights[name]["weight"] * np.float32(factor)
    prepared.bind(x, weights)
    prepared.run()
    expected = network.reference(x, weights)
    error = np.abs(prepared.output() - expected).max() / np.abs(expected).max()
    assert error < 0.05


@pytest.mark.parametrize("factor", [0, 1e-6])
@pytest.mark.parametrize("part", ["q.proj", "k.proj"])
def test_a_mask_counts_where_queries_or_keys_are_tiny(part, factor):
    network = decoder(OF_PAIRS)
    prepared, operands = chain(network)
    x, drawn = operands.all("nchw")
    weights = {name: dict(own) for name, own in drawn.items()}
    for name, array in drawn[part].items():
        weights[part][name] = array * np.float32(factor)
    prepared.bind(x, weights)
    prepared.run()
    expected = network.reference(x, weights)
    error = np.abs(prepared.output() - expected).max() / np.abs(expected).max()
    assert error < 0.05


def test_the_channels_of_many_images_need_no_memory():
    channels, shape = 3 * WIDTH, (40, 1000, 3 * WIDTH)
    tracemalloc.start()
    try:
        found = Attention(HEADS).byte_attention(shape).channels((shape,))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [number for number, _ in found] == [0, 0, 0]
    assert np.concatenate([own for _, own in found]).tolist() == list(range(channels))
    assert most < 1.1 * np.prod(shape)  # an array whose pages nothing touches


def test_channels_of_two_parts_are_in_common():
    same = side_by_side_parts()
    op = RearrangedAttention(**same, sources=(0, 1, 1), scale=0.1, heads=HEADS)
    shapes = ((N, T, WIDTH),) * 2
    assert op.byte_attention(*shapes).channels(shapes) is None


def side_by_side_parts():
    parts = (Rearranged((Reshape((N, T, HEADS, DIM)), HEADS_FIRST)),) * 3
    return dict(zip(("queries", "keys", "values"), parts, strict=True))


OPS = {
    "thirds": (Attention(HEADS), ((N, T, 3 * WIDTH),)),
    "apart": (
        RearrangedAttention(**side_by_side_parts(), scale=0.1, heads=HEADS, tokens_first=True),
        ((N, T, WIDTH),) * 3,
    ),
    "causal": (
        RearrangedAttention(**side_by_side_parts(), scale=0.5, heads=HEADS, mask=CAUSAL),
        ((N, T, WIDTH),) * 3,
    ),
    "of pairs": (
        RearrangedAttention(**side_by_side_parts(), scale=0.5, heads=HEADS, mask=OF_PAIRS),
        ((N, T, WIDTH),) * 3,
    ),
    "masked": (
        RearrangedAttention(**side_by_side_parts(), scale=0.5, heads=HEADS, mask=Add()),
        (*((N, T, WIDTH),) * 3, (N, 1, 1, T)),
    ),
}


@pytest.mark.parametrize("dtype", ATTENTION_BYTES)
@pytest.mark.parametrize("case", OPS)
def test_operations_in_bytes(case, dtype):
    op, inputs = OPS[case]
    problem, setting = Operation(op=op, inputs=inputs), Setting(dtype=dtype)
    operands = Operands(problem, setting.types, 0)
    assert [spec.name for spec in problem.operands("nchw", setting.types)][-1] in {
        "scales", "result_zero"
    }  # fmt: skip
    strategy = registry.find("operation", "vectors")
    prepared = strategy.prepare(problem, setting)
    prepared.bind(*operands.all("nchw"))
    prepared.run()
    of = setting.types
    limit = tolerance(of, T, 2) + problem.known_error(of)
    assert max_rel_error(operands, prepared.output(), "nchw") <= limit


def test_what_computes_in_bytes_and_what_does_not():
    vectors = registry.find("operation", "vectors")
    norm = Operation(op=LayerNorm(), inputs=((N, T, WIDTH),))
    reason = vectors.why_not(norm, Setting(dtype="s8:s8:u8"))
    assert reason == "vectors computes layer norm in one type, not s8:s8:u8"
    long = Operation(op=Attention(1), inputs=((1, 2, 3 * 5000),))
    reason = vectors.why_not(long, Setting(dtype="s8:s8:u8"))
    assert reason == "vectors has up to 4,096 elements in a head of bytes, not 5,000"

from __future__ import annotations

import numpy as np
import pytest

from convprof.dtypes import F32, tolerance, types
from convprof.errors import ProblemError, RefusedError
from convprof.measure.operands import NetworkOperands, max_rel_error
from convprof.networks.fold import folded
from convprof.problems import Gemm, NetworkProblem
from convprof.problems.graph import INPUT, Builder, Network
from convprof.problems.layouts import LAYOUTS
from convprof.problems.ops import (
    Activation,
    AdaptiveAverage,
    Add,
    AttentionMix,
    AttentionScores,
    BatchNorm,
    ClassToken,
    Concat,
    Convolution,
    Flatten,
    Known,
    LayerNorm,
    LayerScale,
    Linear,
    Multiply,
    Pool2d,
    PositionEmbedding,
    Reshape,
    SelectToken,
    Slice,
    Softmax,
    Tokens,
)
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.networks.choice import LayerChoice, layer_choices
from convprof.strategies.networks.connections import connect
from convprof.strategies.networks.quantised import Scale
from convprof.strategies.networks.recipe import Recipe
from convprof.strategies.networks.strategy import Chained


def convolutional(n=2):
    net = Builder()
    net.add("stem", Convolution.square(12, 3, stride=2))
    net.add("bn", BatchNorm())
    net.add("relu", Activation("relu"))
    begin = net.add("pool", Pool2d.square("max", 3, stride=2, pad=1))
    net.add("depthwise", Convolution.square(12, 3, groups=12))
    net.add("silu", Activation("silu"))
    net.add("point", Convolution.square(12, 1))
    net.add("scale", LayerScale())
    whole = net.add("sum", Add(), net.last, begin)
    net.add("gate", AdaptiveAverage(1, 1))
    net.add("sigmoid", Activation("sigmoid"))
    net.add("gated", Multiply(), whole, "sigmoid")
    net.add("half", Slice(1, 3, 9))
    net.add("both", Concat(1), "half", "gated")
    net.add("flat", Flatten())
    net.add("fc", Linear(7))
    return Network("convolutional", (n, 3, 19, 17), tuple(net.nodes))


def transformer(n=2):
    net = Builder()
    net.add("patches", Convolution.square(16, 4, stride=4, pad=0, bias=True))
    net.add("tokens", Tokens())
    net.add("class", ClassToken())
    begin = net.add("position", PositionEmbedding())
    net.add("ln", LayerNorm())
    packed = net.add("in", Linear(48))
    net.add("qk", AttentionScores(2))
    net.add("softmax", Softmax())
    net.add("pv", AttentionMix(2), net.last, packed)
    net.add("out", Linear(16))
    middle = net.add("add", Add(), net.last, begin)
    net.add("mlp", Linear(24))
    net.add("gelu", Activation("gelu"))
    net.add("back", Linear(16))
    net.add("add2", Add(), net.last, middle)
    net.add("select", SelectToken(0))
    net.add("head", Linear(5))
    return Network("transformer", (n, 3, 12, 12), tuple(net.nodes))


def run(network, setting, *, fuse, names=("auto",), chosen=None):
    recipe = Recipe(network, fuse=fuse)
    found = chosen or layer_choices(recipe, names, setting, setting.layout)
    whole = NetworkProblem(network)
    prepared = Chained("chain", recipe, found).prepare(whole, setting)
    operands = NetworkOperands(whole, setting.types, 0)
    prepared.bind(*operands.all(setting.layout))
    prepared.run()
    return prepared, operands


@pytest.mark.parametrize("build", [convolutional, transformer])
@pytest.mark.parametrize("fuse", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [1, 2])
def test_a_chain_computes_its_network(build, fuse, layout, threads, n):
    setting = Setting(layout, threads=threads, tune="off")
    prepared, operands = run(build(n), setting, fuse=fuse)
    assert max_rel_error(operands, prepared.output(), layout) < 1e-5
    prepared.run()
    assert max_rel_error(operands, prepared.output(), layout) < 1e-5


@pytest.mark.parametrize("build", [convolutional, transformer])
def test_a_chain_in_float64(build):
    prepared, operands = run(build(), Setting("nhwc", "f64", tune="off"), fuse=True)
    assert max_rel_error(operands, prepared.output(), "nhwc") < 1e-12


@pytest.mark.parametrize("build", [convolutional, transformer])
@pytest.mark.parametrize(("dtype", "layout"), [("bf16", "nchw"), ("f16", "nhwc")])
def test_a_chain_of_short_floats(build, dtype, layout):
    setting = Setting(layout, dtype, tune="off")
    if registry.find("gemm", "prepacked").why_not(Gemm(m=1, n=1, k=1), setting):
        pytest.skip("this CPU does not convert f16")
    prepared, operands = run(build(1), setting, fuse=dtype == "bf16")
    whole = prepared.problem
    limit = tolerance(setting.types, whole.terms, whole.roundings)
    assert prepared.output().dtype == setting.types.result.array_type
    assert 1e-4 < max_rel_error(operands, prepared.output(), layout) < limit


@pytest.mark.parametrize("build", [convolutional, transformer])
@pytest.mark.parametrize(
    ("layout", "names"), [("nchw", ("auto",)), ("nhwc", ("auto",)), ("nchw", ("direct", "naive"))]
)
def test_a_chain_in_bytes(build, layout, names):
    setting = Setting(layout, "u8:s8:s32", tune="off")
    prepared, operands = run(build(1), setting, fuse=True, names=names)
    whole = prepared.problem
    limit = tolerance(setting.types, whole.terms, whole.roundings)
    assert prepared.output().dtype == np.float32
    assert 1e-4 < max_rel_error(operands, prepared.output(), layout) < limit < 0.05
    first = prepared.output().copy()
    prepared.bind(*operands.all(layout))
    prepared.run()
    np.testing.assert_array_equal(first, prepared.output())  # the calibration is deterministic


def in_int8(network, layout):
    """Return the names of the steps by their types, and the links of a network in int8."""
    setting = Setting(layout, "u8:s8:s32", tune="off")
    recipe = Recipe(network, fuse=True)
    choices = layer_choices(recipe, ("auto",), setting, layout)
    names = {}
    for step, choice in zip(recipe.steps, choices, strict=True):
        names.setdefault(choice.dtype, set()).add(step.name)
    return names, connect(network, recipe.steps, choices, layout).links


def test_what_computes_in_bytes():
    names, links = in_int8(folded(convolutional(1)), "nhwc")
    assert names["u8:s8:u8"] == {"stem", "point", "fc"}  # silu follows the depthwise layer
    assert names["u8"] == {"pool"}
    conversions = [link.name for link in links if link.step is None]
    assert conversions[:2] == ["input to u8", "pool to f32"]


def test_what_reads_bytes_and_writes_f32():
    names, links = in_int8(folded(transformer(1)), "nchw")
    # GELU, and the sums of the residual stream
    assert names["u8:s8:f32"] == {"out", "mlp", "back"}
    assert names["u8:s8:u8"] == {"patches", "head"}
    mix = next(link for link in links if link.name == "out")
    assert [tensor.dtype for tensor in (*mix.reads, mix.writes)] == ["u8", "", ""]


def test_attention_reads_what_its_projection_writes_and_writes_what_is_read():
    names, links = in_int8(folded(transformer(1)), "nchw")
    assert (names["u8:s8:s8"], names["s8:s8:u8"]) == ({"in"}, {"qk"})
    places = [link.name for link in links]
    assert places[places.index("in") :][:3] == ["in", "qk", "out"]  # nothing is converted


def test_a_projection_that_something_else_reads_stays_as_it_was():
    net = Builder()
    packed = net.add("in", Linear(48))
    net.add("qk", AttentionScores(2))
    net.add("softmax", Softmax())
    mixed = net.add("pv", AttentionMix(2), net.last, packed)
    net.add("third", Slice(2, 0, 16), packed)
    net.add("sum", Add(), net.last, mixed)
    names, _ = in_int8(Network("read twice", (2, 5, 16), tuple(net.nodes)), "nchw")
    assert "s8:s8:u8" not in names
    assert names["u8:s8:u8"] == {"in"}


def test_a_result_in_f32_changes_its_layout_in_a_network_in_bytes():
    net = Builder()
    net.add("first", Convolution.square(12, 3))
    net.add("silu", Activation("silu"))
    net.add("flat", Flatten())
    net.add("images", Reshape((1, 12, 16, 16)))
    net.add("last", Convolution.square(8, 3))
    network = Network("reshaped", (1, 3, 16, 16), tuple(net.nodes))
    setting = Setting("nhwc", "u8:s8:s32", tune="off")
    prepared, operands = run(network, setting, fuse=True)
    (changed,) = [link for link in prepared._links if link.name == "images to nhwc"]
    assert prepared._types(changed) == F32
    assert max_rel_error(operands, prepared.output(), "nhwc") < 0.02


@pytest.mark.parametrize(
    ("op", "x"),
    [(Convolution.square(5, 1, bias=True), (1, 3, 4, 4)), (Linear(5), (4, 16))],
    ids=["conv", "linear"],
)
@pytest.mark.parametrize("source", [1.0, 0.0], ids=["usual input", "input of zeros"])
def test_a_bias_is_exact_however_small_the_weights_of_its_channel(op, x, source):
    net = Builder()
    net.add("layer", op)
    network = Network("small weights", x, tuple(net.nodes))
    prepared, operands = run(network, Setting("nchw", "u8:s8:s32", tune="off"), fuse=True)
    data, drawn = operands.all("nchw")
    sizes = np.array([0, 1e-8, 1e-6, 1e-5, 0.1], np.float32)
    own = {name: array.copy() for name, array in drawn["layer"].items()}
    own["weight"][...] = op.along_results(sizes)
    own["bias"][...] = [0.5, -0.25, 0.5, 0.25, 0.5]
    weights = {"layer": own}
    prepared.bind(source * data, weights)
    prepared.run()
    expected = network.reference(source * data, weights)
    byte = Scale.of(expected).scale
    np.testing.assert_allclose(prepared.output(), expected, rtol=0, atol=1.5 * byte)


def linear(layers):
    net = Builder()
    for index in range(layers):
        net.add(f"fc{index}", Linear(96))
    return Network("few", (4, 96), tuple(net.nodes))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_few_layers_in_bytes_have_the_error_of_their_roundings(layers):
    setting = Setting("nchw", "u8:s8:s32", tune="off")
    whole = NetworkProblem(linear(layers))
    limit = tolerance(setting.types, whole.terms, whole.roundings)
    assert limit + whole.known_error(setting.types) < 0.03
    rng = np.random.default_rng(0)
    for _ in range(5):
        prepared, operands = run(whole.network, setting, fuse=True)
        data, drawn = operands.all("nchw")
        x = rng.standard_normal(data.shape).astype(np.float32)
        weights = {
            name: {each: rng.standard_normal(w.shape).astype(np.float32) for each, w in own.items()}
            for name, own in drawn.items()
        }
        prepared.bind(x, weights)
        prepared.run()
        expected = whole.network.reference(x, weights)
        error = np.abs(prepared.output() - expected).max() / np.abs(expected).max()
        assert 0 < error <= limit + whole.known_error(setting.types)


def test_only_few_layers_in_bytes_have_an_error_of_their_own():
    int8, bf16 = (types(name) for name in ("u8:s8:s32", "bf16"))
    assert NetworkProblem(linear(1)).known_error(int8) > 0
    assert NetworkProblem(linear(1)).known_error(bf16) == 0
    assert NetworkProblem(linear(9)).known_error(int8) == 0


def test_a_scale_covers_all_numbers_and_zero():
    scale = Scale.of(np.array([-1.0, 3.0]))
    assert (scale.zero, round(scale.scale * 255, 5)) == (64, 4)
    assert Scale.of(np.array([2.0, 5.1])).zero == 0
    assert Scale.of(np.zeros(3)).scale > 0


def test_layouts_may_change_from_layer_to_layer():
    network = convolutional()
    recipe = Recipe(network, fuse=True)
    setting = Setting("nchw", tune="off")
    mixed = [LayerChoice("auto", LAYOUTS[index % 2]) for index in range(len(recipe.steps))]
    prepared, operands = run(network, setting, fuse=True, chosen=mixed)
    assert max_rel_error(operands, prepared.output(), "nchw") < 1e-5


@pytest.mark.parametrize("names", [("direct", "naive"), ("im2col", "blas"), ("tiled",)])
def test_other_strategies_make_a_chain_too(names):
    prepared, operands = run(convolutional(), Setting("nchw", tune="off"), fuse=True, names=names)
    assert max_rel_error(operands, prepared.output(), "nchw") < 1e-5


def test_the_layers_are_timed_by_name():
    prepared, _ = run(convolutional(), Setting("nhwc", tune="off"), fuse=False)
    seconds = prepared.run_phases()
    assert set(seconds) >= {"stem", "bn", "pool", "gated", "fc"}
    assert all(value > 0 for value in seconds.values())


def test_new_operands_can_be_bound():
    network = convolutional()
    prepared, _ = run(network, Setting("nhwc", tune="off"), fuse=True)
    other = NetworkOperands(NetworkProblem(network), F32, 1)
    prepared.bind(*other.all("nhwc"))
    prepared.run()
    assert max_rel_error(other, prepared.output(), "nhwc") < 1e-5


def test_results_share_memory():
    net = Builder()
    for index in range(12):
        net.add(f"c{index}", Convolution.square(8, 3))
    network = Network("long", (1, 8, 64, 64), tuple(net.nodes))
    prepared, _ = run(network, Setting("nhwc", tune="off"), fuse=True, names=("microkernel",))
    one = 8 * 64 * 64 * 4
    assert prepared._arena.nbytes == 2 * one


def test_an_input_of_another_shape_is_refused():
    network = convolutional()
    prepared, operands = run(network, Setting("nhwc", tune="off"), fuse=True)
    with pytest.raises(ProblemError, match="x has shape"):
        prepared.bind(np.zeros((1, 2, 3, 4), np.float32), operands.weights)


def test_a_layer_that_no_strategy_takes_says_why():
    network = convolutional()
    recipe = Recipe(network, fuse=False)
    with pytest.raises(RefusedError, match=r"layer depthwise .*winograd needs.*: winograd,auto"):
        layer_choices(recipe, ("winograd",), Setting("nhwc"), "nhwc")


def test_the_input_may_be_the_result():
    net = Builder()
    net.add("same", Slice(0, 0, 1), INPUT)
    network = Network("same", (1, 3, 4, 4), tuple(net.nodes))
    prepared, operands = run(network, Setting("nhwc", tune="off"), fuse=False)
    assert max_rel_error(operands, prepared.output(), "nhwc") == 0


def test_what_depends_on_no_input_is_computed_once():
    net = Builder()
    net.add("known", Known((1, 4, 9)), INPUT)
    first = net.add("first", Activation("relu"), INPUT)
    net.add("sum", Add(), first, "known")
    net.add("twice", Add(), "sum", first)
    net.add("again", Multiply(), "twice", "known")
    network = Network("known", (1, 4, 9), tuple(net.nodes))
    prepared, operands = run(network, Setting("nchw", tune="off"), fuse=True)
    seconds = prepared.run_phases()
    assert list(seconds) == ["known", "first", "sum", "twice", "again"]
    assert [name for name, work in prepared._steps if not work] == ["known"]
    assert max_rel_error(operands, prepared.output(), "nchw") < 1e-6

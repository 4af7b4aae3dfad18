"""The answer of ``network NAME``: which layers take the time, how far the limits are, what next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_network import found, layers, measured

from convprof.networks.steps import Step
from convprof.problems import Operation
from convprof.problems.ops import Opaque
from convprof.stats import Ratio
from convprof.studies.comparison import Comparison
from convprof.studies.network.answer import answer
from convprof.studies.network.options import Options

COMMAND = ["convprof", "network", "small"]


def test_the_answer_names_the_kinds_and_the_limit():
    given = answer(found(libraries=[]), COMMAND)
    first, second = given.sentences
    assert first == "conv takes 61 % of the layers' time, depthwise conv 31 %."
    assert second == (
        "The whole chain takes 70.0 µs, 14,286 per second, without a conversion between layouts: "
        "4.3 times as long as its layers at their ceilings; conv loses most of it (25 % of its "
        "ceiling, limited by compute)."
    )


@pytest.mark.parametrize(
    ("dtype", "names", "words"),
    [
        ("f32", ("conv to nchw",), "10 % of it in 1 conversion between layouts:"),
        ("u8:s8:u8", ("input to u8", "fc to f32"), "in 2 conversions between f32 and bytes:"),
        (
            "u8:s8:u8",
            ("input to u8", "conv to nchw"),
            "20 % of it in 2 conversions between layouts, and between f32 and bytes:",
        ),
        ("u8:s8:u8", (), "without a conversion between f32 and bytes:"),
    ],
)
def test_the_answer_says_what_the_conversions_convert(dtype, names, words):
    options = Options(dtype=dtype)
    given = answer(found(options=options, conversions=dict.fromkeys(names, 7e-6)), COMMAND)
    assert words in given.sentences[1]


def test_a_library_in_the_answer():
    sentence = answer(found(), COMMAND).sentences[2]
    assert sentence == "Convprof is faster: torch takes 1.41 times as long."
    chain = found().chain
    faster = Comparison(replace(chain, strategy="torch"), chain, Ratio(0.8, 0.79, 0.81, 25))
    assert answer(found(libraries=[faster]), COMMAND).sentences[2] == (
        "Torch is faster: it takes 0.80 times as long."
    )


def test_fusing_is_recommended_where_it_saves_much():
    slow = [
        replace(layer, hot=measured(layer.step.problem, 20e-6))
        if layer.kind == "activation"
        else layer
        for layer in layers()
    ]
    given = answer(found(layers=slow, libraries=[]), COMMAND)
    assert given.sentences[2] == (
        "Fusing computes activation layers, 24 % of the time, together with the layers before them."
    )
    assert given.command == "convprof network small --fuse"
    fused = answer(found(layers=slow, libraries=[], options=Options(fuse=True)), COMMAND)
    assert len(fused.sentences) == 2


def doubtful(layer):
    return layer if layer.view else replace(layer, hot=replace(layer.hot, doubt="a storm"))


def test_layers_in_doubt_are_left_out_of_the_answer():
    one = [doubtful(layer) if layer.kind == "activation" else layer for layer in layers()]
    given = answer(found(layers=one), COMMAND)
    assert given.sentences[0].startswith("conv takes 63 % of the layers' time, depthwise conv 31 %")
    assert given.sentences[0].endswith(" (1 in doubt left out).")
    assert "ceilings" not in given.sentences[1]
    much = [doubtful(layer) if layer.kind == "conv" else layer for layer in layers()]
    sentences = answer(found(layers=much), COMMAND).sentences
    assert sentences == ("No conclusion: the times of 1 of 5 layers are in doubt (a storm).",)
    every = answer(found(layers=[doubtful(layer) for layer in layers()]), COMMAND)
    assert every.sentences == ("No conclusion: the times of 5 of 5 layers are in doubt (a storm).",)
    assert every.command == "convprof network small --wait-idle"
    chain = replace(found().chain, doubt="a storm")
    assert answer(found(chain=chain), COMMAND).sentences[1] == (
        "The time of the chain is in doubt: a storm."
    )


def test_a_layer_that_dominates_is_compared_with_libraries():
    given = answer(found(options=Options(fuse=True)), COMMAND)
    assert given.command.startswith("convprof compare peers mb1ic8ih32oc16oh16kh3sh2ph1 --epil")


@pytest.mark.parametrize(("dtype", "asked"), [("u8:s8:u8", "u8:s8:u8"), ("u8:s8:s32", "int8")])
def test_a_layer_in_bytes_is_compared_without_the_epilogue_that_no_library_takes(dtype, asked):
    every = [
        layer if layer.view else replace(layer, hot=replace(layer.hot, dtype=dtype))
        for layer in layers()
    ]
    slowest = every[0]
    problem = {**slowest.hot.problem, "epilogue": "bias,relu"}
    every[0] = replace(slowest, hot=replace(slowest.hot, problem=problem))
    given = answer(found(layers=every, options=Options(fuse=True)), COMMAND)
    assert given.command == f"convprof compare peers mb1ic8ih32oc16oh16kh3sh2ph1 --dtype {asked}"


def test_without_a_dominant_layer_the_plan_is_next():
    even = [
        replace(layer, hot=measured(layer.step.problem, 5e-6)) if not layer.view else layer
        for layer in layers()
    ]
    given = answer(found(layers=even, options=Options(fuse=True)), COMMAND)
    assert given.command == "convprof network small --plan"


def test_a_network_in_bytes_has_no_plan_and_conversions_of_types():
    options = Options(fuse=True, dtype="u8:s8:s32")
    in_bytes = [
        replace(layer, hot=measured(layer.step.problem, 5e-6, dtype="u8:s8:u8"))
        if not layer.view
        else layer
        for layer in layers()
    ]
    conversions = {"input to u8": 3e-6, "fc to f32": 4e-6}
    page = found(layers=in_bytes, options=options, conversions=conversions, libraries=[])
    given = answer(page, COMMAND)
    assert "per second, 10 % of it in 2 conversions between f32 and bytes" in given.sentences[1]
    assert given.command == ("convprof compare peers mb1ic8ih32oc16oh16kh3sh2ph1 --dtype u8:s8:u8")
    moving = [layer for layer in in_bytes if layer.step.problem.kind == "operation"]
    page = found(layers=moving, options=options, libraries=[])
    assert "without a conversion between f32 and bytes" in answer(page, COMMAND).sentences[1]
    assert answer(page, COMMAND).command == "convprof network small --fuse --wait-idle"


def test_nothing_measured_has_no_answer():
    assert answer(found(layers=[]), COMMAND) is None


def opaque(layer):
    op = Opaque(
        operator="GRU", reads=((1, 2),), result=(1, 2), weight_shapes=(), model=b"",
        multiply_adds=0, evaluate=np.asarray,
    )  # fmt: skip
    problem = Operation(op=op, inputs=op.reads, name="gru")
    hot = measured(problem, 10e-6)
    step = Step(("gru",), problem, ("input",), "gru")
    return replace(layer, step=step, hot=hot, cold=None, ceiling=None, bound=None)


def test_nothing_is_concluded_from_an_opaque_layer():
    mixed = [opaque(layer) if layer.kind == "activation" else layer for layer in layers()]
    given = answer(found(layers=mixed, libraries=[]), COMMAND)
    first, second, third = given.sentences
    assert first == "conv takes 63 % of the layers' time, depthwise conv 31 %."
    assert second == (
        "ONNX Runtime computes GRU (opaque), 14 % of all layers' time: nothing else is concluded "
        "from it."
    )
    assert "ceilings" not in third
    alone = answer(found(layers=[opaque(layers()[0])]), COMMAND)
    assert alone.sentences[0].startswith("ONNX Runtime computes GRU (opaque), 100 % of all")
    assert alone.command == "convprof network small --wait-idle"

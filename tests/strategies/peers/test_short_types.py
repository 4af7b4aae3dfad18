"""Libraries in bf16, f16 and bytes: right results, and in which type they really compute."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from io import BufferedReader, BytesIO

import numpy as np
import pytest

from convprof.codegen.target import target
from convprof.dtypes import tolerance, types
from convprof.errors import RefusedError
from convprof.logs.lines import LineReader
from convprof.logs.operation import Reading
from convprof.machine import facts
from convprof.measure.operands import draw, max_rel_error
from convprof.problems import Conv2d, Gemm
from convprof.problems.epilogue import Epilogue
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.peers import onnx_nodes, onnxruntime, openvino, package
from convprof.strategies.peers.openvino_forms import Forms, shared

BYTES = ["u8:s8:s32", "s8:s8:s32"]
TAKEN = {
    "torch": ["bf16", "f16", *BYTES, "u8:s8:u8", "u8:s8:s8"],
    "onnxruntime": ["f16", *BYTES, "u8:s8:u8", "s8:s8:s8"],
    "openvino": ["bf16", "f16", *BYTES, "u8:s8:u8", "u8:s8:s8", "s8:s8:u8", "s8:s8:s8"],
}
OLD_RUNTIME = re.compile(r"onnxruntime 1\.1\d\.\S+ has no ConvInteger of \S+")
PACKAGES = {"torch": ["torch"], "onnxruntime": ["onnxruntime", "onnx"], "openvino": ["openvino"]}
THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
PRODUCTS = [Gemm(m=17, n=23, k=40), Gemm(m=1, n=130, k=257), Gemm(m=4, n=5, k=6, batch=3)]


def skip_without(name):
    missing = [item for item in PACKAGES[name] if importlib.util.find_spec(item) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: pip install 'convprof[peers]'")


def bound(name, g, setting, seed=0):
    operands = draw(g, setting.types, seed)
    prepared = registry.find(g.kind, name).prepare(g, setting)
    try:
        prepared.bind(*operands.all(setting.layout))
    except RefusedError as error:
        if not OLD_RUNTIME.fullmatch(str(error)):
            raise
        pytest.skip(str(error))
    return prepared, operands


@pytest.mark.parametrize("g", PRODUCTS, ids=lambda g: g.descriptor)
@pytest.mark.parametrize(("name", "dtype"), [(n, d) for n, every in TAKEN.items() for d in every])
def test_products_of_short_types(name, dtype, g):
    skip_without(name)
    for threads in THREADS:
        setting = Setting(dtype=dtype, threads=threads)
        reason = registry.find("gemm", name).why_not(g, setting)
        if reason is not None:
            assert g.batch > 1
            assert "batch of products" in reason
            return
        prepared, operands = bound(name, g, setting)
        prepared.run()
        prepared.output()[...] = 0
        prepared.run()
        assert prepared.output().dtype == setting.types.result.array_type
        error = max_rel_error(operands, prepared.output(), "nchw")
        assert error <= tolerance(setting.types, g.k)
        prepared.close()


CONVOLUTIONS = [
    Conv2d(n=2, c=8, h=9, w=7, k=12, r=3, s=2, stride=(2, 1), pad=(1, 0, 2, 1), groups=4),
    Conv2d(c=16, h=6, w=6, k=16, r=3, s=3, pad=(1, 1), groups=16),
]


@pytest.mark.parametrize("p", CONVOLUTIONS, ids=lambda p: p.descriptor)
@pytest.mark.parametrize(("name", "dtype"), [(n, d) for n, every in TAKEN.items() for d in every])
def test_convolutions_of_short_types(name, dtype, p):
    skip_without(name)
    for layout in ("nchw", "nhwc"):
        setting = Setting(layout, dtype, THREADS[-1])
        reason = registry.find("conv2d", name).why_not(p, setting)
        if reason is not None:
            assert (name, dtype) == ("torch", "s8:s8:s32") or (name, layout) == (
                "onnxruntime", "nhwc",
            )  # fmt: skip
            continue
        prepared, operands = bound(name, p, setting)
        prepared.run()
        assert prepared.output().dtype == setting.types.result.array_type
        error = max_rel_error(operands, prepared.output(), layout)
        assert error <= tolerance(setting.types, p.terms)
        prepared.close()


def test_weights_of_onnxruntime_as_unsigned_bytes_give_the_same_sums():
    skip_without("onnxruntime")
    p = CONVOLUTIONS[0]
    strategy = registry.find("conv2d", "onnxruntime")
    prepared, operands = bound("onnxruntime", p, Setting(dtype=BYTES[0]))
    _, weights = operands.all("nchw")
    forms = prepared.forms(weights)
    assert [list(form) for form in forms] == [["w"], ["w", "x_zero", "w_zero"]]
    for form in forms:
        one = strategy.prepare(p, Setting(dtype=BYTES[0]))
        one.forms = lambda _, form=form: [form]
        try:
            one.bind(*operands.all("nchw"))
        except RefusedError as error:
            if OLD_RUNTIME.fullmatch(str(error)):
                continue
            raise
        one.run()
        assert max_rel_error(operands, one.output(), "nchw") == 0


@pytest.mark.parametrize("refused", [1, 2])
def test_forms_that_a_version_of_onnxruntime_lacks(monkeypatch, refused):
    skip_without("onnxruntime")
    lacks = importlib.import_module("onnxruntime").capi.onnxruntime_pybind11_state.NotImplemented
    real, tried = onnxruntime.session, []

    def session(*arguments):
        tried.append(arguments)
        if len(tried) <= refused:
            raise lacks("no such operator")
        return real(*arguments)

    monkeypatch.setattr(onnxruntime, "session", session)
    p, setting = CONVOLUTIONS[0], Setting(dtype=BYTES[0])
    prepared = registry.find("conv2d", "onnxruntime").prepare(p, setting)
    operands = draw(p, setting.types, 0)
    if refused == len(prepared.forms(operands.all("nchw")[1])):
        with pytest.raises(RefusedError, match=r"^onnxruntime \S+ has no ConvInteger of int8$"):
            prepared.bind(*operands.all("nchw"))
    else:
        prepared.bind(*operands.all("nchw"))
        prepared.run()
        assert max_rel_error(operands, prepared.output(), "nchw") == 0


@pytest.mark.parametrize(
    ("kind", "name"), [(p.kind, n) for p in (PRODUCTS[0], CONVOLUTIONS[0]) for n in TAKEN]
)
def test_no_library_takes_an_epilogue_of_short_types(kind, name):
    """PyTorch fuses epilogues in f32 and f64."""
    first = next(p for p in (PRODUCTS[0], CONVOLUTIONS[0]) if p.kind == kind)
    problem = first.with_epilogue(Epilogue(bias=True))
    for dtype in TAKEN[name]:
        reason = registry.find(kind, name).why_not(problem, Setting("nchw", dtype))
        assert reason is not None


@pytest.mark.parametrize("name", TAKEN)
def test_extremes_of_bytes_are_exact(name):
    skip_without(name)
    g = Gemm(m=3, n=20, k=70)
    for dtype in BYTES:
        setting = Setting(dtype=dtype)
        limits = np.iinfo(setting.types.source.array_type)
        for a in (limits.min, limits.max):
            for b in (-128, 127):
                prepared = registry.find("gemm", name).prepare(g, setting)
                prepared.bind(np.full(g.a_shape, a), np.full(g.b_shape, b))
                prepared.run()
                assert (prepared.output() == g.k * int(a) * b).all()
                prepared.close()


def test_torch_computes_bf16_in_the_type_that_its_log_names():
    """oneDNN's own log has the types of the operands and the name of the kernel."""
    skip_without("torch")
    if not target().has("avx512bf16"):
        pytest.skip("without AVX512_BF16 oneDNN leaves bf16 to PyTorch")
    code = (
        "import convprof, numpy as np; from convprof.problems import Gemm;"
        "p = convprof.prepare(Gemm(m=64, n=64, k=64), 'torch', 'nchw', 1, 'bf16');"
        "p.bind(np.ones((64, 64)), np.ones((64, 64))); p.run()"
    )
    log = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ONEDNN_VERBOSE": "1"},
        capture_output=True,
        check=True,
    ).stdout
    calls = LineReader(Reading()).calls(BufferedReader(BytesIO(log)))
    products = [c.operation for c in calls if c.operation.kind in ("matmul", "inner_product")]
    assert {product.types for product in products} == {"bf16"}
    assert all("bf16" in product.implementation for product in products)


def test_onnxruntime_says_that_it_computes_f16_in_f32():
    skip_without("onnxruntime")
    prepared, _ = bound("onnxruntime", PRODUCTS[0], Setting(dtype="f16"))
    expected = "computes f16 in f32, between conversions"
    assert prepared.note == (expected if onnx_nodes.converts("MatMul", "f16") else None)
    for dtype in ("f32", "f64", *BYTES):
        assert bound("onnxruntime", PRODUCTS[0], Setting(dtype=dtype))[0].note is None


def test_conversions_are_found_in_the_model_that_onnxruntime_executes(monkeypatch):
    skip_without("onnxruntime")
    assert not onnx_nodes.converts("MatMul", "f32")
    onnx = package.load("onnx")
    graph = onnx.helper.make_graph([], "g", [], [])
    for operators, expected in ((["MatMul"], False), (["Cast", "MatMul", "Cast"], True)):
        del graph.node[:]
        graph.node.extend(onnx.helper.make_node(each, ["x"], ["y"]) for each in operators)
        executed = onnx.helper.make_model(graph)
        monkeypatch.setattr(
            onnx_nodes, "session", lambda *args, model=executed: onnx.save(model, args[-1])
        )
        assert onnx_nodes.converts.__wrapped__("MatMul", "f16") == expected


def test_openvino_says_in_which_type_it_computes():
    skip_without("openvino")
    notes = {
        dtype: bound("openvino", PRODUCTS[0], Setting(dtype=dtype))[0].note
        for dtype in ("f32", "f16", "bf16", *BYTES)
    }
    assert notes["f32"] is None
    assert notes["f16"] in (None, "computes f16 in f32")
    if target().has("avx512bf16"):
        assert notes["bf16"] is None
    batch, _ = bound("openvino", PRODUCTS[2], Setting(dtype=BYTES[0]))
    assert batch.note in (None, f"computes {BYTES[0]} in f32")


def test_a_lower_precision_of_openvino_is_named_and_beyond_the_tolerance():
    """What OpenVINO does of its own accord: f16 computed in bf16."""
    skip_without("openvino")
    library, operations = package.load("openvino"), package.load("openvino.opset13")
    of, g = types("f16"), Gemm(m=64, n=64, k=256)
    operands = draw(g, of, 0)
    x, weights = operands.all("nchw")
    forms = Forms(library, operations, of)
    parameter = forms.parameter(x.shape)
    product = operations.matmul(parameter, forms.weights(weights), False, False)
    model = library.Model([product], [parameter], "rounded")
    executable = library.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
    if forms.note(executable) in (None, "computes f16 in f32"):
        pytest.skip("OpenVINO computes f16 without loss here")
    assert forms.note(executable) == "computes f16 in bf16"
    y = np.zeros(g.c_shape, np.float16)
    openvino.inference(library, executable, [x], y)()
    assert max_rel_error(operands, y, "nchw") > tolerance(of, g.k)
    assert shared(library, x).element_type == library.Type.f16

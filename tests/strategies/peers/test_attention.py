"""Attention of libraries in every float that they take, in place of our own operands."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.dtypes import F32, tolerance, types
from convprof.machine import software
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Attention, Gemm, parse
from convprof.strategies import registry
from convprof.strategies.base import Setting

P = Attention(batch=2, heads=3, tokens=33, dim=16)


@pytest.mark.parametrize("dtype", ["f32", "bf16", "f16"])
@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_every_float(name, dtype):
    pytest.importorskip(name)
    of, setting = types(dtype), Setting(dtype=dtype)
    strategy = registry.find("attention", name)
    if strategy.why_not(P, setting) is not None:
        pytest.skip(strategy.why_not(P, setting))
    operands = Operands(P, of, 0)
    prepared = strategy.prepare(P, setting)
    q, kv = (each.copy() for each in operands.all("nchw"))
    prepared.bind(q, kv)
    q *= q.dtype.type(0)
    prepared.run()  # the operands are read in place: all scores are equal now
    mean = np.broadcast_to(kv[1].astype("f8").mean(axis=2, keepdims=True), P.shape)
    np.testing.assert_allclose(prepared.output().astype("f8"), mean, atol=2 * of.result.epsilon)
    prepared.bind(*operands.all("nchw"))
    prepared.run()
    assert prepared.output().dtype == of.result.array_type
    limit = tolerance(of, P.terms, P.roundings)
    assert max_rel_error(operands, prepared.output(), "nchw") <= limit
    # A library that computes in another type than its operands have says so.
    assert prepared.note is None or prepared.note.startswith(f"computes {dtype} in ")
    prepared.close()


@pytest.mark.parametrize("name", ["torch", "openvino"])
@pytest.mark.parametrize(
    "text",
    ["3x9x8:causal", "3x9x8:keys", "3x9x8:pairs", "4x3x8:kv2x9:causal", "4x3x8:kv4x9:causal"],
)
def test_masks_and_shared_keys(text, name):
    pytest.importorskip(name)
    p, strategy = parse(f"attention:2x{text}"), registry.find("attention", name)
    reason = strategy.why_not(p, Setting())
    if reason is not None:
        assert p.earlier
        return
    operands = Operands(p, F32, 0)
    prepared = strategy.prepare(p, Setting())
    prepared.bind(*operands.all("nchw"))
    prepared.run()
    assert max_rel_error(operands, prepared.output(), "nchw") < 1e-5
    prepared.close()


def test_an_old_pytorch_shares_no_keys(monkeypatch):
    shared = parse("attention:2x4x3x8:kv2x3")
    monkeypatch.setattr(software, "version", lambda _: "2.4.1+cpu")
    reason = registry.find("attention", "torch").why_not(shared, Setting())
    assert reason == "torch shares heads of keys from version 2.5 on"


def test_refusals():
    shared, after = (parse(f"attention:2x4x3x8:{text}") for text in ("kv2x3", "kv4x9:causal"))
    openvino = registry.find("attention", "openvino")
    assert openvino.why_not(shared, Setting()) == (
        "openvino needs keys for each head; here 2 heads share keys"
    )
    assert openvino.why_not(after, Setting()) == (
        "openvino needs as many keys as queries for a causal mask; here 9 keys and 3 queries"
    )
    strategy = registry.find("attention", "openvino")
    reason = strategy.why_not(P, Setting(dtype="f64"))
    assert reason == "openvino computes f32, bf16 and f16 here, not f64"
    other = strategy.why_not(Gemm(m=1, n=1, k=1), Setting())
    assert other == "openvino computes attention, not gemm"

"""Attention in the tile registers of AMX, executed by a model of the instructions."""

from __future__ import annotations

import pytest

from convprof.codegen import isa as isas
from convprof.codegen.architecture import X86
from convprof.codegen.target import target
from convprof.dtypes import tolerance
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Attention
from convprof.strategies import registry
from convprof.strategies.attention.amx_tiles import TileBlocking
from convprof.strategies.attention.lists import SPACE
from convprof.strategies.base import Setting

pytestmark = pytest.mark.skipif(
    target().arch != X86 or "avx512" not in isas.available(), reason="needs AVX-512 for the rest"
)


def checked(model, p, setting, blocking=None):
    """Run ``fused`` in tile registers, compare its result with the reference, look for faults."""
    of, strategy = setting.types, registry.find("attention", "fused")
    operands = Operands(p, of, 3)
    first = strategy.blockings(p, setting)[0] if blocking is None else blocking
    assert isinstance(first, TileBlocking)
    prepared = strategy.prepare_blocked(p, setting, first)
    prepared.bind(*operands.all("nchw"))
    model.memory = prepared.memory()
    prepared._arrays[SPACE].view("u1")[...] = 0xFF  # NaN in every type: all that is read is written
    prepared.run()
    assert model.faults == []
    assert model.is_released
    assert max_rel_error(operands, prepared.output(), "nchw") <= tolerance(of, p.terms, p.roundings)
    return prepared


CASES = {
    "one token": Attention(heads=1, tokens=1, dim=1),
    "one token beyond": Attention(heads=2, tokens=65, dim=33),
    "vit": Attention(heads=3, tokens=197, dim=64),
    "blocks": Attention(heads=1, tokens=90, dim=20, keys=500),
    "wide": Attention(heads=1, tokens=20, dim=300),
    "causal": Attention(heads=2, tokens=197, dim=64, mask="causal"),
    "causal after others": Attention(heads=4, tokens=130, dim=16, key_heads=2, keys=226,
                                     mask="causal"),
    "keys": Attention(batch=2, heads=4, tokens=33, dim=16, key_heads=2, keys=200, mask="keys"),
    "pairs": Attention(batch=2, heads=2, tokens=70, dim=16, keys=200, mask="pairs"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_particular_problems(model, case):
    checked(model, CASES[case], Setting(dtype="bf16", isa="amx", threads=2))
    assert model.counts["tdpbf16ps"] > 0

"""What an inner loop can reach, on a core that is told what it can do."""

from __future__ import annotations

import pytest

from convprof.codegen.disassembly import Code
from convprof.machine.peaks import Peak
from convprof.problems import Gemm
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.studies.evidence import Core, evidence, latencies, loop_of

PEAK = Peak("avx512", 512, "f32", 1, 192e9, 3e9, 64.0, 2)
LATENCY = {"fma": 4.0, "add": 3.5, "mul": 4.0}


def sums(count, register="zmm"):
    first = f"vfmadd231ps %{register}30, %{register}31, %{register}"
    return Code(tuple(f"{first}{k}" for k in range(count)))


def core(share=1.0, latency=LATENCY, l1=None, peak=PEAK):
    return Core(peak, share, latency, l1)


@pytest.mark.parametrize(("count", "share"), [(1, 1 / 8), (4, 0.5), (8, 1.0), (28, 1.0)])
def test_chains_against_latency_and_ports(count, share):
    found = evidence(sums(count), core())
    assert found.share("chains") == pytest.approx(share)
    assert found.chains_needed == 8
    assert found.latency == 4.0


def test_one_scalar_sum_is_held_by_its_chain_not_by_its_width():
    loop = Code(("vfmadd231ss (%rax), %xmm1, %xmm0",) * 8)
    found = evidence(loop, core(share=1 / 16))
    assert (found.loop.chains, found.loop.links, found.chains_needed) == (1, {"fma": 8}, 8)
    assert found.binding.kind == "chains"
    assert found.binding.share == pytest.approx(1 / 128)


def test_loads_against_the_first_cache():
    loop = Code(("vmovups (%rax), %ymm2", "vfmadd213ps (%rbx), %ymm1, %ymm2"))
    found = evidence(loop, core(share=0.75, l1=384e9))  # 64 bytes, 16 FLOPs
    assert found.binding.kind == "loads"
    assert found.binding.share == pytest.approx(0.5)
    assert (found.share("chains"), found.chains_needed, found.latency) == (None, None, None)


def test_what_is_not_known_is_no_limit():
    unknown = Peak("x", 512, "f32", 1, 192e9, None, None, None)
    found = evidence(sums(4), core(peak=unknown))
    assert [limit.kind for limit in found.limits] == ["arithmetic"]
    assert evidence(sums(4), core(latency={})).chains_needed is None


@pytest.mark.parametrize("name", ["naive", "reordered", "tiled", "packed"])
def test_every_rung_has_a_loop_that_multiplies_and_adds(name):
    prepared = registry.find("gemm", name).prepare(Gemm(m=64, n=64, k=64), Setting())
    loop = loop_of(prepared)
    assert loop.flops > 0
    assert loop.bytes_moved > 0


def test_latencies_that_cannot_be_measured_are_left_out():
    assert latencies("bf16", 7) == {}

"""The digits of activations on other CPUs: the code of an AArch64 CPU with ``usdot``."""

from __future__ import annotations

from types import SimpleNamespace

import llvmlite.binding as llvm
import pytest

from convprof.codegen import disassembly
from convprof.codegen import isa as isas
from convprof.codegen.architecture import ARM, X86
from convprof.codegen.isa import ISAS
from convprof.codegen.kernels import ways
from convprof.codegen.kernels.digit_weights import DIGIT_TYPES, DigitTile
from convprof.codegen.kernels.ways import mixed_dot


@pytest.fixture
def cpu(monkeypatch):
    """Return a function that makes this CPU another one."""

    def pretend(arch, *features):
        other = SimpleNamespace(arch=arch, has=lambda *names: set(names) <= set(features))
        monkeypatch.setattr(isas, "target", lambda: other)
        monkeypatch.setattr(ways, "target", lambda: other)

    return pretend


@pytest.mark.parametrize("bits", [8, 4])
def test_aarch64_multiplies_digits_by_usdot(bits, cpu):
    cpu(ARM, "dotprod", "i8mm")
    tile = DigitTile(
        types=DIGIT_TYPES, lanes=4, rows=1, vectors=4, columns=16, bits=bits, words=16, groups=4,
        a_row=384, c_row=16, start_row=16, dot=mixed_dot(ISAS["neon"]),
    )  # fmt: skip
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        arm = llvm.Target.from_triple("aarch64-unknown-linux-gnu")
    except RuntimeError:
        pytest.skip("this LLVM has no AArch64")
    module = llvm.parse_assembly(tile.ir())
    module.triple = "aarch64-unknown-linux-gnu"
    code = disassembly.busiest(
        str(arm.create_target_machine(cpu="neoverse-v2", opt=3, jit=True).emit_assembly(module))
    )
    assert code.products["usdot"] % (3 * 4 * tile.per_word // 4) == 0
    assert code.spills == 0


@pytest.mark.parametrize(
    ("arch", "isa", "features"),
    [
        (X86, "avx512", ()),
        (X86, "avx2", ("avx512vnni",)),
        (X86, "sse", ("avxvnni",)),
        (ARM, "neon", ("dotprod",)),
    ],
)
def test_without_a_dot_product_of_mixed_signs_weights_become_f32(arch, isa, features, cpu):
    cpu(arch, *features)
    assert mixed_dot(ISAS[isa]) is None

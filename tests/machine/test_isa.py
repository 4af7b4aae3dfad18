from __future__ import annotations

import pytest

from convprof.codegen import isa as isas
from convprof.codegen.target import target
from convprof.machine import brand, cpu, facts, flags, peaks
from convprof.machine.flags import Flags, Simd, spell
from convprof.results import NATIVE

AVX512 = Simd("avx512", 512, 16, 8, 32, fma=True)


def simd_of(source):
    return flags.simd(source, flags.detect(source))


def extensions_of(source):
    return flags.extensions(source, flags.detect(source))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("sse sse2", Simd("sse", 128, 4, 2, 16, fma=False)),
        ("sse sse2 avx", Simd("avx", 256, 8, 4, 16, fma=False)),
        ("sse sse2 avx fma", Simd("avx", 256, 8, 4, 16, fma=True)),
        ("sse sse2 avx avx2 fma", Simd("avx2", 256, 8, 4, 16, fma=True)),
        ("sse sse2 avx avx2", Simd("avx2", 256, 8, 4, 16, fma=False)),
        ("sse sse2 avx avx2 fma avx512f", AVX512),
        ("lm", Simd()),
    ],
)
def test_the_widest_x86_vectors_win(fake, words, expected):
    assert expected == simd_of(fake.x86(1, words).source())


def test_linux_spellings_are_found(fake):
    present = extensions_of(fake.cloud_vm().source())

    assert all(on is not None for on in present.values())
    assert {"AMX-TILE", "AMX-BF16", "AMX-INT8"} == {name for name, on in present.items() if not on}


@pytest.mark.parametrize(
    ("words", "answer", "expected"),
    [
        ("sse2 avx512f", "permitted", None),
        ("sse2 amx_tile", "permitted", "permitted"),
        ("sse2 amx_tile", "Linux refuses", "Linux refuses"),
        ("sse2 amx_tile", None, "unknown"),
    ],
)
def test_tile_registers_need_a_permission(fake, words, answer, expected):
    requests = []

    def permission():
        requests.append(words)
        return answer

    source = fake.x86(1, words).source(tile_permission=permission)
    known = cpu.detect(source)
    assert (known.tile_registers, requests) == (None, [])  # facts of every command load no LLVM
    assert cpu.with_permissions(known, source).tile_registers == expected


@pytest.mark.parametrize("text", ["avx512_vnni", "AVX512VNNI", "avx512-vnni"])
def test_one_spelling_for_all(text):
    assert spell(text) == "avx512vnni"


def test_an_extension_must_be_on_every_cpu(fake):
    fake.write("proc/cpuinfo", "processor: 0\nflags: sse2 avx avx2\n\nprocessor: 1\nflags: sse2\n")

    assert simd_of(fake.source()).isa == "sse"


def test_half_a_cpuinfo_does_not_lose_flags(fake):
    block = "processor: {}\nflags: " + "sse2 avx avx2 fma " * 60 + "avx512f\n\n"
    fake.write("proc/cpuinfo", "".join(block.format(cpu) for cpu in range(1200)))

    assert simd_of(fake.source()) == AVX512


def test_unknown_flags_are_neither_present_nor_absent(fake):
    source = fake.source()

    assert {None} == set(extensions_of(source).values())
    assert Simd() == simd_of(source)


def test_another_architecture_has_no_extensions_here(fake):
    source = fake.cpuinfo(1, flags="vx").source(machine="s390x")

    assert extensions_of(source) == {}
    assert Simd() == simd_of(source)


def test_llvm_answers_where_no_file_does(fake):
    host = {"sse2": True, "sse4.1": True, "avx2": True, "fma": True}
    source = fake.source(platform="win32", machine="AMD64", llvm_features=lambda: host)

    assert simd_of(source).isa == "avx2"
    present = extensions_of(source)
    assert present["SSE4.1"] is True
    assert present["AMX-TILE"] is None


def test_llvm_is_not_used_if_a_file_has_the_flags(fake):
    def slow():
        raise AssertionError

    assert simd_of(fake.cloud_vm().source(llvm_features=slow)) == AVX512


@pytest.mark.parametrize(("length", "bits"), [("16", 128), ("32\n", 256), ("64", 512)])
def test_sve_width_comes_from_the_kernel(fake, length, bits):
    fake.neoverse().write("proc/sys/abi/sve_default_vector_length", length)

    assert Simd("sve", bits, bits // 32, bits // 64, 32, fma=True) == simd_of(fake.source())


@pytest.mark.parametrize("length", ["", "32", "64"])
def test_kernels_of_a_cpu_with_sve_have_the_vectors_of_neon(fake, length):
    fake.neoverse().write("proc/sys/abi/sve_default_vector_length", length)

    assert simd_of(fake.source()).fixed == Simd("neon", 128, 4, 2, 32, fma=True)
    assert peaks.widest(simd_of(fake.source())) == (128, True)
    assert AVX512.fixed == AVX512
    assert Simd().fixed == Simd()


@pytest.mark.parametrize("length", ["", "0", "-16", "17", "4096", "junk"])
def test_an_odd_sve_width_is_unknown(fake, length):
    fake.neoverse().write("proc/sys/abi/sve_default_vector_length", length)

    assert Simd("sve", None, None, None, 32, fma=True) == simd_of(fake.source())


def test_arm_extensions(fake):
    present = extensions_of(fake.neoverse().source())

    assert list(present) == ["NEON", "FP16", "DOTPROD", "BF16", "I8MM", "SVE", "SVE2"]
    assert {"SVE2"} == {name for name, on in present.items() if not on}


def test_big_little_has_what_all_its_cores_have(fake):
    source = fake.big_little().source()

    assert simd_of(source) == Simd("neon", 128, 4, 2, 32, fma=True)
    assert extensions_of(source)["DOTPROD"] is False


def test_apple_extensions(fake, apple):
    source = fake.macos(apple).source()

    assert extensions_of(source) == {
        "NEON": True,
        "FP16": True,
        "DOTPROD": True,
        "BF16": True,
        "I8MM": False,
        "SVE": False,
        "SVE2": False,
    }
    assert simd_of(source).isa == "neon"


def test_intel_mac_extensions(fake):
    table = {
        "machdep.cpu.features": "FPU SSE SSE2 SSE3 SSSE3 FMA SSE4.1 SSE4.2 AVX1.0 F16C",
        "machdep.cpu.leaf7_features": "BMI2 AVX2 ADX",
    }
    source = fake.macos(table, machine="x86_64").source()

    present = extensions_of(source)
    assert all(present[name] for name in ("SSE3", "SSE4.2", "AVX", "AVX2", "FMA", "F16C"))
    assert present["AVX512F"] is False


def guess(vendor, words):
    return brand.guess(vendor, Flags({spell(w): True for w in words.split()}, True))


AVX512_BASE = "avx avx2 fma adx clflushopt avx512f avx512bw avx512vl"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("amx_tile avx512_fp16 avx512_vnni", "Sapphire Rapids or newer (Golden Cove family)"),
        ("avx512_fp16 avx512_vnni", "Golden Cove family or newer (AMX absent or hidden)"),
        (f"{AVX512_BASE} avx512_vnni avx512_vbmi2 avx512vbmi", "Ice Lake, Rocket Lake"),
        ("amx_tile avx512_vnni", "Sapphire Rapids or newer"),
        (f"{AVX512_BASE} avx512_vbmi2 avx512_bf16", "Golden Cove family or newer"),
        (f"{AVX512_BASE} avx512_vnni avx512_vp2intersect", "Tiger Lake"),
        (f"{AVX512_BASE} avx512_vnni avx512_bf16", "Cooper Lake"),
        (f"{AVX512_BASE} avx512_vnni", "Cascade Lake"),
        (AVX512_BASE, "Skylake-X"),
        ("avx avx2 fma adx clflushopt avx_vnni", "Alder Lake"),
        ("avx avx2 fma adx", "Broadwell"),
        ("avx avx2 fma", "Haswell"),
        ("avx", "Sandy Bridge"),
    ],
)
def test_intel_designs_by_flags(words, expected):
    assert guess("GenuineIntel", words).startswith(expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("avx2 clwb vaes avx512f avx_vnni", "Zen 5 or newer"),
        ("avx2 clwb vaes avx512f", "Zen 4 or newer"),
        ("avx2 fma vaes clwb sha_ni", "Zen 3 or newer (AVX-512 absent or hidden)"),
        ("avx2 clwb sha_ni", "Zen 2 or newer (AVX-512 absent or hidden)"),
        ("avx2 sha_ni", "Zen or newer (AVX-512 absent or hidden)"),
        ("avx fma", "Piledriver or newer (AVX2 absent or hidden)"),
    ],
)
def test_amd_designs_by_flags(words, expected):
    assert expected == guess("AuthenticAMD", words)


@pytest.mark.parametrize("vendor", ["GenuineIntel", "AuthenticAMD"])
def test_a_guess_is_a_lower_bound_and_says_so(vendor):
    """Newer designs have the flags of older ones, and hypervisors hide flags."""
    names = [rule.name for rule in brand._RULES[vendor]]
    assert [name for name in names if "or newer" not in name] == []


@pytest.mark.parametrize("vendor", [None, "", "CentaurHauls", "GenuineIntel"])
def test_no_guess_without_a_rule(vendor):
    assert guess(vendor, "") is None


def test_llvm_and_the_system_agree_on_this_cpu():
    """What kernels are generated for, and what the facts say, come from two sources."""
    known, seen = facts().cpu, target().present
    if not isas.available() or known.simd.bits is None:
        pytest.skip("one of the sources has no answer here")
    assert isas.find(NATIVE).bits <= known.simd.bits
    for name, flag in (("AVX2", "avx2"), ("AVX512F", "avx512f"), ("NEON", "neon")):
        if known.extensions.get(name) is not None and flag in seen:
            assert known.extensions[name] == seen[flag], name

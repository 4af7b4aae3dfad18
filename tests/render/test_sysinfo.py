from __future__ import annotations

import copy
import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from convprof.render import sysinfo
from convprof.render.sysinfo.hardware import ranges

KNOWN = {
    "schema_version": 1,
    "tool_version": "1.2.3",
    "machine": {
        "cpu": {
            "architecture": "x86_64",
            "brand": "Example(R) CPU [bold]9999[/bold] @ 2.70GHz",
            "model": {"vendor": "GenuineIntel", "family": 6, "model": 143, "stepping": 8},
            "microarchitecture": "Golden Cove family or newer (AMX absent or hidden)",
            "microarchitecture_source": "flags",
            "extensions": {"SSE": True, "AVX2": True, "AVX512F": True, "AMX-TILE": False},
            "simd": {
                "isa": "avx512",
                "bits": 512,
                "f32_lanes": 16,
                "f64_lanes": 8,
                "registers": 32,
                "fma": True,
            },
            "nominal_clock": {"hz": 2.7e9, "source": "brand"},
        },
        "topology": {
            "logical_cpus": 48,
            "physical_cores": 24,
            "threads_per_core": 2,
            "sockets": 2,
            "numa_nodes": [{"number": 0, "cpus": [0, 1, 4]}, {"number": 1, "cpus": [2, 3]}],
            "kinds": [
                {"name": "performance", "physical_cores": 8},
                {"name": "efficiency", "physical_cores": None},
            ],
            "affinity": [0, 1, 2, 3, 8],
            "quota_cpus": 1.5,
            "usable_cores": 1,
            "usable_cpus": 2,
        },
        "caches": [
            {
                "level": 1,
                "kind": "data",
                "size_bytes": 49152,
                "line_bytes": 64,
                "ways": 12,
                "shared_by": 2,
                "instances": 8,
                "core_kind": "performance",
            },
            {"level": 3, "kind": None, "size_bytes": 1 << 20, "line_bytes": None},
        ],
        "memory": {
            "total_bytes": 1 << 34,
            "limit_bytes": None,
            "available_bytes": 3 << 32,
            "transparent_huge_pages": "madvise",
        },
        "system": {
            "os": "Linux",
            "os_version": "Example Linux 12",
            "kernel": "6.1.0",
            "virtualised": True,
            "hypervisor": "KVM",
            "container": None,
        },
        "software": {
            "python": "CPython 3.11.7",
            "numpy": "2.4.6",
            "numba": "0.68.1",
            "llvmlite": "0.50.0",
            "llvm": "22.1.0",
            "llvm_host_cpu": "rocketlake",
            "llvm_model": "sapphirerapids",
            "llvm_host_spills": 32,
            "numba_settings": {"NUMBA_OPT": "1"},
            "blas": {"name": "openblas", "version": "0.3", "architecture": "Zen", "threads": 1},
        },
        "key": "0123456789ab",
    },
    "state": {
        "load_per_core": 0.07,
        "others_share": 0.03,
        "noise": [{"kind": "load", "message": "the machine was busy", "hint": "stop other work"}],
    },
    "clock": {"scalar_hz": 3.0e9, "simd_hz": 2.7e9},
    "ceilings": {
        "peaks": [
            {
                "isa": "avx512",
                "bits": 512,
                "dtype": "f32",
                "threads": 1,
                "flop_per_s": 1.7e11,
                "core_hz": 2.7e9,
                "flop_per_cycle": 62.96,
                "ports": 2,
                "agreement": 0.984,
            },
            {"dtype": "f64", "threads": 1, "flop_per_s": None},
        ]
    },
    "counters": {"cycle_source": "calibrated", "pmu_refusal": "Permission denied"},
    "threads": {
        "team": {"kind": "spinning team", "threads": 3, "nodes": [2, 1]},
        "numba_layers": ["omp", "workqueue"],
    },
    "notes": ["the f64 peak on 1 thread: failed with RuntimeError: no such vectors"],
}


def blanked(value):
    """Return the document with every fact unknown."""
    if isinstance(value, dict):
        return {key: blanked(item) for key, item in value.items()}
    return [] if isinstance(value, list) else None


DOCUMENTS = {"known": KNOWN, "null": blanked(KNOWN), "empty": {}}
WIDTHS = (40, 80, 100, 120, 200)


def shown(document, width, *, boxed, color=False):
    out = io.StringIO()
    system = "truecolor" if color else None
    console = Console(file=out, width=width, force_terminal=color, color_system=system)
    sysinfo.show(console, document, boxed=boxed)
    return out.getvalue()


def words(text):
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


@pytest.mark.parametrize("boxed", [True, False])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_line_is_longer_than_the_console(name, width, boxed):
    text = shown(DOCUMENTS[name], width, boxed=boxed)
    assert max(map(cell_len, text.splitlines())) <= width


@pytest.mark.parametrize("boxed", [True, False])
@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_colour_adds_nothing_but_emphasis(name, width, boxed):
    bare = shown(DOCUMENTS[name], width, boxed=boxed)
    coloured = shown(DOCUMENTS[name], width, boxed=boxed, color=True)
    assert "\x1b" not in bare
    assert "\x1b" in coloured
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert bare.splitlines() == [
        line.rstrip() if not boxed else line for line in stripped.splitlines()
    ]


def test_piped_lines_have_no_boxes_and_no_trailing_spaces():
    text = shown(KNOWN, 400, boxed=False)
    assert not re.search(r"[│╭╮╰╯─]", text)
    assert all(line == line.rstrip() for line in text.splitlines())
    assert max(map(len, text.splitlines())) <= sysinfo.WIDTH


@pytest.mark.parametrize(("width", "columns"), [(80, 1), (119, 1), (120, 2), (200, 2)])
def test_panels_are_in_two_columns_if_there_is_room(width, columns):
    first = shown(KNOWN, width, boxed=True).splitlines()[0]
    assert columns == first.count("╭")


@pytest.mark.parametrize("width", [80, 120])
def test_no_fact_is_cut(width):
    text = words(shown(KNOWN, width, boxed=False))
    for fact in (
        "name Example(R) CPU [bold]9999[/bold] @ 2.70GHz",
        "design Golden Cove family or newer (AMX absent or hidden), by its flags",
        "model GenuineIntel family 6 model 143 stepping 8",
        "nominal clock 2.70 GHz, in its name",
        "identity 0123456789ab",
        "widest vectors AVX-512: 512 bits, 16 f32 or 8 f64 lanes",
        "extensions SSE AVX2 AVX512F absent AMX-TILE",
        "physical cores 24",
        "logical CPUs 48, 2 per core",
        "of them 8 performance, ? efficiency",
        "NUMA nodes 2, CPUs 0-1,4 | 2-3",
        "affinity CPUs 0-3,8",
        "CPU quota 1.5 CPUs",
        "usable 1 core, 2 logical CPUs",
        "L1 data, performance 48 KiB 64 B 12 2 8",
        "L3 1 MiB unknown unknown unknown unknown",
        "memory 16 GiB",
        "memory limit none",
        "available 12 GiB",
        "virtual yes, KVM",
        "container none",
        "load average 0.07 processes per core in the last minute",
        "other programs 3 % of the CPUs' time",
        "vector clock 2.70 GHz, 10 % lower",
        "cycles from elapsed time x measured clock",
        "hardware counter refused: Permission denied",
        "f32 1 170 2.70 63.0 2 98 %",
        "f64 1 unknown unknown unknown unknown unknown",
        "blas openblas 0.3, Zen kernels, 1 thread",
        "numba layers omp, workqueue",
        "thread team spinning team, 3 threads; 2 + 1 on 2 NUMA nodes",
        "- the f64 peak on 1 thread: failed with RuntimeError: no such vectors",
        "- the machine was busy; stop other work",
    ):
        assert fact in text


@pytest.mark.parametrize("name", ["null", "empty"])
def test_what_is_unknown_says_so(name):
    text = words(shown(DOCUMENTS[name], 80, boxed=False))
    for label in ("name", "widest vectors", "extensions", "usable", "caches", "memory", "peak"):
        assert f"{label} unknown" in text
    assert "None" not in text
    assert "Notes" not in text


def test_the_table_of_caches():
    text = shown(KNOWN, 80, boxed=False)
    start = text.index("Caches\n")
    expected = """\
Caches
  cache                   size     line     ways  CPUs each  instances
  L1 data, performance  48 KiB     64 B       12          2          8
  L3                     1 MiB  unknown  unknown    unknown    unknown

"""
    assert text[start:].startswith(expected)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("machine.cpu.simd.bits", None, "widest vectors AVX-512: of unknown width"),
        ("machine.cpu.simd.fma", False, "multiply-add none"),
        ("machine.cpu.extensions", {"SSE": False}, "extensions none absent SSE"),
        ("machine.cpu.extensions", {"SSE": None}, "extensions unknown"),
        ("machine.cpu.extensions", {"A": True, "B": None}, "extensions A not known B"),
        ("machine.cpu.architecture", "aarch64", "model 0x8f"),
        ("machine.system.virtualised", False, "virtual no"),
        ("machine.system.hypervisor", None, "virtual yes, hypervisor unknown"),
        ("machine.system.os_version", None, "system Linux"),
        ("machine.topology.quota_cpus", None, "CPU quota none"),
        ("clock.scalar_hz", None, "vector clock 2.70 GHz cycles"),
        ("clock.simd_hz", 3.01e9, "vector clock 3.01 GHz, the same"),
        ("clock.simd_hz", 3.3e9, "vector clock 3.30 GHz, 10 % higher"),
        ("counters.cycle_source", "pmu", "cycles from the hardware's counter"),
        ("counters.cycle_source", None, "cycles from unknown"),
    ],
)
def test_one_fact_changed(path, value, expected):
    document = copy.deepcopy(KNOWN)
    *parents, last = path.split(".")
    inner = document
    for key in parents:
        inner = inner[key]
    inner[last] = value
    assert expected in words(shown(document, 100, boxed=False))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("memory.high", "memory limit 2 GiB, memory.high of its cgroup"),
        (None, "memory limit 2 GiB available"),
    ],
)
def test_what_limits_the_memory(name, expected):
    document = copy.deepcopy(KNOWN)
    document["machine"]["memory"] |= {"limit_bytes": 2 << 30, "limit_name": name}
    assert expected in words(shown(document, 100, boxed=False))


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([], ""), ([5], "5"), ([0, 1], "0-1"), ([8, 3, 1, 2], "1-3,8"), (range(256), "0-255")],
)
def test_ranges(numbers, expected):
    assert expected == ranges(numbers)

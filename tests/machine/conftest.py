"""Fake machines: a folder with the files that a real one would show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convprof.machine.sources import Source

CPUS = "sys/devices/system/cpu"

SAPPHIRE = (
    "fpu sse sse2 ht pni ssse3 fma sse4_1 sse4_2 avx f16c hypervisor avx2 avx512f avx512dq "
    "avx512cd avx512bw avx512vl avx_vnni avx512_bf16 avx512_vbmi2 avx512_vnni avx512_fp16"
)
HASWELL = "fpu sse sse2 ht pni ssse3 fma sse4_1 sse4_2 avx f16c avx2 bmi2"


class FakeMachine:
    """Build the files of one machine; every method returns the machine for chaining."""

    def __init__(self, root):
        self.root = root
        self._source = Source(root=root, system="Linux", release="6.1.0")

    def source(self, **changes):
        return replace(self._source, **changes)

    def write(self, path, content):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self

    def cpuinfo(self, count, **fields):
        """Write blocks with the same fields; ``cpu_part="0xd40"`` becomes ``cpu part``."""
        lines = [f"{name.replace('_', ' ')}\t: {value}" for name, value in fields.items()]
        blocks = ["\n".join([f"processor\t: {cpu}", *lines]) for cpu in range(count)]
        return self.write("proc/cpuinfo", "\n\n".join(blocks) + "\n\n")

    def x86(self, count, flags, **fields):
        """Write a cpuinfo of x86, whose ``vendor_id`` alone keeps its underscore."""
        self.cpuinfo(count, **fields, flags=flags)
        text = (self.root / "proc/cpuinfo").read_text().replace("vendor id", "vendor_id")
        return self.write("proc/cpuinfo", text)

    def core(self, *cpus, package=0, core_id=0):
        """Add one physical core with these logical CPUs."""
        for cpu in cpus:
            base = f"{CPUS}/cpu{cpu}/topology"
            self.write(f"{base}/core_cpus_list", ",".join(map(str, cpus)) + "\n")
            self.write(f"{base}/physical_package_id", f"{package}\n")
            self.write(f"{base}/core_id", f"{core_id}\n")
        return self

    def online(self, text):
        return self.write(f"{CPUS}/online", text + "\n")

    def cache(self, cpus, index, level, kind, size, *, line="64", ways="8"):
        """Let these CPUs share one cache."""
        for cpu in cpus:
            base = f"{CPUS}/cpu{cpu}/cache/index{index}"
            self.write(f"{base}/level", f"{level}\n").write(f"{base}/type", f"{kind}\n")
            self.write(f"{base}/size", f"{size}\n")
            self.write(f"{base}/coherency_line_size", f"{line}\n")
            self.write(f"{base}/ways_of_associativity", f"{ways}\n")
            self.write(f"{base}/shared_cpu_list", ",".join(map(str, cpus)) + "\n")
        return self

    # Whole machines

    def cloud_vm(self):
        """Two cores with AVX-512, no clock, no firmware tables."""
        self.x86(
            2,
            SAPPHIRE,
            vendor_id="GenuineIntel",
            cpu_family=6,
            model=143,
            model_name="Intel(R) Xeon(R) Processor",
            stepping=8,
            bogomips="4600.00",
        )
        self.online("0-1").core(0, core_id=0).core(1, core_id=1)
        for cpu in (0, 1):
            self.cache([cpu], 0, 1, "Data", "48K", ways="12")
            self.cache([cpu], 1, 1, "Instruction", "32K")
            self.cache([cpu], 2, 2, "Unified", "2048K", ways="16")
        return self.cache([0, 1], 3, 3, "Unified", "266240K", ways="20")

    def hybrid(self):
        """Two performance cores with SMT, four efficiency cores that share one L2."""
        self.x86(8, HASWELL + " avx_vnni", vendor_id="GenuineIntel")
        self.online("0-7").core(0, 1, core_id=0).core(2, 3, core_id=4)
        for cpu in range(4, 8):
            self.core(cpu, core_id=cpu + 4)
        self.write("sys/devices/cpu_core/cpus", "0-3\n").write("sys/devices/cpu_atom/cpus", "4-7\n")
        for pair in ([0, 1], [2, 3]):
            self.cache(pair, 0, 1, "Data", "48K", ways="12")
            self.cache(pair, 2, 2, "Unified", "1280K", ways="10")
        for cpu in range(4, 8):
            self.cache([cpu], 0, 1, "Data", "32K")
        self.cache(range(4, 8), 2, 2, "Unified", "2048K", ways="16")
        return self.cache(range(8), 3, 3, "Unified", "12M", ways="12")

    def two_sockets(self):
        """Two sockets of two cores with SMT, one memory node each."""
        self.online("0-7")
        for core in range(4):
            self.core(core, core + 4, package=core // 2, core_id=core % 2)
        nodes = "sys/devices/system/node"
        self.write(f"{nodes}/online", "0-1\n")
        self.write(f"{nodes}/node0/cpulist", "0-1,4-5\n")
        return self.write(f"{nodes}/node1/cpulist", "2-3,6-7\n")

    def neoverse(self):
        """Four Neoverse V1 cores with 256-bit SVE."""
        self.cpuinfo(
            4,
            BogoMIPS="2100.00",
            Features="fp asimd evtstrm asimdhp asimddp sve bf16 i8mm",
            CPU_implementer="0x41",
            CPU_architecture="8",
            CPU_variant="0x1",
            CPU_part="0xd40",
            CPU_revision="1",
        )
        self.write("proc/sys/abi/sve_default_vector_length", "32\n").online("0-3")
        for cpu in range(4):
            self.core(cpu, core_id=cpu)
        self._source = replace(self._source, machine="aarch64")
        return self

    def big_little(self):
        """Four small cores, two big ones: kernels print one block per core."""
        blocks = [
            f"processor : {cpu}\nFeatures : fp asimd asimdhp{extra}\nCPU implementer : 0x41\n"
            f"CPU architecture: 8\nCPU variant : 0x1\nCPU part : {part}\nCPU revision : 0\n"
            for cpu, (part, extra) in enumerate([("0xd05", "")] * 4 + [("0xd0b", " asimddp")] * 2)
        ]
        self.write("proc/cpuinfo", "\n".join(blocks)).online("0-5")
        for cpu in range(6):
            self.core(cpu, package=-1, core_id=cpu)
            self.write(f"{CPUS}/cpu{cpu}/cpu_capacity", "1024\n" if cpu > 3 else "446\n")
        self._source = replace(self._source, machine="aarch64")
        return self

    def macos(self, table, machine="arm64"):
        """Answer from a table of sysctl names."""
        self._source = replace(
            self._source,
            platform="darwin",
            machine=machine,
            system="Darwin",
            sysctl=table.get,
        )
        return self


@pytest.fixture
def fake(tmp_path):
    return FakeMachine(tmp_path)


@pytest.fixture(scope="session")
def new_machine(tmp_path_factory):
    """Return a function that makes a fake machine without any file."""
    return lambda: FakeMachine(tmp_path_factory.mktemp("machine"))


@pytest.fixture
def apple():
    """Return the sysctl table of an Apple M2: four fast and four slow cores."""
    table = {
        "machdep.cpu.brand_string": "Apple M2",
        "hw.cpufamily": "-634136515",
        "hw.logicalcpu": "8",
        "hw.physicalcpu": "8",
        "hw.packages": "1",
        "hw.nperflevels": "2",
        "hw.cachelinesize": "128",
        "hw.optional.AdvSIMD": "1",
        "hw.optional.arm.FEAT_FP16": "1",
        "hw.optional.arm.FEAT_DotProd": "1",
        "hw.optional.arm.FEAT_BF16": "1",
        "hw.optional.arm.FEAT_I8MM": "0",
        "kern.hv_vmm_present": "0",
        "kern.osproductversion": "14.5",
    }
    for level, name, l1, l2 in (
        (0, "Performance", 131072, 16 << 20),
        (1, "Efficiency", 65536, 4 << 20),
    ):
        prefix = f"hw.perflevel{level}"
        table |= {
            f"{prefix}.name": name,
            f"{prefix}.logicalcpu": "4",
            f"{prefix}.physicalcpu": "4",
            f"{prefix}.l1dcachesize": str(l1),
            f"{prefix}.l1icachesize": str(l1 + 65536),
            f"{prefix}.l2cachesize": str(l2),
            f"{prefix}.cpusperl2": "4",
        }
    return table

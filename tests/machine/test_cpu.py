from __future__ import annotations

import pytest

from convprof.machine import brand, cpu
from convprof.machine.cpu import Model, NominalClock

CPU0 = "sys/devices/system/cpu/cpu0"


def never():
    raise AssertionError


def test_a_cloud_cpu(fake):
    found = cpu.detect(fake.cloud_vm().source(slow_brand=never))

    assert found.architecture == "x86_64"
    assert found.brand == "Intel(R) Xeon(R) Processor"
    assert Model("GenuineIntel", 6, 143, 8) == found.model
    assert found.microarchitecture.startswith("Golden Cove")
    assert found.microarchitecture_source == "flags"
    assert NominalClock(2.3e9, "bogomips") == found.nominal_clock


def test_an_arm_cpu_is_named_by_its_part(fake):
    found = cpu.detect(fake.neoverse().source(slow_brand=never))

    assert found.brand == "ARM Neoverse V1"
    assert Model("ARM", 8, 0xD40, 0x11) == found.model
    assert found.microarchitecture == "Neoverse V1"
    assert found.microarchitecture_source == "part number"
    assert NominalClock() == found.nominal_clock


def test_big_little_names_both_kinds(fake):
    assert brand.detect(fake.big_little().source()) == "ARM Cortex-A55 + Cortex-A76"


def test_an_unknown_arm_part_keeps_the_kernels_words(fake):
    blocks = {"model_name": "ARMv8 Processor rev 3", "CPU_implementer": "0x99", "CPU_part": "0x1"}
    source = fake.cpuinfo(1, **blocks).source(machine="aarch64")

    found = cpu.detect(source)

    assert found.brand == "ARMv8 Processor rev 3"
    assert found.model.vendor is None
    assert found.microarchitecture is None


def test_an_apple_cpu(fake, apple):
    found = cpu.detect(fake.macos(apple).source(slow_brand=never))

    assert found.architecture == "aarch64"
    assert found.brand == "Apple M2"
    assert Model("Apple", 3660830781) == found.model


def test_an_intel_mac(fake):
    table = {
        "machdep.cpu.brand_string": "Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz",
        "machdep.cpu.vendor": "GenuineIntel",
        "machdep.cpu.family": "6",
        "machdep.cpu.model": "158",
        "machdep.cpu.stepping": "10",
    }
    found = cpu.detect(fake.macos(table, machine="x86_64").source())

    assert Model("GenuineIntel", 6, 158, 10) == found.model
    assert NominalClock(2.6e9, "brand") == found.nominal_clock


def test_windows_describes_the_model_in_one_line(fake):
    text = "Intel64 Family 6 Model 85 Stepping 7, GenuineIntel"
    source = fake.source(platform="win32", machine="AMD64", processor=text)

    assert Model("GenuineIntel", 6, 85, 7) == cpu.detect(source).model


def test_the_slow_brand_is_the_last_resort(fake):
    assert cpu.detect(fake.source(slow_brand=lambda: " Some \x1b[1m CPU ")).brand == "Some [1m CPU"
    assert cpu.detect(fake.source()).brand is None


def test_a_guest_of_a_genoa_whose_avx512_is_hidden(fake):
    """Family 25 model 17 is Zen 4; without AVX-512 its flags are a Zen 3's."""
    fake.x86(
        2,
        "fpu sse sse2 avx avx2 fma vaes clwb sha_ni hypervisor",
        vendor_id="AuthenticAMD",
        cpu_family=25,
        model=17,
        model_name="AMD EPYC 9V74 80-Core Processor",
    )

    found = cpu.detect(fake.source())

    assert found.microarchitecture == "Zen 3 or newer (AVX-512 absent or hidden)"


@pytest.mark.parametrize(
    ("text", "hz"),
    [
        ("Xeon(R) CPU E5-2686 v4 @ 2.30GHz", 2.3e9),
        ("Atom @ 800MHz", 8e8),
        ("Xeon @ 3GHz", 3e9),
        ("Xeon @ 999GHz", None),
        ("Xeon @ GHz", None),
        ("EPYC 7B13", None),
    ],
)
def test_clock_in_the_brand(fake, text, hz):
    found = cpu.detect(fake.cpuinfo(1, model_name=text).source()).nominal_clock

    assert NominalClock(hz, "brand" if hz else None) == found


def test_clocks_in_files(fake):
    fake.write(f"{CPU0}/acpi_cppc/nominal_freq", "2450\n")
    assert NominalClock(2.45e9, "cppc") == cpu.detect(fake.source()).nominal_clock

    fake.write(f"{CPU0}/cpufreq/base_frequency", "2100000\n")
    assert NominalClock(2.1e9, "base_frequency") == cpu.detect(fake.source()).nominal_clock


@pytest.mark.parametrize("junk", ["", "nan", "inf", "-1", "1e300", "x"])
def test_a_junk_clock_is_unknown(fake, junk):
    fake.cpuinfo(1, bogomips=junk, flags="sse2")
    fake.write(f"{CPU0}/cpufreq/base_frequency", junk)

    assert NominalClock() == cpu.detect(fake.source()).nominal_clock

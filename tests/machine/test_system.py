from __future__ import annotations

import pytest

from convprof.machine import system

DMI = "sys/class/dmi/id"


def firmware(fake, vendor, product):
    return fake.write(f"{DMI}/sys_vendor", vendor).write(f"{DMI}/product_name", product)


def virtual(source):
    found = system.detect(source)
    return found.virtualised, found.hypervisor


def test_an_anonymous_virtual_machine(fake):
    assert virtual(fake.cloud_vm().source()) == (True, None)


def test_bare_metal(fake):
    assert virtual(fake.hybrid().source()) == (False, None)


def test_nothing_known(fake):
    assert virtual(fake.source()) == (None, None)


@pytest.mark.parametrize(
    ("vendor", "product", "name"),
    [
        ("QEMU", "Standard PC (Q35 + ICH9, 2009)", "QEMU"),
        ("Amazon EC2\n", "c7i.large\n", "KVM (AWS Nitro)"),
        ("Google", "Google Compute Engine", "KVM (Google Compute Engine)"),
        ("Microsoft Corporation", "Virtual Machine", "Hyper-V"),
        ("VMware, Inc.", "VMware Virtual Platform", "VMware"),
        ("innotek GmbH", "VirtualBox", "VirtualBox"),
        ("Xen", "HVM domU", "Xen"),
        ("Dell Inc.", "PowerEdge", None),
    ],
)
def test_hypervisors_by_firmware(fake, vendor, product, name):
    assert (True, name) == virtual(firmware(fake.cloud_vm(), vendor, product).source())


def test_cloud_firmware_on_bare_metal_is_no_hypervisor(fake):
    firmware(fake.hybrid(), "Amazon EC2", "m7i.metal-24xl")

    assert virtual(fake.source()) == (False, None)


def test_arm_has_only_the_firmwares_word(fake):
    assert virtual(firmware(fake.neoverse(), "Amazon EC2", "c7g.metal").source()) == (None, None)
    assert virtual(firmware(fake, "Amazon EC2", "c7g.2xl").source()) == (True, "KVM (AWS Nitro)")


def test_a_xen_guest_without_the_flag(fake):
    assert virtual(fake.hybrid().write("sys/hypervisor/type", "xen\n").source()) == (True, "Xen")


def test_windows_subsystem(fake):
    source = fake.cloud_vm().source(release="5.15.153.1-microsoft-standard-WSL2")

    assert virtual(source) == (True, "Hyper-V (WSL 2)")


@pytest.mark.parametrize(("answer", "expected"), [("0", False), ("1", True), (None, None)])
def test_macos(fake, apple, answer, expected):
    found = system.detect(fake.macos(apple | {"kern.hv_vmm_present": answer}).source())

    assert expected is found.virtualised
    assert found.os_version == "14.5"


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (".dockerenv", "", "docker"),
        ("run/.containerenv", "", "podman"),
        ("run/systemd/container", "systemd-nspawn\n", "systemd-nspawn"),
        ("proc/self/cgroup", "0::/kubepods.slice/pod1\n", "kubernetes"),
        ("proc/self/cgroup", "0::/user.slice\n", None),
    ],
)
def test_containers(fake, path, text, expected):
    assert expected == system.detect(fake.write(path, text).source()).container


def test_the_distribution_in_its_own_words(fake):
    fake.write("etc/os-release", 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12"\n')

    assert system.detect(fake.source()).os_version == "Debian GNU/Linux 12"

"""The layers between the program and the CPU: operating system, hypervisor, container."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.architecture import X86
from convprof.machine import flags as cpu_flags
from convprof.machine.brand import clean

if TYPE_CHECKING:
    from convprof.machine.sources import Source

_DMI = "sys/class/dmi/id"

_HYPERVISORS = (
    # Part of the firmware's vendor and product -> hypervisor. Longer texts come first.
    ("microsoft corporation virtual machine", "Hyper-V"),
    ("google compute engine", "KVM (Google Compute Engine)"),
    ("apple virtualization", "Apple Virtualization"),
    ("amazon ec2", "KVM (AWS Nitro)"),
    ("digitalocean", "KVM (DigitalOcean)"),
    ("alibaba cloud", "KVM (Alibaba Cloud)"),
    ("virtualbox", "VirtualBox"),
    ("parallels", "Parallels"),
    ("openstack", "OpenStack"),
    ("vmware", "VMware"),
    ("xen", "Xen"),
    ("kvm", "KVM"),
    ("qemu", "QEMU"),
)
_METAL = ".metal"
"""AWS machines without a hypervisor carry the same vendor: ``c7g.metal``, ``m7i.metal-24xl``."""

_CONTAINER_WORDS = {
    "kubepods": "kubernetes",
    "docker": "docker",
    "libpod": "podman",
    "lxc": "lxc",
    "containerd": "containerd",
}


@dataclass(frozen=True)
class System:
    """The layers below the program; None where nothing tells."""

    os: str | None
    """``Linux``, ``Darwin``, ``Windows``."""
    os_version: str | None
    """The name that the distribution or the product gives itself."""
    kernel: str | None
    """Kernel release."""
    virtualised: bool | None
    hypervisor: str | None
    """Only when the machine names one that is known; a virtual machine may stay anonymous."""
    container: str | None
    """A hint: a container that leaves no trace looks like none."""


def detect(source: Source) -> System:
    """Return the system; unknown parts are None."""
    name = "emulator" if source.emulated else _hypervisor(source)
    virtual = _virtualised(source, name)
    return System(
        os=source.system,
        os_version=_os_version(source),
        kernel=source.release,
        virtualised=virtual,
        # Cloud firmware carries its name on bare metal too; the CPU's flag decides.
        hypervisor=name if virtual else None,
        container=_container(source),
    )


def _os_version(source: Source) -> str | None:
    if source.macos:
        return clean(source.sysctl("kern.osproductversion"))
    for path in ("etc/os-release", "usr/lib/os-release"):
        for line in (source.read(path) or "").splitlines():
            key, _, value = line.partition("=")
            if key == "PRETTY_NAME":
                return clean(value.strip("\"'"))
    return None


def _hypervisor(source: Source) -> str | None:
    if "wsl2" in (source.release or "").lower():
        return "Hyper-V (WSL 2)"
    vendor = clean(source.read(f"{_DMI}/sys_vendor")) or ""
    product = clean(source.read(f"{_DMI}/product_name")) or ""
    firmware = f"{vendor} {product}".lower()
    if _METAL not in product:
        for text, name in _HYPERVISORS:
            if text in firmware:
                return name
    if (source.read("sys/hypervisor/type") or "").strip() == "xen":
        return "Xen"
    compatible = source.read("proc/device-tree/hypervisor/compatible") or ""
    return "KVM" if "kvm" in compatible else None


def _virtualised(source: Source, hypervisor: str | None) -> bool | None:
    """Return the CPU's flag on x86, and the value of sysctl on macOS."""
    if source.macos:
        present = source.sysctl_integer("kern.hv_vmm_present", low=0, high=1)
        return None if present is None else bool(present)
    if source.architecture == X86 and source.cpuinfo:
        flag = cpu_flags.detect(source).has("hypervisor")
        # A Xen guest of the old kind has no flag.
        return True if hypervisor == "Xen" else flag
    return True if hypervisor else None


def _container(source: Source) -> str | None:
    if source.exists("run/.containerenv"):
        return "podman"
    groups = (source.read("proc/self/cgroup") or "").lower()
    for word, name in _CONTAINER_WORDS.items():
        if word in groups:
            return name
    if source.exists(".dockerenv"):
        return "docker"
    return clean(source.read("run/systemd/container"))

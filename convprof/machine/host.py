"""The machine this process runs on, as a `Source`. Answers that need a process are cached."""

from __future__ import annotations

import functools
import importlib
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from convprof.codegen import affinity
from convprof.machine.sources import Source, no_sysctl

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_WINDOWS_CPU = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
_SYSCTL_TREES = ("hw", "machdep.cpu", "kern.hv_vmm_present", "kern.osproductversion")


def _quiet(ask: Callable[[], T]) -> T | None:
    """Return the answer, or None: a fact that cannot be known is not a failure."""
    try:
        return ask()
    except Exception:  # noqa: BLE001 -- every platform fails in its own way
        return None


def _psutil() -> Any:
    return importlib.import_module("psutil")


@functools.cache
def _sysctl_table() -> dict[str, str]:
    """Read all names with one process; unknown ones only make its exit code non-zero."""
    command = ["/usr/sbin/sysctl", *_SYSCTL_TREES]
    done = _quiet(
        lambda: subprocess.run(  # noqa: S603 -- a fixed command
            command, capture_output=True, timeout=10, check=False
        )
    )
    text = done.stdout.decode("utf-8", errors="replace") if done else ""
    pairs = (line.partition(": ") for line in text.splitlines())
    return {name: value.strip() for name, colon, value in pairs if colon}


def _sysctl(name: str) -> str | None:
    return _sysctl_table().get(name)


def _affinity() -> frozenset[int] | None:
    def ask() -> frozenset[int]:
        # On Linux not what a library bound the calling thread to.
        return affinity.allowed() or frozenset(_psutil().Process().cpu_affinity())

    return _quiet(ask)


def _cpu_counts() -> tuple[int | None, int | None] | None:
    def ask() -> tuple[int | None, int | None]:
        psutil = _psutil()
        return psutil.cpu_count(), psutil.cpu_count(logical=False)

    return _quiet(ask) or (os.cpu_count(), None)


def _busy() -> tuple[float, int] | None:
    def ask() -> tuple[float, int]:
        psutil = _psutil()
        spent = psutil.cpu_times()._asdict()
        idle = sum(spent.get(name, 0.0) for name in ("idle", "iowait", "steal"))
        # What runs in a guest is counted as the user's time as well.
        guests = sum(spent.get(name, 0.0) for name in ("guest", "guest_nice"))
        return sum(spent.values()) - idle - guests, psutil.cpu_count()

    return _quiet(ask)


def _memory() -> tuple[int, int] | None:
    def ask() -> tuple[int, int]:
        now = _psutil().virtual_memory()
        return int(now.total), int(now.available)

    return _quiet(ask)


@functools.cache
def _llvm_features() -> dict[str, bool] | None:
    def ask() -> dict[str, bool]:
        from convprof.codegen.target import target

        return target().present

    return _quiet(ask)


def _tile_permission() -> str | None:
    def ask() -> str:
        from convprof.codegen import tile_permission

        return tile_permission.refusal() or "permitted"

    return _quiet(ask)


@functools.cache
def _slow_brand() -> str | None:
    """Ask Windows' registry, else py-cpuinfo in a process of its own: it would start one anyway.

    Its own way, multiprocessing, runs the caller's script again where that has no main guard.
    """

    def ask_registry() -> str | None:
        winreg: Any = importlib.import_module("winreg")  # Windows only
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _WINDOWS_CPU) as key:
            value = winreg.QueryValueEx(key, "ProcessorNameString")[0]
        return value if isinstance(value, str) else None

    def ask_cpuinfo() -> str | None:
        import json

        # -P: a cpuinfo.py, json.py … in the working directory may come from a stranger.
        command = [sys.executable, "-P", "-m", "cpuinfo", "--json"]
        done = subprocess.run(  # noqa: S603 -- our own interpreter
            command, capture_output=True, timeout=20, check=True
        )
        brand = json.loads(done.stdout).get("brand_raw")
        return brand if isinstance(brand, str) else None

    return _quiet(ask_registry) or _quiet(ask_cpuinfo)


def this_machine() -> Source:
    """Return the source for the machine that this process runs on."""
    return Source(
        root=Path("/"),
        platform=sys.platform,
        machine=platform.machine(),
        system=platform.system() or None,
        release=platform.release() or None,
        # Elsewhere platform.processor() starts a process and says less than the other sources.
        processor=platform.processor() if sys.platform == "win32" else None,
        sysctl=_sysctl if sys.platform == "darwin" else no_sysctl,
        affinity=_affinity,
        cpu_counts=_cpu_counts,
        busy=_busy,
        memory=_memory,
        llvm_features=_llvm_features,
        tile_permission=_tile_permission,
        slow_brand=_slow_brand,
    )

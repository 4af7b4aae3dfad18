"""Where raw facts come from: /sys and /proc below a root, sysctl, psutil, LLVM.

A `Source` built from a root alone has only the files below it, so a test can describe any
machine as a folder. `host.this_machine()` is the source with everything attached.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.architecture import ARM, X86, architecture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


_FOREIGN = {X86: "features", ARM: "flags"}
"""Architecture -> the key of another architecture's list of features in /proc/cpuinfo."""
READ_LIMIT = 1 << 20
"""Bytes read of one file. Only /proc/cpuinfo of a machine with 600 CPUs comes near it."""


def _nothing() -> None:
    """Answer for a source without this fact."""


def no_sysctl(_name: str) -> None:
    """Answer for a system without sysctl."""


@dataclass(frozen=True)
class Source:
    """Where the facts of one machine are read. Nothing here raises: what cannot be read is None."""

    root: Path
    platform: str = "linux"
    """As `sys.platform`."""
    machine: str = "x86_64"
    """As `platform.machine()`."""
    system: str | None = None
    """As `platform.system()`."""
    release: str | None = None
    """Kernel release, as `platform.release()`."""
    processor: str | None = None
    """Windows' one-line description with family, model, stepping and vendor."""
    sysctl: Callable[[str], str | None] = no_sysctl
    affinity: Callable[[], frozenset[int] | None] = _nothing
    """Logical CPUs that this process may use."""
    cpu_counts: Callable[[], tuple[int | None, int | None] | None] = _nothing
    """Logical CPUs and physical cores, for systems without sysfs and sysctl."""
    busy: Callable[[], tuple[float, int] | None] = _nothing
    """Seconds of work of all CPUs since some fixed moment, and their number, without /proc/stat."""
    memory: Callable[[], tuple[int, int] | None] = _nothing
    """Total and available bytes of the machine."""
    llvm_features: Callable[[], dict[str, bool] | None] = _nothing
    """Feature -> present, as LLVM says. Slow (0.2 s): for flags that no other source has."""
    tile_permission: Callable[[], str | None] = _nothing
    """``permitted``, or why this process may not use the tile registers of AMX; None if unknown."""
    slow_brand: Callable[[], str | None] = _nothing
    """Slow (1.1 s): used only when the brand cannot be read elsewhere."""

    @property
    def architecture(self) -> str:
        """As ``convprof.codegen.architecture`` names it."""
        return architecture(self.machine)

    @property
    def macos(self) -> bool:
        """Whether facts come from sysctl instead of files."""
        return self.platform == "darwin"

    def read(self, path: str) -> str | None:
        """Return the text of a file below the root (at most 1 MiB of it, in whole lines)."""
        try:
            with (self.root / path.lstrip("/")).open("rb") as file:
                data = file.read(READ_LIMIT)
        except (OSError, ValueError):
            return None
        text = data.decode("utf-8", errors="replace")
        # Half a line of flags would read as a CPU that lacks the other half.
        return text if len(data) < READ_LIMIT else text[: text.rfind("\n") + 1]

    def integer(self, path: str, low: int = 0, high: int = (1 << 63) - 1) -> int | None:
        """Return the integer that a file holds, or None when it holds none in [low, high]."""
        return integer(self.read(path), low, high)

    def sysctl_integer(self, name: str, low: int = 1, high: int = (1 << 63) - 1) -> int | None:
        """Return an integer from sysctl; 0 means unknown there, so it is None by default."""
        return integer(self.sysctl(name), low, high)

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder; [] when it cannot be listed."""
        try:
            return sorted(entry.name for entry in (self.root / path.lstrip("/")).iterdir())
        except (OSError, ValueError):
            return []

    def exists(self, path: str) -> bool:
        """Return whether there is a file or folder of that path below the root."""
        try:
            return (self.root / path.lstrip("/")).exists()
        except (OSError, ValueError):
            return False

    @property
    def emulated(self) -> bool:
        """Whether /proc/cpuinfo is of another architecture: an emulator shows its host's file."""
        return any(_FOREIGN.get(self.architecture) in block for block in self._blocks)

    @property
    def cpuinfo(self) -> tuple[dict[str, str], ...]:
        """The blocks of /proc/cpuinfo that describe a processor of this machine.

        Keys are in lower case.
        """
        return () if self.emulated else self._blocks

    @functools.cached_property
    def _blocks(self) -> tuple[dict[str, str], ...]:
        blocks: list[dict[str, str]] = []
        for line in (self.read("proc/cpuinfo") or "").splitlines():
            key, colon, value = line.partition(":")
            name = key.strip().lower()
            if colon and name == "processor":
                blocks.append({})
            if colon and blocks:
                blocks[-1].setdefault(name, value.strip())
        return tuple(blocks)


# Numbers out of the texts that kernels print; what makes no sense is None.

_FACTORS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def integer(text: str | None, low: int = 0, high: int = (1 << 63) - 1) -> int | None:
    """Return the integer (``0x`` accepted), or None when it is no integer in [low, high]."""
    if text is None:
        return None
    try:
        value = int(text.strip(), 16 if text.strip().lower().startswith("0x") else 10)
    except ValueError:
        return None
    return value if low <= value <= high else None


def size_bytes(text: str | None, high: int) -> int | None:
    """Return the bytes of ``48K``, ``32M`` or ``65536``; None when not in [1, high]."""
    if not text or not text.strip():
        return None
    body = text.strip()
    factor = _FACTORS.get(body[-1].upper())
    count = integer(body[:-1] if factor else body, low=1, high=high)
    return None if count is None else integer(str(count * (factor or 1)), high=high)

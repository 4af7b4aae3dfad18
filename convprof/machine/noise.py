"""What disturbs a measurement, as values. ``render`` prints each once, with its hint."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convprof.stats import mad, median

BUSY_LOAD = 0.3
"""Runnable processes per core, before we add ours, that are worth a word."""
STEAL_SHARE = 0.01
CLOCK_SPREAD = 0.05
SAMPLE_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class Noise:
    """One disturbance: what it is, how large, and what helps."""

    kind: str
    message: str
    hint: str


_REMARKS: dict[Noise, None] = {}


def remark(noise: Noise) -> None:
    """Add what was noticed elsewhere, once, to the findings of every watch of this process."""
    _REMARKS[noise] = None


def load(cores: int) -> float | None:
    """Return the one-minute load average per core, or None where there is none."""
    try:
        return os.getloadavg()[0] / max(1, cores)
    except (AttributeError, OSError):
        return None


def stolen_ticks(stat: Path = Path("/proc/stat")) -> tuple[int, int] | None:
    """Return ``(stolen, all)`` clock ticks of all CPUs since boot; None where unknown."""
    try:
        fields = [int(word) for word in stat.read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError, IndexError):
        return None
    steal_at = 7
    return (fields[steal_at], sum(fields)) if len(fields) > steal_at else None


def _on_battery() -> bool:
    import psutil

    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, RuntimeError):
        return False
    return battery is not None and battery.power_plugged is False


class NoiseWatch:
    """Looks at the machine when a measurement starts and again when it ends."""

    def __init__(self, cores: int) -> None:
        self._load = load(cores)
        self._ticks = stolen_ticks()
        self._clocks: list[float] = []
        self._restless: dict[str, None] = {}

    def see_clock(self, hz: float) -> None:
        """Take note of a clock reading."""
        self._clocks.append(hz)

    def see_samples(self, label: str, seconds: list[float]) -> None:
        """Take note of a contestant's samples."""
        if mad(seconds) > SAMPLE_SPREAD * median(seconds):
            self._restless[label] = None

    def state(self) -> dict[str, Any]:
        """Return the state of the machine for the result document."""
        clocks = sorted(self._clocks)
        return {
            "core_hz": {"median": median(clocks), "min": clocks[0], "max": clocks[-1]}
            if clocks
            else None,
            "load_per_core": self._load,
            "stolen_share": self._stolen(),
            "platform": sys.platform,
        }

    def findings(self) -> list[Noise]:
        """Return what is worth a warning."""
        found = []
        if self._load is not None and self._load > BUSY_LOAD:
            text = f"the machine was busy before the start ({self._load:.1f} processes per core)"
            found.append(Noise("load", text, "stop other work"))
        stolen = self._stolen()
        if stolen is not None and stolen > STEAL_SHARE:
            text = f"the hypervisor took away {100 * stolen:.0f} % of the time"
            found.append(Noise("steal", text, "trust ratios, not absolute times"))
        if self._clocks:
            middle = median(self._clocks)
            spread = mad(self._clocks) / middle
            if spread > CLOCK_SPREAD:
                text = (
                    f"the core clock varied by {100 * spread:.0f} % around {middle / 1e9:.2f} GHz"
                )
                found.append(Noise("clock", text, "compare cycles rather than times"))
        if self._restless:
            who = _some(list(self._restless))
            text = f"restless samples (over {100 * SAMPLE_SPREAD:.0f} %): {who}"
            found.append(Noise("spread", text, "a larger --budget narrows the intervals"))
        if _on_battery():
            found.append(Noise("battery", "running on battery", "plug in"))
        return found + list(_REMARKS)

    def _stolen(self) -> float | None:
        now = stolen_ticks()
        if self._ticks is None or now is None or now[1] <= self._ticks[1]:
            return None
        return (now[0] - self._ticks[0]) / (now[1] - self._ticks[1])


def _some(labels: list[str], most: int = 3) -> str:
    rest = len(labels) - most
    return ", ".join(labels[:most]) + (f" and {rest} more" if rest > 0 else "")

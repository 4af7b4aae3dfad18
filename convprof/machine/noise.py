"""What disturbs a measurement, as values. ``render`` prints each once, with its hint."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.machine import activity, cgroup
from convprof.machine.host import this_machine
from convprof.machine.load import BUSY_SHARE, Load
from convprof.stats import mad, median

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.machine.sources import Source

STEAL_SHARE = 0.01
CLOCK_SPREAD = 0.05
SAMPLE_SPREAD = 0.05
MOST_CLOCKS = 2**14
"""A batch of thousands of problems has millions of readings; their median needs no more."""


@dataclass(frozen=True, slots=True)
class Noise:
    """One disturbance: what it is, how large, and what helps."""

    kind: str
    message: str
    hint: str


SLOWING = frozenset({"load", "steal", "throttling"})
"""Kinds of disturbances that take time away: rates measured meanwhile are lower limits."""

_REMARKS: dict[Noise, None] = {}


def remark(noise: Noise) -> None:
    """Add what was noticed elsewhere, once, to the findings of every watch of this process."""
    _REMARKS[noise] = None


def load(cores: int) -> float | None:
    """Return the one-minute load average per core, or None where the system has no such number.

    A fact to show, not a finding: it holds what ended a minute ago, this program's last run too.
    """
    try:
        return os.getloadavg()[0] / max(1, cores)
    except (AttributeError, OSError):
        return None


def _on_battery() -> bool:
    import psutil

    battery = psutil.sensors_battery()
    return battery is not None and battery.power_plugged is False


class NoiseWatch:
    """Looks at the machine when a measurement starts and again when it ends.

    A check that fails is no finding, whatever the error: results matter more.
    """

    def __init__(self, cpus: int, source: Source | None = None) -> None:
        """``cpus`` is the number of logical CPUs of the machine."""
        self._source = this_machine() if source is None else source
        self._load = load(cpus)
        self._affinity = self._source.affinity()
        self._before = activity.now(self._source, self._affinity)
        self._throttling = cgroup.throttling(self._source)
        self._clocks: list[float] = []
        self._lowest, self._highest = math.inf, 0.0
        self._readings, self._every = 0, 1
        self._noisy: dict[str, None] = {}
        self._partial_counts = 0

    def see_clock(self, hz: float) -> None:
        """Take note of a clock reading; of very many, every second, fourth, ... is kept."""
        self._lowest, self._highest = min(self._lowest, hz), max(self._highest, hz)
        if self._readings % self._every == 0:
            self._clocks.append(hz)
        self._readings += 1
        if len(self._clocks) > MOST_CLOCKS:
            self._clocks = self._clocks[::2]
            self._every *= 2

    def see_partial_count(self) -> None:
        """Take note of a sample for a part of which the hardware's cycle counter did not count."""
        self._partial_counts += 1

    def see_samples(self, label: str, seconds: list[float]) -> None:
        """Take note of a contestant's samples."""
        if mad(seconds) > SAMPLE_SPREAD * median(seconds):
            self._noisy[label] = None

    def state(self) -> dict[str, Any]:
        """Return the state of the machine for the result document."""
        now = activity.now(self._source, self._affinity)
        throttled = cgroup.throttled_since(self._throttling, self._source)
        return {
            "core_hz": {
                "median": median(self._clocks),
                "min": self._lowest,
                "max": self._highest,
            }
            if self._clocks
            else None,
            "load_per_core": self._load,
            "others_share": activity.others(self._before, now),
            "stolen_share": activity.stolen_share(self._before, now),
            "throttled": dataclasses.asdict(throttled) if throttled else None,
            "platform": sys.platform,
        }

    @property
    def is_slowed(self) -> bool:
        """Whether other programs, or the system, took time away."""
        return any(finding.kind in SLOWING for finding in self.findings())

    def findings(self) -> list[Noise]:
        """Return what is worth a warning."""
        checks = (
            self._others,
            self._steal,
            self._quota,
            self._clock,
            self._spread,
            self._counter,
            self._battery,
        )
        disturbances = (_quietly(check) for check in checks)
        return [*(finding for finding in disturbances if finding is not None), *_REMARKS]

    def _others(self) -> Noise | None:
        now = activity.now(self._source, self._affinity)
        share = activity.others(self._before, now)
        if now is None or share is None or share <= BUSY_SHARE:
            return None
        text = f"other programs used {Load(share, now.cpus)} meanwhile"
        return Noise("load", text, "stop other work, or wait until it ends")

    def _steal(self) -> Noise | None:
        now = activity.now(self._source, self._affinity)
        share = activity.stolen_share(self._before, now)
        if share is None or share <= STEAL_SHARE:
            return None
        text = f"the hypervisor took away {100 * share:.0f} % of the time"
        return Noise("steal", text, "trust ratios, not absolute times")

    def _quota(self) -> Noise | None:
        since = cgroup.throttled_since(self._throttling, self._source)
        if since is None or since.throttled_periods <= 0:
            return None
        # Some kernels count the periods and not the time.
        how_long = f" for {since.seconds:.2g} s" if since.seconds else ""
        text = (
            f"the container's CPU quota stopped this process{how_long} "
            f"in {since.throttled_periods} of {since.periods} periods"
        )
        return Noise("throttling", text, "raise the quota: times contain these pauses")

    def _clock(self) -> Noise | None:
        if not self._clocks:
            return None
        middle = median(self._clocks)
        spread = mad(self._clocks) / middle
        if spread <= CLOCK_SPREAD:
            return None
        text = f"the core clock varied by {100 * spread:.0f} % around {middle / 1e9:.2f} GHz"
        return Noise("clock", text, "compare cycles rather than times")

    def _spread(self) -> Noise | None:
        if not self._noisy:
            return None
        labels = _some(list(self._noisy))
        text = f"noisy samples (spread over {100 * SAMPLE_SPREAD:.0f} %): {labels}"
        return Noise("spread", text, "a larger budget narrows the intervals")

    def _counter(self) -> Noise | None:
        if not self._partial_counts:
            return None
        word = "sample" if self._partial_counts == 1 else "samples"
        text = (
            "the hardware's cycle counter did not count all the time in "
            f"{self._partial_counts} {word}: their cycles are from the measured clock"
        )
        hint = "stop other profilers, or keep the process on one kind of core"
        return Noise("counter", text, hint)

    @staticmethod
    def _battery() -> Noise | None:
        return Noise("battery", "running on battery", "plug in") if _on_battery() else None


def _quietly(check: Callable[[], Noise | None]) -> Noise | None:
    """Return the finding; None where the check fails.

    Incomplete power supplies of boards alone make psutil raise five kinds of errors.
    """
    try:
        return check()
    except Exception:  # noqa: BLE001 -- a decoration must not cost results
        return None


def _some(labels: list[str], most: int = 3) -> str:
    rest = len(labels) - most
    return ", ".join(labels[:most]) + (f" and {rest} more" if rest > 0 else "")

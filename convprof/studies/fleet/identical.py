"""Identical hosts: what must be the same before a task may be measured on any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.machine import facts
from convprof.machine.host import this_machine
from convprof.machine.software import versions
from convprof.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

_CPUS = "sys/devices/system/cpu"
_CLOCK_FILES = (
    "cpu0/cpufreq/base_frequency",
    "cpu0/cpufreq/cpuinfo_max_freq",
    "cpu0/cpufreq/scaling_max_freq",
    "cpu0/cpufreq/scaling_min_freq",
    "cpufreq/boost",
    "intel_pstate/no_turbo",
)
"""The limits of the clock, in kHz, and whether the clock may exceed its base; Linux only."""


def facts_here() -> dict[str, Any]:
    """Return the CPU, its cores, caches and clock limits, and the versions of the software."""
    source = this_machine()
    limits = [source.integer(f"{_CPUS}/{file}") for file in _CLOCK_FILES]
    software = {"convprof": VERSION, **versions()}
    return {**facts().identity(), "clock_limits": limits, "software": software}


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Return the first fact that differs: ``physical cores 4, not 2``; None for identical hosts."""
    for name in (*other, *one):
        value, usual = one.get(name), other.get(name)
        if value != usual:
            shown = name.replace("_", " ")
            short = all(isinstance(each, (str, int, float)) for each in (value, usual))
            return f"{shown} {value}, not {usual}" if short else f"other {shown}"
    return None

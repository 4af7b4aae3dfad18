"""What happens while measuring, as values. ``render`` shows them; nothing here prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convprof.results import Measurement


@dataclass(frozen=True, slots=True)
class Started:
    """A contestant is being prepared: compiled, verified and warmed up."""

    label: str
    index: int
    total: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """One sample was taken."""

    label: str
    round: int
    rounds: int
    seconds_per_call: float
    remaining_s: float
    """An estimate of what is left of this session."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A contestant has its result."""

    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Refused:
    """A contestant does not compute this problem; the measurement holds the reason."""

    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Failed:
    """A contestant raised, or computed a wrong result; the others go on."""

    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of the machine is being measured, for results to be compared with."""

    name: str


Event = Started | Sampled | Finished | Refused | Failed | Limit

"""What happens while measuring, as values. ``render`` shows them; nothing here prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convprof.results import Measurement


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a command begins: one of several problems, sizes, or steps of a study."""

    name: str
    """What people read before each event of the part: ``problem 2/5``."""
    done: float = 0.0
    """The fraction of the command's time that is expected to be over by now."""
    share: float = 1.0
    """The fraction of the command's time that the part is expected to take."""
    inner: bool = False
    """Whether it is a part of the part before; fractions are then fractions of that part."""
    seconds: float | None = None
    """How long it will take, where that is predicted; fractions then mean nothing."""
    after_s: float = 0.0
    """The predicted seconds of all parts after it."""

    @classmethod
    def of(cls, name: str, index: int, total: int) -> Part:
        """Return one of ``total`` parts that are expected to take equally long."""
        return cls(name, index / total, 1 / total)


@dataclass(frozen=True, slots=True)
class Started:
    """A contestant is being prepared: compiled, verified and warmed up."""

    label: str
    index: int
    total: int
    sampling_s: float = 0.0
    """An estimate of the seconds of the rounds of all contestants, when all are prepared."""
    after_s: float = 0.0
    """An estimate of the seconds from the last sample to the end of the session."""
    loaded_s: float = 0.0
    """Seconds that the command has spent so far on what it does once: compiling or loading loop
    nests, importing libraries, starting processes."""
    starting_s: float = 0.0
    """An estimate of the seconds of starting processes for this contestant and all after it."""
    searched_s: float = 0.0
    """Seconds that this process has spent so far on timed searches for a blocking."""
    searching_s: float = 0.0
    """An estimate of the seconds of timed searches of this contestant and all after it."""
    calling_s: float = 0.0
    """An estimate of the seconds of the first calls of this contestant and all after it."""
    predicted: int = 0
    """How many contestants from this one on have a prediction of their time."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """One sample was taken."""

    label: str
    round: int
    rounds: int
    seconds_per_call: float
    remaining_s: float
    """An estimate of the seconds of the rounds that are left in this session."""
    after_s: float = 0.0
    """An estimate of the seconds from the last sample to the end of the session."""


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
class Auxiliary:
    """What is measured besides samples: a limit of the machine, the phases of a contestant."""

    name: str
    left_s: float | None = None
    """An estimate of the seconds of this and all that follows in the session; None: unknown."""
    once: bool = False
    """Whether it is measured once in a command: later parts of the command do without."""


Event = Part | Started | Sampled | Finished | Refused | Failed | Auxiliary

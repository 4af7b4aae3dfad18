"""How long a traced program took, with and without the loggers of its libraries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convprof.json_checks import integer, number


@dataclass(frozen=True, slots=True)
class ProgramTime:
    """The run of a program whose logs are diagnosed."""

    exit_code: int
    """As a shell reports it."""
    seconds: float
    """From start to end, with loggers."""
    without_s: float | None = None
    """The same without loggers; None: not measured."""

    @property
    def overhead(self) -> float | None:
        """The time that the loggers add, as a share; None if unknown. Noise makes it negative."""
        return self.seconds / self.without_s - 1 if self.without_s else None

    @classmethod
    def read(cls, fields: dict[str, Any]) -> ProgramTime:
        """Return the run of a document."""
        without = fields.get("without_loggers_s")
        return cls(
            integer(fields.get("exit_code")),
            number(fields.get("seconds")),
            None if without is None else number(without),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields for a document."""
        return {
            "exit_code": self.exit_code,
            "seconds": self.seconds,
            "without_loggers_s": self.without_s,
            "overhead": self.overhead,
        }

"""What a fleet measures: numbered tasks, the requests to hosts, and the file of the results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.studies.fleet.cluster import Answer, Key
    from convprof.studies.fleet.hosts import By
    from convprof.studies.journal import Journal


@dataclass(frozen=True)
class Terms:
    """How a job is measured."""

    by: By
    options: Mapping[str, tuple[str, ...]]
    """Of the command that measures on a host."""
    limit_s: float = 600.0
    """The longest time of one task on one host."""
    away_s: float = 30.0
    """The longest time without a worker, until a host is given up."""
    hosts: int = 1
    """How many hosts to wait for before the first task."""
    any_version: bool = False
    spread: bool = False
    """Whether each task is measured on one of several identical hosts, not on every host."""


class Job(ABC):
    """Tasks with the numbers 0 to ``size`` - 1."""

    def __init__(self, journal: Journal, terms: Terms) -> None:
        """``journal``: the file of the results."""
        self.journal, self.terms = journal, terms

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of tasks."""

    @property
    @abstractmethod
    def machine(self) -> str | None:
        """The key of the machine of the results in the file; None before the first result."""

    @abstractmethod
    def finished(self) -> set[Key]:
        """Return what the file has from an earlier command, without failures."""

    @abstractmethod
    def request(self, key: Key) -> str:
        """Return the argument of a task."""

    def choices(self) -> list[dict[str, Any]]:
        """Return choices that all hosts shall store."""
        return []

    @abstractmethod
    def write(self, answers: Sequence[Answer]) -> None:
        """Check what tasks returned, and write it; all of it is on the disk together."""

"""What other programs do while a session takes its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.doubts import QUIET, Surroundings
from convprof.machine import activity
from convprof.machine.host import this_machine

if TYPE_CHECKING:
    from convprof.machine.activity import Activity


def accounts() -> Activity | None:
    """Return the kernel's accounts of the CPUs that this process may use; None where unknown."""
    machine = this_machine()
    return activity.now(machine, machine.affinity())


def between(before: Activity | None, after: Activity | None) -> Surroundings:
    """Return what others did between two accounts; a span that is too short tells nothing."""
    if before is None or after is None:
        return QUIET
    share = activity.others(before, after)
    return Surroundings(
        cpus=after.cpus,
        others_cpus=None if share is None else share * after.cpus,
        stolen_share=None if share is None else activity.stolen_share(before, after),
    )


class Lookout:
    """Accounts at the first and the last sample of a session."""

    def __init__(self) -> None:
        self._before: Activity | None = None
        self._around: Surroundings | None = None

    def begin(self) -> None:
        """Note the accounts; samples follow."""
        self._before, self._around = accounts(), None

    def end(self) -> None:
        """Note that the last sample was taken."""
        self._around = between(self._before, accounts())

    def around(self) -> Surroundings:
        """Return what others did until the last sample, or until now."""
        return self._around or between(self._before, accounts())

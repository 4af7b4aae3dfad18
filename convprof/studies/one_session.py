"""A study whose contestants all take part in one session."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.measure.events import Event
    from convprof.results import Measurement
    from convprof.studies.roofline_session import RooflineSession


class OneSession:
    """Measures in one session. Iterate over ``events()``; then read the results."""

    session: RooflineSession

    def events(self) -> Iterator[Event]:
        """Measure; yield what happens."""
        return self.session.events()

    def measurements(self) -> list[Measurement]:
        """Return the results so far, with their share of the measured peak."""
        return self.session.measurements()

"""The work of ``convprof explain cycles``, the one page that measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.cli.driver import Work, noise_watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from convprof.machine.noise import NoiseWatch


class CyclesWork(Work):
    """Measure from one chain to the peak; show the page."""

    def __init__(self, dtype: str, threads: int) -> None:
        from convprof.machine.model import MachineModel
        from convprof.studies.explain.cycles import Cycles

        self._study = Cycles(MachineModel.here(), dtype, threads)
        self._watch = noise_watch()
        self._whole = False

    def noise(self) -> NoiseWatch:
        """Return the watch for noise."""
        return self._watch

    def steps(self) -> Iterator[str]:
        """Measure; yield a text before each measurement."""
        yield from self._study.steps()
        self._whole = True

    def ready(self) -> bool:
        """Whether all was measured: a part of the page is not useful."""
        return self._whole

    def show(self, console: Console) -> None:
        """Print the page."""
        from convprof.render.explain import cycles as view

        view.show(console, self._study.page())

"""The training step's total, printed once all three passes of a layer are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.results import Measurements

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.problems import Problem
    from convprof.results import Measurement


class TrainingTotals:
    """Collects measurements for ``--pass training`` only."""

    def __init__(self, flags: dict[str, Any]) -> None:
        from convprof.problems.gradients import TRAINING

        self._wanted = flags["pass_"] == TRAINING
        self._layers: dict[tuple[str, str], Measurements] = {}
        """By descriptor and type."""

    def add(self, problem: Problem, measurements: list[Measurement]) -> None:
        """Take the measurements of one pass."""
        if not self._wanted or not measurements:
            return
        key = problem.descriptor, measurements[0].dtype
        layer = self._layers.setdefault(key, Measurements())
        layer += measurements
        layer.compress()

    def show_all(self, console: Console) -> None:
        """Print the totals of every layer, each under its name if there are several."""
        from convprof.dtypes import short_name
        from convprof.render.training import training_report
        from convprof.studies.network.training import steps

        several = len({dtype for _, dtype in self._layers}) > 1
        for (descriptor, dtype), layer in self._layers.items():
            if len(self._layers) > 1:
                name = f"{descriptor} {short_name(dtype)}" if several else descriptor
                console.print(name, markup=False, soft_wrap=True)
            training_report(console, steps(list(layer)))

"""The training step's total, printed once all three passes of a layer are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.results import Measurements

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.cli.from_flags import Asked
    from convprof.problems import Problem
    from convprof.results import Measurement


class TrainingTotals:
    """Collects measurements for ``--pass training`` only."""

    def __init__(self, asked: Asked, flags: dict[str, Any]) -> None:
        from convprof.problems.gradients import TRAINING

        self._wanted = flags["pass_"] == TRAINING
        self._layers: dict[str, Measurements] = {}
        self._asked = asked

    def add(self, problem: Problem, measurements: list[Measurement]) -> bool:
        """Take the measurements of one pass; return whether it is the last of its layer."""
        from convprof.problems.gradients import BACKWARD_WEIGHTS

        if not self._wanted:
            return False
        layer = self._layers.setdefault(problem.descriptor, Measurements())
        layer += measurements
        layer.compress()
        return problem.pass_name == BACKWARD_WEIGHTS

    def show(self, console: Console, descriptor: str) -> None:
        """Print the totals of one layer."""
        from convprof.render.training import training_report
        from convprof.studies.network.training import steps

        training_report(console, steps(list(self._layers[descriptor])))

    def show_all(self, console: Console) -> None:
        """Print the totals of every layer, each under its name if there are several."""
        for descriptor in self._layers:
            if len(self._layers) > 1:
                console.print(descriptor, markup=False, soft_wrap=True)
            self.show(console, descriptor)

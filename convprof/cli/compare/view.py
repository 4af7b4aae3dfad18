"""What the views of the commands that compare have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from convprof.cli.view import Study, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems import Problem
    from convprof.results import Measurement
    from convprof.studies.compare.isas import IsaComparison


class Comparing(Study, Protocol):
    """A study of one problem."""

    problem: Problem


class ComparingIsas(Comparing, Protocol):
    """A study of one problem whose kernels may have several instruction sets."""

    def isas(self) -> list[IsaComparison]:
        """Return the comparisons of instruction sets."""


class Written(Protocol):
    """A comparison that a document has."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields of the document."""


AnyComparing = TypeVar("AnyComparing", bound=Comparing)
AnyComparingIsas = TypeVar("AnyComparingIsas", bound=ComparingIsas)
Compared = TypeVar("Compared", bound=Written)


class ComparingView(View[AnyComparing], ABC, Generic[AnyComparing, Compared]):
    """Takes the comparisons of each study, or of an earlier process; a command prints them."""

    @abstractmethod
    def _compared(self, study: AnyComparing) -> list[Compared]:
        """Return the comparisons of a study that has ended."""

    @abstractmethod
    def _read(
        self, comparisons: Sequence[dict[str, Any]], measurements: Sequence[Measurement]
    ) -> list[Compared]:
        """Return the comparisons of an earlier process."""

    @abstractmethod
    def _take(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        compared: list[Compared],
    ) -> None:
        """Keep what is printed of one problem."""

    def keep(self, study: AnyComparing) -> list[dict[str, Any]]:
        """Take the measurements; return the comparisons."""
        compared = self._compared(study)
        self._take(study.problem, study.measurements(), compared)
        return [each.to_json() for each in compared]

    def again(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        comparisons: Sequence[dict[str, Any]],
    ) -> bool:
        """Take the measurements of an earlier process."""
        self._take(problem, measurements, self._read(comparisons, measurements))
        return True


class ComparingIsasView(
    ComparingView[AnyComparingIsas, Compared], ABC, Generic[AnyComparingIsas, Compared]
):
    """Takes the comparisons of instruction sets too."""

    def __init__(self) -> None:
        self._isas: list[IsaComparison] = []
        """The comparisons of instruction sets of all problems."""

    def keep(self, study: AnyComparingIsas) -> list[dict[str, Any]]:
        """Take the measurements; return the comparisons."""
        of_isas = study.isas()
        self._isas += of_isas
        return super().keep(study) + [each.to_json() for each in of_isas]

    def again(
        self,
        problem: Problem,
        measurements: Sequence[Measurement],
        comparisons: Sequence[dict[str, Any]],
    ) -> bool:
        """Take the measurements of an earlier process."""
        from convprof.studies.compare import isas

        self._isas += isas.read(comparisons, measurements)
        return super().again(problem, measurements, comparisons)

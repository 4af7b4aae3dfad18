"""A problem with the element types in which it shall be computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convprof.problems.base import Problem


@dataclass(frozen=True, slots=True)
class TypedProblem:
    """The same shape in two types is two problems to measure."""

    problem: Problem
    dtype: str = ""
    """As ``dtypes.types`` reads it; empty for the types of the command."""

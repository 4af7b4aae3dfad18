"""One layer of a network that computes a convolution or a matrix product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convprof.problems import Problem


@dataclass(frozen=True, slots=True)
class Layer:
    """The name as published with the network (``layer1.0.conv2``), and what it computes."""

    name: str
    problem: Problem

"""Types of options that are numbers: a range each, with plain words for what is no number."""

from __future__ import annotations

import math
from typing import Any

import click


class Whole(click.IntRange):
    """A range of whole numbers, or all of them."""

    name = "whole number"

    def _describe_range(self) -> str:
        """Return the range for the help; click would say ``x<=None`` where there is no limit."""
        return "" if self.min is None and self.max is None else super()._describe_range()


class Number(click.FloatRange):
    """A range of numbers without ``nan``, which click's own range accepts."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; ``click.BadParameter`` if it is not in the range."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number

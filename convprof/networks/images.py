"""Which images a network takes."""

from __future__ import annotations

from dataclasses import dataclass

from convprof.errors import ProblemError
from convprof.problems.checks import size


@dataclass(frozen=True, slots=True)
class Images:
    """Square images of ``channels``; published totals are those at ``published`` pixels a side."""

    published: int = 224
    channels: int = 3
    least: int = 1
    """The smallest of which the last pooling or stride leaves something."""
    step: int = 1
    """The side must be a multiple of it: the patch of a transformer."""

    def side(self, image: int | None) -> int:
        """Return the side in pixels, the published one for None; ProblemError if impossible."""
        if image is None:
            return self.published
        side = size("image", image, least=self.least)
        if side % self.step:
            raise ProblemError(
                f"image={side}: must be a multiple of {self.step}, the side of a patch"
            )
        return side

"""One picture through every filter: which problems there are, computed one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems import Conv2d
from convprof.studies.show_features import attention, filters, first_layer
from convprof.studies.show_features.step import Choice, Computed, Step, check, compute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.studies.show_features.first_layer import Bank
    from convprof.studies.show_features.picture import Picture

    Array = np.ndarray[Any, np.dtype[np.float32]]

BLUR_SIDE, BLUR_SIGMA = 9, 2.0
GABOR_SIDE, GABOR_WAVELENGTH, GABOR_SIGMA = 15, 6.0, 3.0
BOX, GAUSSIAN, SOBEL, LAPLACIAN, GABOR, FIRST = (
    "box blur", "Gaussian blur", "Sobel x and y", "Laplacian", "Gabor bank", "first layer"
)  # fmt: skip


class Study:
    """One picture's features. Iterate over ``run()``; then ``panels.sections`` shows it."""

    def __init__(
        self, picture: Picture, choice: Choice, bank: Bank, patch: int | None = None
    ) -> None:
        """Raise InputError for patches that do not fit, RefusedError for a strategy that cannot."""
        self.picture, self.choice, self.bank = picture, choice, bank
        _, h, w = picture.rgb.shape
        self.grid = attention.grid(h, w, patch)
        self._steps = [*_classic(picture.grey), self._first_layer()]
        check(self._steps, choice)
        self.computed: dict[str, Computed] = {}
        """By the step's name."""

    def run(self) -> Iterator[str]:
        """Compute step by step; yield the name of each before."""
        for step in self._steps:
            yield step.name
            self.computed[step.name] = compute(step, self.choice)
        slopes = self.computed[SOBEL].output[0]
        self.tokens = attention.tokens(self.picture, slopes, self.grid)
        step = attention.scores_step(self.tokens)
        yield step.name
        self.computed[step.name] = compute(step, self.choice)
        self.queries = attention.queries(slopes, self.grid)
        self.weights = attention.weights(self.output(step.name), self.tokens.shape[1])

    def output(self, name: str) -> Array:
        """Return a step's result: (1, k, p, q) of a convolution, a matrix of the scores."""
        return self.computed[name].output

    def _first_layer(self) -> Step:
        x = first_layer.normalised(self.picture.rgb)[None]
        return Step(FIRST, self.bank.problem(*x.shape[2:]), x, self.bank.weights)


def _classic(grey: Array) -> list[Step]:
    """Return the filters of one brightness plane, (r, s) or several as one convolution."""
    gabors = [
        filters.gabor(GABOR_SIDE, angle, GABOR_WAVELENGTH, GABOR_SIGMA)
        for angle in filters.DIRECTIONS.values()
    ]
    return [
        _plane_step(BOX, grey, [filters.box(BLUR_SIDE)]),
        _plane_step(GAUSSIAN, grey, [filters.gaussian(BLUR_SIDE, BLUR_SIGMA)]),
        _plane_step(SOBEL, grey, [filters.sobel_x(), filters.sobel_y()]),
        _plane_step(LAPLACIAN, grey, [filters.laplacian()]),
        _plane_step(GABOR, grey, gabors),
    ]


def _plane_step(name: str, grey: Array, kernels: list[Array]) -> Step:
    """Return the convolution of a plane whose border pixels are repeated outwards."""
    weights = np.stack(kernels)[:, None]
    k, _, r, s = weights.shape
    x = np.pad(grey, ((r // 2, r // 2), (s // 2, s // 2)), mode="edge")[None, None]
    problem = Conv2d(c=1, h=x.shape[2], w=x.shape[3], k=k, r=r, s=s)
    return Step(name, problem, x, weights)

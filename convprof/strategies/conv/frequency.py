"""The part of ``fft`` that runs in NumPy: forward and inverse transforms, and the products.

Frequencies are the outer axes of every array, so that the elements of one frequency are a matrix.
Complex numbers are stored in buffers of twice as many real numbers.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from convprof.dtypes import find
from convprof.strategies.base import Setting
from convprof.strategies.conv.overlap_save import Tiling, spans
from convprof.strategies.plan import Buffer, Packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.dtypes import DType
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]

TILES, SPECTRUM, FILTERS, PRODUCT, RESULT = "tiles", "spectrum", "filters", "product", "result"
FFT_HAS_OUT = np.lib.NumpyVersion(np.__version__) >= "2.0.0"
SCALED: Literal["ortho"] = "ortho"
"""Every transform is scaled by ``1 / sqrt(N)``. Without a scale, NumPy (2.4) multiplies by the
Python integer 1, which selects its float64 loop for float32 data: all data is copied, and the
transform takes about five times as long."""


def _transform(function: Callable[..., Array], source: Array, target: Array, axis: int) -> None:
    """Transform ``source`` into ``target`` along an axis, scaled by ``1 / sqrt(N)`` (see SCALED).

    NumPy 1 has no ``out`` and always computes in float64; the result is still correct.
    """
    points = target.shape[axis] if function is np.fft.irfft else source.shape[axis]
    if FFT_HAS_OUT:
        function(source, points, axis, SCALED, out=target)
    else:
        target[...] = function(source, points, axis, SCALED)


class FrequencySteps:
    """The three phases that run in NumPy, each shared out over the setting's threads.

    NumPy lets other threads run during a transform or a product. The plan holds BLAS to one thread:
    the products are many and small, so the threads share out whole products instead.
    """

    def __init__(self, tiling: Tiling, setting: Setting) -> None:
        self.tiling = tiling
        self.setting = setting
        self.pool = ThreadPoolExecutor(setting.threads)  # it starts threads at first use

    def share(self, width: int, task: Callable[[int, int], None]) -> None:
        """Run ``task(lo, hi)`` over parts of ``width``, one part per thread."""
        parts = min(self.setting.threads, width)
        edges = [width * i // parts for i in range(parts + 1)]
        others = [self.pool.submit(task, *edges[i : i + 2]) for i in range(1, parts)]
        task(*edges[:2])
        for other in others:
            other.result()

    def _complex(self, array: Array) -> Array:
        return array.view(np.result_type(find(self.setting.dtype).numpy, np.complex64))

    def forward(self, buffers: dict[str, Array]) -> None:
        """Transform tiles ``(i, j, tile c)`` along both axes, along the second axis in place."""
        tiles, spectrum = buffers[TILES], self._complex(buffers[SPECTRUM])

        def part(lo: int, hi: int) -> None:
            mine = spectrum[:, :, lo:hi]
            _transform(np.fft.rfft, tiles[:, :, lo:hi], mine, 1)
            if len(mine) > 1:
                _transform(np.fft.fft, mine, mine, 0)

        self.share(tiles.shape[2], part)

    def product(self, buffers: dict[str, Array]) -> None:
        """Multiply per frequency and group: ``(tiles, c/groups) x (c/groups, k/groups)``."""
        p, tiling = self.tiling.p, self.tiling
        shape = (tiling.frequencies, tiling.tiles, p.groups)
        source = self._complex(buffers[SPECTRUM]).reshape(*shape, p.cg)
        target = self._complex(buffers[PRODUCT]).reshape(*shape, p.kg)
        filters = self._complex(buffers[FILTERS])

        def part(lo: int, hi: int) -> None:
            x, w, y = source[lo:hi], filters[lo:hi], target[lo:hi]
            if p.cg == 1:  # no sum: one matrix product per channel would be slower
                np.multiply(x, w.reshape(hi - lo, 1, p.groups, p.kg), out=y)
            else:
                np.matmul(x.swapaxes(1, 2), w, out=y.swapaxes(1, 2))

        self.share(tiling.frequencies, part)

    def inverse(self, buffers: dict[str, Array]) -> None:
        """Inverse transform: all columns in place, then the rows that hold outputs."""
        product, result = self._complex(buffers[PRODUCT]), buffers[RESULT]
        step = self.tiling.p.stride[0]

        def part(lo: int, hi: int) -> None:
            mine = product[:, :, lo:hi]
            if len(mine) > 1:
                _transform(np.fft.ifft, mine, mine, 0)
            rows = mine[: (len(result) - 1) * step + 1 : step]
            _transform(np.fft.irfft, rows, result[:, :, lo:hi], 1)

        self.share(result.shape[2], part)


def filter_spectra(tiling: Tiling, dtype: DType) -> Packed:
    """Return the conjugate spectra of the filters, ``(frequencies, groups, c/groups, k/groups)``.

    Conjugate, because the convolution of networks is a correlation. The forward and the inverse
    transform of the image are scaled by ``1 / sqrt(N)`` each, ``1 / N`` in all; so the spectra of
    the filters are not scaled.
    """
    p, (dh, dw) = tiling.p, tiling.p.dilation
    shape = (tiling.frequencies, p.groups, p.cg, p.kg)

    def rearrange(weights: Array) -> Array:
        taps = weights.reshape(p.groups, p.kg, p.cg, p.r, p.s).transpose(3, 4, 0, 2, 1)
        filled = np.zeros((*spans(p), *taps.shape[2:]), dtype=weights.dtype)
        filled[::dh, ::dw] = taps * math.sqrt(tiling.rows.points * tiling.columns.points)
        spectra = np.fft.rfft(filled, tiling.columns.points, 1, SCALED)
        spectra = np.fft.fft(spectra, tiling.rows.points, 0, SCALED)
        np.conjugate(spectra, out=spectra)
        kind = np.result_type(dtype.array_type, np.complex64)
        ordered = np.ascontiguousarray(spectra, dtype=kind)
        spectrum: Array = ordered.view(dtype.array_type).reshape(*shape[:3], -1)
        return spectrum

    return Packed(Buffer((*shape[:3], 2 * p.kg), dtype), rearrange)

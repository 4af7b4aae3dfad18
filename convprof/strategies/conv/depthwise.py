"""Depthwise convolution in NHWC: no sum over channels, so vectors run along the channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.strategies.plan import Buffer, Packed

if TYPE_CHECKING:
    from convprof.dtypes import Types
    from convprof.problems import Conv2d
    from convprof.strategies.kernels import Buffers, Words

TAPS = "weights_rsc"


def depthwise_nhwc(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:
    """Compute output rows ``(n, p)``; ``x (n, h, w, c)`` padded, ``w (r * s, c)``.

    Four taps at a time, so that an output is loaded and stored once per four multiply-adds.
    """
    x, w, y = buffers[0], buffers[1], buffers[2]
    c_end, h, width, p_end, q_end = dims[0], dims[1], dims[2], dims[3], dims[4]
    r_end, s_end, sh, sw, dh, dw = dims[5], dims[6], dims[7], dims[8], dims[9], dims[10]
    taps = r_end * s_end
    for task in range(lo, hi):
        n = task // p_end
        p = task % p_end
        for q in range(q_end):
            out = (task * q_end + q) * c_end
            first = ((n * h + p * sh) * width + q * sw) * c_end
            for c in range(c_end):
                y[out + c] = 0
            t = 0
            while t + 4 <= taps:
                x0 = first + (t // s_end * dh * width + t % s_end * dw) * c_end
                x1 = first + ((t + 1) // s_end * dh * width + (t + 1) % s_end * dw) * c_end
                x2 = first + ((t + 2) // s_end * dh * width + (t + 2) % s_end * dw) * c_end
                x3 = first + ((t + 3) // s_end * dh * width + (t + 3) % s_end * dw) * c_end
                w0 = t * c_end
                for c in range(c_end):
                    y[out + c] = (
                        y[out + c]
                        + x[x0 + c] * w[w0 + c]
                        + x[x1 + c] * w[w0 + c_end + c]
                        + x[x2 + c] * w[w0 + 2 * c_end + c]
                        + x[x3 + c] * w[w0 + 3 * c_end + c]
                    )
                t += 4
            while t < taps:
                x0 = first + (t // s_end * dh * width + t % s_end * dw) * c_end
                for c in range(c_end):
                    y[out + c] = y[out + c] + x[x0 + c] * w[t * c_end + c]
                t += 1


def taps_last(p: Conv2d, types: Types) -> Packed:
    """Return the packing of ``(c, 1, r, s)`` as ``(r, s, c)``."""
    return Packed(Buffer((p.r, p.s, p.c), types.weights), lambda w: w[:, 0].transpose(1, 2, 0))

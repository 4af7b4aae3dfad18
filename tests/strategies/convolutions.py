"""Convolutions, drawn and particular, and the check of a strategy on one of them."""

from __future__ import annotations

import numpy as np
import pytest
from checks import check_again
from drawn_convolutions import fitting
from hypothesis import strategies as st

import convprof
from convprof.dtypes import DTYPES
from convprof.machine import facts
from convprof.problems import Conv2d
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Role, Setting
from convprof.strategies.peers.package import Library

# winograd, split3 and split6, which round more, and auto, which is one of the others, have files
THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
LEFT_OUT = {"winograd", "auto"} if len(THREADS) > 1 else {"winograd", "auto", "threaded"}
STRATEGIES = [
    s.name
    for s in registry.strategies("conv2d")
    if not isinstance(s, Library) and s.name not in LEFT_OUT and s.role is not Role.VARIANT
]
TOLERANCE = {"f32": 1e-5, "f64": 1e-13}

each_strategy = pytest.mark.parametrize("name", STRATEGIES)
each_layout = pytest.mark.parametrize("layout", LAYOUTS)


def threads_of(name):
    """Return the numbers of threads that a strategy takes."""
    strategy, p = registry.find("conv2d", name), Conv2d(c=1, h=3, w=3, k=1, r=3, s=3)
    return [n for n in THREADS if strategy.why_not(p, Setting(threads=n)) is None]


alone = pytest.mark.parametrize("name", [name for name in STRATEGIES if 1 in threads_of(name)])


def refuses(p, name, setting):
    return registry.find("conv2d", name).why_not(p, setting) is not None


@st.composite
def convolutions(draw):
    """Draw any convolution of small sizes; the filter may just fit the padded image."""
    taps, steps = st.integers(1, 4), st.sampled_from([1, 1, 2, 3])
    r, s = draw(taps), draw(taps)
    stride, dilation = draw(st.tuples(steps, steps)), draw(st.tuples(steps, steps))
    pad = draw(st.tuples(*[st.sampled_from([0, 0, 1, 2, 5])] * 4))
    groups = draw(st.integers(1, 4))
    per_group = st.sampled_from([1, 1, 2, 3, 5, 9])
    return fitting(
        draw,
        per_group,
        st.integers(1, 3),
        r=r,
        s=s,
        stride=stride,
        pad=pad,
        dilation=dilation,
        groups=groups,
    )


def operands(p, dtype, seed):
    """Return positive operands: no sum cancels, so every output has the same relative error."""
    random = np.random.default_rng(seed)
    kind = DTYPES[dtype].numpy
    shapes = p.x_shape("nchw"), p.weight_shape
    return tuple(random.uniform(0.25, 1, shape).astype(kind) for shape in shapes)


def laid_out(x, layout):
    return x if layout == "nchw" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def nchw(y, layout):
    return y if layout == "nchw" else y.transpose(0, 3, 1, 2)


def prepared_for(p, name, setting, seed=0):
    """Return a bound strategy, the operands and the reference."""
    x, weights = operands(p, setting.dtype, seed)
    prepared = convprof.prepare(
        p, name, setting.layout, setting.threads, setting.dtype, isa=setting.isa
    )
    prepared.bind(laid_out(x, setting.layout), weights)
    return prepared, (x, weights), p.reference((x, weights))


def error(prepared, layout, reference, of_zeros=1e-300):
    y = nchw(prepared.output(), layout)
    assert reference.shape == y.shape
    # All outputs may be in the padding: then they are exactly 0.
    return np.max(np.abs(y - reference)) / (np.max(np.abs(reference)) or of_zeros)


def check(p, name, setting, seed=0):
    prepared, _, reference = prepared_for(p, name, setting, seed)
    prepared.run()
    assert DTYPES[setting.dtype].numpy == prepared.output().dtype
    of_zeros = 1 if name == "fft" else 1e-300  # its zeros are sums of what cancels, rounded
    assert error(prepared, setting.layout, reference, of_zeros) < TOLERANCE[setting.dtype]
    check_again(prepared)
    prepared.close()


CASES = {
    "one pixel": Conv2d(c=1, h=1, w=1, k=1, r=1, s=1),
    "one pixel in a border": Conv2d(c=3, h=1, w=1, k=2, r=3, s=3, pad=(1, 1)),
    "filter of the image's size": Conv2d(c=5, h=7, w=6, k=4, r=7, s=6),
    "filter of the padded image's size": Conv2d(c=2, h=3, w=2, k=4, r=6, s=9, pad=(1, 3, 2, 4)),
    "depthwise": Conv2d(n=2, c=19, h=9, w=8, k=19, r=3, s=3, pad=(1, 1), groups=19),
    "depthwise, strided": Conv2d(
        c=33, h=11, w=9, k=33, r=3, s=5, pad=(1, 2), stride=(2, 2), groups=33
    ),
    "depthwise, dilated": Conv2d(c=6, h=9, w=9, k=6, r=3, s=3, dilation=(2, 3), groups=6),
    "depthwise with a multiplier": Conv2d(c=7, h=6, w=6, k=21, r=3, s=3, pad=(1, 1), groups=7),
    "groups of several": Conv2d(n=2, c=12, h=7, w=7, k=8, r=3, s=3, pad=(1, 1), groups=4),
    "large 1x1": Conv2d(c=300, h=17, w=19, k=270, r=1, s=1),
    "large 1x1 of a batch": Conv2d(n=3, c=70, h=16, w=17, k=40, r=1, s=1),
    "strided 1x1": Conv2d(n=2, c=24, h=15, w=14, k=40, r=1, s=1, stride=(2, 2)),
    "padded 1x1": Conv2d(c=6, h=5, w=5, k=4, r=1, s=1, pad=(2, 1)),
    "stride beyond the filter": Conv2d(c=3, h=13, w=14, k=4, r=2, s=2, stride=(5, 3)),
    "stem": Conv2d(c=3, h=37, w=41, k=16, r=7, s=7, stride=(2, 2), pad=(3, 3)),
    "many pixels": Conv2d(c=3, h=30, w=29, k=6, r=3, s=3, pad=(1, 1)),
    "many channels": Conv2d(c=130, h=5, w=4, k=290, r=3, s=3, pad=(1, 1)),
    "border on one side": Conv2d(c=4, h=6, w=6, k=4, r=3, s=3, pad=(2, 0, 0, 2)),
    "border wider than the filter": Conv2d(c=2, h=2, w=3, k=2, r=2, s=2, pad=(4, 3, 2, 5)),
    "one row": Conv2d(c=4, h=1, w=40, k=4, r=1, s=5, stride=(1, 3), pad=(0, 2)),
    "one column": Conv2d(c=4, h=40, w=1, k=4, r=5, s=1, stride=(3, 1), pad=(2, 0)),
}

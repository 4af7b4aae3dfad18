"""What a convolution needs is refused before it is allocated, and exactly that is enough."""

from __future__ import annotations

import numpy as np
import pytest
from convolutions import CASES, alone, each_layout

import convprof
from convprof.errors import TooLargeError
from convprof.problems import Conv2d
from convprof.strategies import memory


@alone
@each_layout
def test_what_does_not_fit_is_refused_before_it_is_allocated(monkeypatch, layout, name):
    def allocate(*_):
        raise AssertionError

    monkeypatch.setattr(memory, "available_bytes", lambda: 3 << 20)
    monkeypatch.setattr(memory, "zeros", allocate)
    p = Conv2d(c=64, h=112, w=112, k=64, r=3, s=3, pad=(1, 1))
    with pytest.raises(TooLargeError) as caught:
        convprof.prepare(p, strategy=name, layout=layout)
    text = str(caught.value)
    assert text.startswith(f"{name} of {p.descriptor} needs ")
    assert text.endswith(
        " of memory and 3 MiB are available: "
        "use a smaller problem (for images, a smaller minibatch) or another strategy"
    )


@each_layout
def test_exactly_what_is_needed_is_enough(monkeypatch, layout):
    p = CASES["stem"]
    plain = convprof.prepare(p, strategy="im2col", layout=layout)
    operands = (np.prod(p.x_shape("nchw")), np.prod(p.weight_shape), np.prod(p.y_shape("nchw")))
    needed = 4 * int(sum(operands)) + plain.workspace_bytes

    monkeypatch.setattr(memory, "available_bytes", lambda: needed)
    convprof.prepare(p, strategy="im2col", layout=layout)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    with pytest.raises(TooLargeError):
        convprof.prepare(p, strategy="im2col", layout=layout)
    monkeypatch.setattr(memory, "available_bytes", lambda: None)  # unknown: try
    convprof.prepare(p, strategy="im2col", layout=layout)


def test_a_direct_convolution_needs_less_than_im2col(monkeypatch):
    p = Conv2d(c=64, h=40, w=40, k=8, r=5, s=5)
    monkeypatch.setattr(memory, "available_bytes", lambda: 2 << 20)
    with pytest.raises(TooLargeError, match="im2col of mb1ic64ih40"):
        convprof.prepare(p, strategy="im2col")
    convprof.prepare(p, strategy="direct")

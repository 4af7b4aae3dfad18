"""The options of a convolution as PyTorch, Keras and ONNX write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.problems.axis import Axis
from convprof.problems.onnx_conv import short_attributes

if TYPE_CHECKING:
    from convprof.problems import Conv2d


@dataclass(frozen=True)
class Option:
    """One option and its names."""

    option: str
    torch: str
    keras: str
    onnx: str


OPTIONS = (
    Option("channels out", "out_channels=64", "filters=64", "shape of W"),
    Option("channels in", "in_channels=3", "shape of x", "shape of W"),
    Option("filter size", "kernel_size=3", "kernel_size=3", "kernel_shape=[3, 3]"),
    Option("stride", "stride=2", "strides=2", "strides=[2, 2]"),
    Option("no padding", "padding=0", 'padding="valid"', "auto_pad=VALID"),
    Option("padding by 1", "padding=1", "ZeroPadding2D(1)", "pads=[1, 1, 1, 1]"),
    Option("same size", 'padding="same" *', 'padding="same"', "auto_pad=SAME_UPPER"),
    Option("dilation", "dilation=2", "dilation_rate=2", "dilations=[2, 2]"),
    Option("groups", "groups=2", "groups=2", "group=2"),
    Option("bias", "bias=True", "use_bias=True", "third input B"),
    Option("shape of x", "(n, c, h, w)", "(n, h, w, c) **", "(n, c, h, w)"),
    Option("shape of W", "(k, c/g, r, s)", "(r, s, c/g, k)", "(k, c/g, r, s)"),
)
"""With example values, defaults too. Keras and ``tf.nn`` pad alike."""


@dataclass(frozen=True)
class Spelling:
    """One layer in one framework."""

    framework: str
    code: str
    note: str = ""


def spellings(p: Conv2d) -> tuple[Spelling, ...]:
    """Return the lines that make this very layer."""
    return _torch(p), _keras(p), _onnx(p)


def _torch(p: Conv2d) -> Spelling:
    top, left, bottom, right = p.pads
    symmetric = (top, left) == (bottom, right)
    words = [str(p.c), str(p.k), _pair((p.r, p.s))]
    words += _changed("stride", p.stride, (1, 1))
    words += _changed("padding", (top, left), (0, 0)) if symmetric else []
    words += _changed("dilation", p.dilation, (1, 1))
    words += [f"groups={p.groups}"] if p.groups > 1 else []
    layer = f"torch.nn.Conv2d({', '.join(words)})"
    if symmetric:
        return Spelling("PyTorch", layer)
    around = f"torch.nn.ZeroPad2d(({left}, {right}, {top}, {bottom}))"
    return Spelling("PyTorch", f"{around}, then {layer}", "order: left, right, top, bottom")


def _keras(p: Conv2d) -> Spelling:
    top, left, bottom, right = p.pads
    words = [str(p.k), _pair((p.r, p.s))]
    words += _changed("strides", p.stride, (1, 1))
    same = is_same(p)
    words += ['padding="same"'] if same and any(p.pads) else []
    words += _changed("dilation_rate", p.dilation, (1, 1))
    words += [f"groups={p.groups}"] if p.groups > 1 else []
    layer = f"keras.layers.Conv2D({', '.join(words)})"
    both = max(p.stride) > 1 and max(p.dilation) > 1
    if same or not any(p.pads):
        return Spelling("Keras", layer, "refused: a stride and a dilation" if both else "")
    around = f"keras.layers.ZeroPadding2D((({top}, {bottom}), ({left}, {right})))"
    return Spelling("Keras", f"{around}, then {layer}", 'padding="same" would pad otherwise')


def is_same(p: Conv2d) -> bool:
    """Whether TensorFlow's SAME is the padding of both axes."""
    rows = Axis(p.h, p.r, p.stride[0], p.dilation[0]).same()
    columns = Axis(p.w, p.s, p.stride[1], p.dilation[1]).same()
    return (rows[0], columns[0], rows[1], columns[1]) == p.pads


def _onnx(p: Conv2d) -> Spelling:
    words = [f"{key}={value}" for key, value in short_attributes(p).items()]
    note = "pads: top, left, bottom, right" if any(p.pads) else ""
    return Spelling("ONNX", f"Conv({', '.join(words)})", note)


def _changed(word: str, values: tuple[int, int], default: tuple[int, int]) -> list[str]:
    return [f"{word}={_pair(values)}"] if values != default else []


def _pair(values: tuple[int, int]) -> str:
    return str(values[0]) if values[0] == values[1] else str(values)

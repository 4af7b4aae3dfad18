"""A first layer without training, with filters like the ones that training finds.

Krizhevsky et al. 2012 (figure 3) show AlexNet's: grey edges and bars in several directions, and
blobs and edges of one colour against its opposite. Stride, size and what follows are ResNet's (He
et al. 2015): 7x7 stride 2, ReLU, 3x3 maximum stride 2. The picture is normalised as torchvision's
networks expect it, so that their weights can take the place of these.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from convprof import units
from convprof.errors import InputError
from convprof.problems import Conv2d
from convprof.studies.show_features import filters
from convprof.studies.show_features.filters import DIRECTIONS, EVEN, ODD, Array

SIDE = 7
STRIDE = 2
WAVELENGTH, SIGMA = 6.0, 2.0
BLOB_SIGMA = 1.6
COLOURS = {"grey": (1 / 3, 1 / 3, 1 / 3), "red-green": (0.5, -0.5, 0), "blue-yellow": (-0.25, -0.25, 0.5)}  # noqa: E501  # fmt: skip
"""What a filter adds up of red, green and blue."""
BLOBS = {"red": ("red-green", 1), "green": ("red-green", -1), "blue": ("blue-yellow", 1), "yellow": ("blue-yellow", -1)}  # noqa: E501  # fmt: skip
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue over ImageNet, as torchvision's documentation gives them."""

MOST_BYTES = 64 << 20
MOST_FILTERS, LARGEST_SIDE = 1024, 31
LONGEST_HEADER = 4096
RANK = 4


@dataclass(frozen=True)
class Bank:
    """Filters of a first layer."""

    source: str
    """``""`` for our own, else the file's name."""
    names: tuple[str, ...]
    weights: Array
    """(k, 3, r, s)."""

    def problem(self, h: int, w: int) -> Conv2d:
        """Return the convolution over a picture of that size, padded by half a filter."""
        k, c, r, s = self.weights.shape
        stride = (STRIDE, STRIDE)
        return Conv2d(c=c, h=h, w=w, k=k, r=r, s=s, stride=stride, pad=(r // 2, s // 2))


def built_in() -> Bank:
    """Return 16 filters: 8 grey edges and bars, 4 edges between opposite colours, 4 blobs."""
    bank: dict[str, Array] = {}
    for kind, phase in (("edge", ODD), ("bar", EVEN)):
        for name, angle in DIRECTIONS.items():
            wave = filters.gabor(SIDE, angle, WAVELENGTH, SIGMA, phase)
            bank[f"{name} {kind}"] = _coloured("grey", wave)
    for colour in ("red-green", "blue-yellow"):
        for name in ("vertical", "horizontal"):
            wave = filters.gabor(SIDE, DIRECTIONS[name], WAVELENGTH, SIGMA, ODD)
            bank[f"{colour} {name}"] = _coloured(colour, wave)
    for name, (colour, sign) in BLOBS.items():
        bank[f"{name} blob"] = sign * _coloured(colour, filters.gaussian(SIDE, BLOB_SIGMA))
    return Bank("", tuple(bank), np.stack(list(bank.values())))


def _coloured(colour: str, plane: Array) -> Array:
    shares = np.array(COLOURS[colour], np.float32)
    coloured: Array = shares[:, None, None] * plane
    return coloured


def normalised(rgb: Array) -> Array:
    """Return a picture (3, h, w) less ImageNet's mean, over its standard deviation."""
    mean, deviation = (np.array(v, np.float32)[:, None, None] for v in (MEAN, DEVIATION))
    scaled: Array = (rgb - mean) / deviation
    return scaled


def max_pool(maps: Array) -> Array:
    """Return the maximum of every 3x3 window, stride 2, padded by 1: (k, h, w) -> (k, h', w')."""
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    largest: Array = windows[:, ::2, ::2].max(axis=(3, 4))
    return largest


def read(path: str) -> Bank:
    """Return the filters in a .npy file: (k, 3, r, s), floating point, finite.

    The header is read and checked before anything is loaded, and nothing in the file is executed
    (no pickle). InputError in one line if it is not that.
    """
    shown = path if path and path.isprintable() else repr(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on headers that Python 2 wrote, and on overflow
            weights = _array(Path(path))
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot be read: {reason}", field="weights", value=shown) from None
    except Exception as error:  # noqa: BLE001  # NumPy tokenizes headers, and that raises much
        first = next(iter(str(error).splitlines()), "")
        reason = first if first.isprintable() and first else type(error).__name__
        raise InputError(
            f"{reason}. Write it with: numpy.save(FILE, weights), weights of shape (k, 3, r, s)",
            field="weights",
            value=shown,
        ) from None
    names = tuple(f"filter {k}" for k in range(len(weights)))
    return Bank(shown, names, weights)


def _array(path: Path) -> Array:
    """Return the array in a .npy file; ValueError if it is not an array of filters."""
    if path.exists() and not path.is_file():  # reading a pipe might never end
        raise ValueError("it is not an ordinary file")
    with path.open("rb") as file:
        _check_header(file)
        file.seek(0)
        loaded = np.load(file, allow_pickle=False, max_header_size=LONGEST_HEADER)
    weights = np.ascontiguousarray(loaded, dtype=np.float32)
    if not np.isfinite(weights).all():
        raise ValueError("not every weight is finite in f32")
    return weights


def _check_header(file: BinaryIO) -> None:
    if file.read(6) != np.lib.format.MAGIC_PREFIX:
        raise ValueError("it is not a .npy file")
    file.seek(0)
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError("the version of its format is unknown")
    shape, _, dtype = readers[version](file, max_header_size=LONGEST_HEADER)
    if dtype.kind != "f":
        raise ValueError("its elements are not floating-point numbers")
    text = "x".join(map(str, shape)) or "a single number"
    if len(shape) != RANK or shape[1] != len(MEAN) or min(shape) < 1:
        raise ValueError(f"its shape is {text}, not k x 3 x r x s")
    if shape[0] > MOST_FILTERS or max(shape[2:]) > LARGEST_SIDE:
        raise ValueError(
            f"its shape is {text}; at most {MOST_FILTERS} filters of "
            f"{LARGEST_SIDE}x{LARGEST_SIDE} can be shown"
        )
    needed = int(np.prod(shape)) * dtype.itemsize
    if needed > MOST_BYTES:
        raise ValueError(f"larger than {units.size(MOST_BYTES)}")

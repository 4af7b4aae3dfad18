"""Read a picture from a stranger; needs Pillow, imported when it is used.

Sizes are checked before pixels are decoded: first the size of the file, then the header's.
"""

from __future__ import annotations

import io
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof import units
from convprof.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image as Decoded

    Array = np.ndarray[Any, np.dtype[np.float32]]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""Pillow reads many more, and each is another parser to trust."""
MOST_BYTES = 64 << 20
MOST_PIXELS = 40_000_000
LARGEST_16_BIT = 65535
SAMPLE = "grace_hopper.jpg"
"""A photograph by the US Navy, in the public domain; matplotlib's wheel has it."""
GREY_SHARES = (0.299, 0.587, 0.114)
"""Luma of red, green and blue (ITU-R BT.601)."""


@dataclass(frozen=True)
class Picture:
    """A picture scaled down to what is filtered."""

    name: str
    """The file's name, printable."""
    size: tuple[int, int]
    """Width and height in the file."""
    rgb: Array
    """(3, h, w), from 0 to 1."""

    @property
    def grey(self) -> Array:
        """Brightness (h, w), from 0 to 1."""
        return np.tensordot(np.array(GREY_SHARES, np.float32), self.rgb, axes=1)


def sample() -> str:
    """Return the path of the default picture; InputError where matplotlib has none."""
    import matplotlib as mpl

    path = Path(mpl.get_data_path()) / "sample_data" / SAMPLE
    if not path.is_file():
        raise InputError(f"this matplotlib comes without its sample {SAMPLE}: name a picture")
    return str(path)


def read(path: str, size: int) -> Picture:
    """Return the picture in a file, its longer side at most ``size`` pixels.

    Transparent parts get a white background; the first of several frames is taken; the orientation
    that a camera wrote is applied. InputError in one line that names the file if the file has none
    of the ``FORMATS``, is broken, or has more than ``MOST_BYTES`` or ``MOST_PIXELS``.
    """
    shown = path if path and path.isprintable() else repr(path)
    data = _bytes(path, shown)
    with warnings.catch_warnings():
        # Warnings about odd metadata do not help; a decompression bomb is refused below.
        warnings.simplefilter("ignore")
        return _decoded(data, shown, size)


def _bytes(path: str, shown: str) -> bytes:
    if not path:
        raise InputError(f"{shown}: the name is empty; name a picture")
    try:
        file = Path(path)
        if file.is_dir():
            raise InputError(f"{shown}: is a directory; name a picture in it")
        if file.exists() and not file.is_file():  # reading a pipe might never end
            raise InputError(f"{shown}: is not an ordinary file; name a picture")
        with file.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{shown}: cannot be read: {reason}") from None
    if not data:
        raise InputError(f"{shown}: the file is empty; name a picture")
    if len(data) > MOST_BYTES:
        raise InputError(f"{shown}: larger than {units.size(MOST_BYTES)}; save it smaller")
    return data


def _decoded(data: bytes, shown: str, size: int) -> Picture:
    from PIL import Image, UnidentifiedImageError

    known = ", ".join(FORMATS[:-1]) + f" and {FORMATS[-1]}"
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise InputError(f"{shown}: {_TOO_MANY}") from None
    except UnidentifiedImageError:
        raise InputError(f"{shown}: no picture that can be read; {known} can") from None
    except Exception as error:  # noqa: BLE001  # parsers of broken headers raise what they like
        raise InputError(f"{shown}: a broken picture: {_reason(error)}") from None
    with image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise InputError(f"{shown}: {width}x{height}: {_TOO_MANY}")
        try:
            image.load()
            return Picture(shown, *_scaled(image, size))
        except MemoryError:
            raise InputError(f"{shown}: {width}x{height} pixels do not fit the memory") from None
        except Exception as error:  # noqa: BLE001  # as above
            raise InputError(f"{shown}: a broken picture: {_reason(error)}") from None


_TOO_MANY = f"more than {MOST_PIXELS // 1_000_000} million pixels; scale it down first"


def _reason(error: Exception) -> str:
    """Return the first line of what a parser said, if that can be printed."""
    first = next(iter(str(error).splitlines()), "")
    return first if first and first.isprintable() else type(error).__name__


def _scaled(image: Decoded, size: int) -> tuple[tuple[int, int], Array]:
    """Return the size before, and the pixels after scaling down."""
    from PIL import Image, ImageOps

    with suppress(Exception):  # broken EXIF data does not make a picture unreadable
        image = ImageOps.exif_transpose(image) or image
    before = image.size
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(_unit(np.asarray(image, dtype=np.float32)))
    else:
        image = _on_white(image)
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    if image.mode == "RGB":
        rgb = np.asarray(image, dtype=np.float32) / np.float32(255)
        return before, np.moveaxis(rgb, 2, 0)
    grey = np.clip(np.asarray(image, dtype=np.float32), 0, 1)
    return before, np.stack([grey] * 3)


def _unit(values: Array) -> Array:
    """Return grey values of 16 bits or more, or fractions, scaled to 0 to 1."""
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > LARGEST_16_BIT:  # no range is agreed on: take its own
        return (values - low) / np.float32(high - low)
    return values / np.float32(LARGEST_16_BIT if high > 1 else 1)


def _on_white(image: Decoded) -> Decoded:
    from PIL import Image

    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        above = image.convert("RGBA")
        white = Image.new("RGBA", above.size, "white")
        return Image.alpha_composite(white, above).convert("RGB")
    return image.convert("RGB")

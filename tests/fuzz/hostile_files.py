"""Hostile pictures and weights, and what reads them."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

from hostile_making import mutated
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path


@functools.cache
def _pictures() -> list[bytes]:
    from PIL import Image

    picture = Image.new("RGB", (9, 5), "red")
    found = []
    for kind, mode in (
        *(("PNG", "RGB"), ("PNG", "P"), ("PNG", "LA"), ("PNG", "I;16"), ("JPEG", "RGB")),
        *(("BMP", "RGB"), ("GIF", "P"), ("TIFF", "RGB"), ("TIFF", "F"), ("PPM", "RGB")),
    ):
        file = io.BytesIO()
        made = picture.convert("I").convert(mode) if mode == "I;16" else picture.convert(mode)
        made.save(file, kind)
        found.append(file.getvalue())
    return found


def pictures() -> st.SearchStrategy[bytes]:
    """Return pictures."""
    sizes = (
        b"\x00\x00\xff\xff",
        b"\x7f\xff\xff\xff",
        b"9999999999",
        b"IDAT",
        b"eXIf",
        b"P6 99999 9 255 ",
    )
    return mutated(_pictures(), sizes) | st.binary(max_size=40)


def read_picture(data: bytes, folder: Path) -> bool:
    """Read a picture."""
    from convprof.studies.show_features import picture

    path = folder / "picture"
    path.write_bytes(data)
    found = picture.read(str(path), 64)
    assert found.rgb.shape[0] == 3
    assert max(found.rgb.shape[1:]) <= 64
    return True


def weights() -> st.SearchStrategy[bytes]:
    """Return .npy files."""
    import numpy as np

    seeds = []
    for array in (
        np.ones((2, 3, 5, 5), np.float32),
        np.ones((1, 3, 3, 3), np.float64),
        np.asfortranarray(np.ones((2, 3, 3, 3), np.float16)),
    ):
        file = io.BytesIO()
        np.save(file, array)
        seeds.append(file.getvalue())
    tokens = (b"'<f8'", b"'|O'", b"99999999", b"True", b"(", b"((((", b"'descr'", b"**9**9**9")
    return mutated(seeds, tokens) | st.binary(max_size=40)


def read_weights(data: bytes, folder: Path) -> bool:
    """Read the filters of a first layer."""
    from convprof.studies.show_features import first_layer

    path = folder / "w.npy"
    path.write_bytes(data)
    first_layer.read(str(path)).problem(64, 64)
    return True

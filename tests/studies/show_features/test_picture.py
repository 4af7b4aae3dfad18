from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest

from convprof.errors import InputError
from convprof.studies.show_features import picture

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow, which matplotlib brings")

COLOURS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
RGB = Image.fromarray(COLOURS)


def saved(path, image, **options):
    image.save(path, **options)
    return str(path)


def pixels(found):
    return np.moveaxis(found.rgb, 0, 2)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm"])
def test_lossless_formats_give_the_very_pixels(tmp_path, suffix):
    found = picture.read(saved(tmp_path / f"x.{suffix}", RGB), 64)
    assert found.size == (30, 20)
    assert found.rgb.dtype == np.float32
    assert (pixels(found) * 255).round().tolist() == COLOURS.tolist()


@pytest.mark.parametrize("suffix", ["jpg", "gif", "webp"])
def test_lossy_formats_come_close(tmp_path, suffix):
    plain = Image.new("RGB", (30, 20), (200, 100, 50))
    found = picture.read(saved(tmp_path / f"x.{suffix}", plain), 64)
    assert pixels(found) * 255 == pytest.approx(np.broadcast_to([200, 100, 50], (20, 30, 3)), abs=4)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("1", "png"), ("L", "png"), ("P", "gif"), ("CMYK", "jpg"), ("LA", "png")]
)
def test_other_modes(tmp_path, mode, suffix):
    found = picture.read(saved(tmp_path / f"x.{suffix}", RGB.convert(mode)), 64)
    assert found.rgb.shape == (3, 20, 30)
    assert 0 <= found.rgb.min() < found.rgb.max() <= 1


def test_sixteen_bits_of_grey(tmp_path):
    values = np.arange(600, dtype=np.uint16).reshape(20, 30) * 109
    found = picture.read(saved(tmp_path / "x.png", Image.fromarray(values)), 64)
    assert found.rgb[1] == pytest.approx(values / 65535, abs=1e-6)
    assert found.grey == pytest.approx(values / 65535, abs=1e-6)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-2, 5), (0, 1e9), (3, 3)])
def test_fractions(tmp_path, low, high):
    values = np.linspace(low, high, 600, dtype=np.float32).reshape(20, 30)
    values[0, 0] = np.nan
    found = picture.read(saved(tmp_path / "x.tiff", Image.fromarray(values)), 64)
    assert np.isfinite(found.rgb).all()
    assert 0 <= found.rgb.min() <= found.rgb.max() <= 1


def test_transparent_parts_are_white(tmp_path):
    image = RGB.copy().convert("RGBA")
    image.putalpha(0)
    assert picture.read(saved(tmp_path / "x.png", image), 64).rgb.min() == 1
    indexed = Image.new("P", (4, 4), 0)
    indexed.putpalette([0, 0, 0, 255, 0, 0])
    assert picture.read(saved(tmp_path / "y.png", indexed, transparency=0), 64).rgb.min() == 1


def test_the_camera_was_held_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right
    found = picture.read(saved(tmp_path / "x.png", RGB, exif=exif), 64)
    assert found.size == (20, 30)
    assert (pixels(found) * 255).round().tolist() == np.rot90(COLOURS, -1).tolist()


def test_a_broken_note_on_that_is_passed_over(tmp_path):
    path = tmp_path / "x.jpg"
    RGB.save(path, exif=b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff")
    assert picture.read(str(path), 64).size == (30, 20)


def test_a_large_picture_is_scaled_down_and_a_small_one_is_not_scaled_up(tmp_path):
    path = saved(tmp_path / "x.png", Image.new("RGB", (400, 100), "red"))
    found = picture.read(path, 80)
    assert (found.size, found.rgb.shape) == ((400, 100), (3, 20, 80))
    assert picture.read(saved(tmp_path / "y.png", RGB), 800).rgb.shape == (3, 20, 30)
    thin = picture.read(saved(tmp_path / "z.png", Image.new("L", (4000, 1))), 64)
    assert thin.rgb.shape == (3, 1, 64)


def png(width, height):
    """Return a PNG whose header promises that many pixels, and that has none."""

    def chunk(kind, data):
        tail = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + tail

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0"))


def encoded(kind):
    data = io.BytesIO()
    RGB.save(data, kind)
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"the file is empty"),
        (b"hello", r"no picture that can be read; PNG, .* and PPM can"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", r"no picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", r"no picture"),
        (png(7000, 7000), r"7000x7000: more than 40 million pixels"),
        (png(10000, 10000), r"10000x10000: more than 40 million pixels"),
        (png(50000, 50000), r"more than 40 million pixels"),
        (png(30, 20), r"a broken picture: "),
        (encoded("PNG")[:300], r"a broken picture: "),
        (encoded("JPEG")[:500], r"a broken picture: "),
        (encoded("TIFF")[:400], r"a broken picture: |no picture"),
        (encoded("WEBP")[:60], r"a broken picture: |no picture"),
        (b"P6 99999999 99999999 255\n", r"more than 40 million pixels"),
        (b"P6 4 4 255\nabc", r"a broken picture: "),
        (b"BM" + b"\xff" * 60, r"a broken picture: |no picture|million"),
    ],
)
def test_hostile_files_are_refused_in_one_line(tmp_path, data, message):
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        picture.read(str(path), 64)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_any_damage_ends_in_a_picture_or_one_line(tmp_path, kind):
    whole, random = encoded(kind), np.random.default_rng(0)
    path = tmp_path / "x"
    for _ in range(40):
        data = bytearray(whole)
        for place in random.integers(0, min(len(data), 200), 3):
            data[place] = random.integers(0, 256)
        path.write_bytes(data)
        try:
            found = picture.read(str(path), 64)
        except InputError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017
            assert str(error).isprintable()  # noqa: PT017
        else:
            assert found.rgb.shape[0] == 3


def test_what_is_no_file(tmp_path):
    with pytest.raises(InputError, match=r"no.png: cannot be read: No such file"):
        picture.read(str(tmp_path / "no.png"), 64)
    with pytest.raises(InputError, match="is a directory; name a picture in it"):
        picture.read(str(tmp_path), 64)
    with pytest.raises(InputError, match=r"cannot be read: .*null"):
        picture.read("a\0b", 64)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is not an ordinary file"):
        picture.read(str(tmp_path / "pipe"), 64)


def test_a_file_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(picture, "MOST_BYTES", 100)
    with pytest.raises(InputError, match="larger than 100 B"):
        picture.read(saved(tmp_path / "x.png", RGB), 64)


def test_the_default_is_a_photograph():
    pytest.importorskip("matplotlib", reason="the default picture is matplotlib's")
    found = picture.read(picture.sample(), 256)
    assert max(found.rgb.shape) == 256
    assert found.rgb.std() > 0.1


def test_without_the_default_a_picture_must_be_named(monkeypatch, tmp_path):
    mpl = pytest.importorskip("matplotlib", reason="the default picture is matplotlib's")
    monkeypatch.setattr(mpl, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(InputError, match="name a picture"):
        picture.sample()

from __future__ import annotations

import io
import random
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
from fuzz.corpus import animated_webp, bombs, encode, honest
from fuzz.mutator import mutated

from edge_sdk.errors import ImageError
from edge_sdk.images import decode_image, decoder
from edge_sdk.images.opencv_log import log_level
from edge_sdk.types import Image


def scene(width: int, height: int, seed: int = 0) -> Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 5), np.uint8)


KINDS: dict[str, tuple[int, ...]] = {
    "baseline": (),
    "progressive": (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": (cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
    "own tables": (cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "4:4:4": (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    "4:1:1": (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpegs_pixels_are_those_of_opencv(kind: str) -> None:
    data = encode(scene(301, 203), ".jpg", *KINDS[kind])
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    expected = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    assert np.array_equal(decode_image(data).image, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_jpeg_cut_off_and_followed_by_other_bytes_is_refused(kind: str, kept: float) -> None:
    options = KINDS[kind]
    data, other = encode(scene(400, 300, 1), ".jpg", *options), encode(scene(320, 240, 2), ".jpg", *options)
    start = data[: int(len(data) * kept)]
    end = b"\xff\xd9"
    tails = {
        "the next file": other,
        "the end of one": other[-3000:],
        "its own end mark": end,
        "zeros": bytes(len(data)) + end,
        "ones": b"\xff" * len(data) + end,
        "erased flash of another size": b"\xff" * 4096 + other,
        "text": b"no picture at all " * 500 + end,
    }
    for tail in tails:
        with pytest.raises(ImageError, match="the JPEG file is truncated"):
            decode_image(start + tails[tail])
    missing = data[: int(len(data) * kept) - 512] + data[int(len(data) * kept) :]
    with pytest.raises(ImageError, match="the JPEG file is truncated"):
        decode_image(missing)
    sector = bytearray(data)
    sector[int(len(data) * kept) - 2048 : int(len(data) * kept)] = bytes(2048)
    with pytest.raises(ImageError, match="the JPEG file is truncated"):
        decode_image(bytes(sector))


@pytest.mark.parametrize("count", [1, 3, 7])
def test_an_encoder_may_pad_before_the_end_mark(count: int) -> None:
    data = encode(scene(80, 60), ".jpg")
    assert np.array_equal(decode_image(data[:-2] + bytes(count) + data[-2:]).image, decode_image(data).image)


def test_several_pictures_in_one_file_give_the_first() -> None:
    first, second = encode(scene(80, 60, 1), ".jpg"), encode(scene(640, 480, 2), ".jpg")
    expected = decode_image(first).image
    for trailer in (second, bytes(4096), b"\xff" * 4096, second[: len(second) // 2]):
        assert np.array_equal(decode_image(first + trailer).image, expected)
    assert decode_image(first + second, max_pixels=80 * 60).image.shape == (60, 80, 3)
    pages = [PIL.Image.fromarray(scene(*size)) for size in ((80, 60), (640, 480))]
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    assert decode_image(stream.getvalue(), max_pixels=80 * 60).image.shape == (60, 80, 3)
    stream = io.BytesIO()
    pages[0].save(stream, "PNG", save_all=True, append_images=[pages[0].rotate(180)])
    assert np.array_equal(decode_image(stream.getvalue()).image, np.asarray(pages[0]))


def test_a_webp_whose_canvas_is_not_its_picture() -> None:
    data = encode(scene(640, 480), ".webp", cv2.IMWRITE_WEBP_QUALITY, 70)
    for side in (16, 2000):
        size = (side - 1).to_bytes(3, "little") * 2
        body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + bytes(4) + size + data[12:]
        with pytest.raises(ImageError, match="the WebP file"):
            decode_image(b"RIFF" + struct.pack("<I", len(body)) + body)
    if cv2.__version__ < "4.11":  # it reads no animations
        with pytest.raises(ImageError, match="the WebP file"):
            decode_image(animated_webp(3))
    else:
        assert decode_image(animated_webp(3)).image.shape == (48, 64, 3)


def test_odd_fields_that_libjpeg_warns_of_are_no_damage(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encode(scene(80, 60), ".jpg"))
    expected = decode_image(bytes(data)).image
    at = data.index(b"\xff\xda")
    data[at + 5 + 2 * data[at + 4] + 1] = 0  # the end of the spectral selection
    assert np.array_equal(decode_image(bytes(data)).image, expected)
    assert decode_image(bytes(data).replace(b"JFIF\0\1\1", b"JFIF\0\0\0")).image.shape == expected.shape
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_cut_off_in_other_colours(mode: str) -> None:
    stream = io.BytesIO()
    PIL.Image.fromarray(scene(320, 240)).convert(mode).save(stream, "JPEG")
    data = stream.getvalue()
    assert decode_image(data).image.shape == (240, 320, 3)
    with pytest.raises(ImageError, match="the JPEG file is truncated"):
        decode_image(data[: len(data) // 2] + data[-900:])


def test_without_simplejpeg_opencv_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(scene(80, 60), ".jpg")
    expected = decode_image(data).image
    monkeypatch.setattr(decoder, "simplejpeg", None)
    assert np.array_equal(decode_image(data).image, expected)


def hostile(count: int, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    files = [*honest(), *(encode(scene(40, 30), suffix) for suffix in (".bmp", ".tiff"))]
    found = []
    for _ in range(count):
        data = chance.choice(files)
        kind = chance.random()
        if kind < 0.7:
            data = mutated(data, chance)
        elif kind < 0.85:  # cut off, and another file's bytes
            other = chance.choice(files)
            data = data[: chance.randrange(len(data))] + other[chance.choice((0, len(other) // 2)) :]
        else:  # parts of one within another
            other, at = chance.choice(files), chance.randrange(len(data))
            data = data[:at] + other[: chance.randrange(len(other))] + data[at:]
        found.append(data)
    return found


@pytest.mark.parametrize("count", [pytest.param(3_000, id="few"), pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.timeout(3600)
def test_any_file_gives_a_picture_of_its_size_or_an_image_error_and_no_noise(
    count: int, capfd: pytest.CaptureFixture[str]
) -> None:
    limit, taken = 400_000, 0
    for data in [*bombs(), *hostile(count, seed=count)]:
        try:
            image = decode_image(data, max_pixels=limit).image
        except ImageError:
            continue
        taken += 1
        assert image.shape[0] * image.shape[1] <= limit
    assert taken > count // 20
    assert capfd.readouterr().err == ""


def test_opencv_is_as_loud_afterwards_as_before(capfd: pytest.CaptureFixture[str]) -> None:
    broken = encode(scene(40, 30), ".bmp")[:500]
    before = log_level()
    start = threading.Barrier(4)

    def decode() -> None:
        start.wait()
        for _ in range(50):
            with pytest.raises(ImageError):
                decode_image(broken)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: decode(), range(4)))
    assert log_level() == before
    assert capfd.readouterr().err == ""
    sys.stderr.write("the program's own")
    assert cv2.imdecode(np.frombuffer(broken, np.uint8), cv2.IMREAD_COLOR) is None
    said = capfd.readouterr().err
    assert "the program's own" in said


def test_pixels_of_other_kinds() -> None:
    pixels: Any = np.zeros((2, 2, 5), np.uint8)
    with pytest.raises(ImageError, match="expected 1, 3 or 4 channels; got 5"):
        decoder.to_rgb(pixels)

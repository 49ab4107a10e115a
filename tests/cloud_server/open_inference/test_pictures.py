from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from open_inference_parts import framed, request

from cloud_server.api.request import BadRequest
from cloud_server.model.decode import Pixels
from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.open_inference.pictures import pictures_of

HUGE = (1 << 63) - 1


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.booleans())
def test_files_come_out_as_they_went_in(files: list[bytes], is_flat: bool) -> None:
    shape = (len(files),) if is_flat else (len(files), 1)
    assert pictures_of(request(shape=shape, raw_input_contents=[framed(*files)]), 4) == files
    typed = request(shape=shape)
    typed.inputs[0].contents.bytes_contents.extend(files)
    assert pictures_of(typed, 4) == files


@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(0, 1 << 32))
def test_pixels_and_planes_keep_their_order(count: int, height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8)
    planes = (image.transpose(0, 3, 1, 2) / 255).astype("<f4")
    asked = [
        request("pixels", "UINT8", image.shape, raw_input_contents=[image.tobytes()]),
        request("planes", "FP32", planes.shape, raw_input_contents=[planes.tobytes()]),
        request("pixels", "UINT8", image.shape),
        request("planes", "FP32", planes.shape),
    ]
    asked[2].inputs[0].contents.uint_contents.extend(image.ravel().tolist())
    asked[3].inputs[0].contents.fp32_contents.extend(planes.ravel().tolist())
    for one in asked:
        found = pictures_of(one, 3)
        assert all(isinstance(picture, Pixels) and picture.size == (width, height) for picture in found)
        assert np.array_equal([picture.image() for picture in found if isinstance(picture, Pixels)], image)


def with_contents(asked: oip.ModelInferRequest, **contents: list[object]) -> oip.ModelInferRequest:
    asked.inputs[0].contents.CopyFrom(oip.InferTensorContents(**contents))  # type: ignore[arg-type]
    return asked


FAULTS: dict[str, tuple[oip.ModelInferRequest, str]] = {
    "no input": (oip.ModelInferRequest(), "expected one input, image .* got 0 inputs"),
    "another name": (request("input_1"), "expected an input named image .* got 'input_1'"),
    "another type": (request("image", "UINT8"), "expected the data type BYTES for image; got 'UINT8'"),
    "typed FP16": (request("planes", "FP16", (1, 3, 2, 2)), "got FP16 in typed contents, where FP16 has no field"),
    "raw FP16": (
        request("planes", "FP16", (1, 3, 2, 2), raw_input_contents=[bytes(24)]),
        "expected the data type FP32 for planes; got 'FP16'",
    ),
    "without a batch": (
        request("pixels", "UINT8", (2, 2, 3)),
        r"shape \[-1, -1, -1, 3\] .* got \[2, 2, 3\]",
    ),
    "channels first": (request("pixels", "UINT8", (1, 3, 2, 2)), r"got \[1, 3, 2, 2\]"),
    "no shape": (request(shape=()), r"got \[\]"),
    "a long shape": (request(shape=(1,) * 1000), r"got \[1, 1, 1, \.\.\.\]"),
    "a negative dimension": (request("pixels", "UINT8", (1, -2, -2, 3)), r"got \[1, -2, -2, 3\]"),
    "no elements": (request(shape=(0, 1), raw_input_contents=[b""]), r"got \[0, 1\]"),
    "too many": (request(shape=(10_000,), raw_input_contents=[bytes(40_000)]), "at most 4 pictures .* got 10,000"),
    "a huge shape": (
        request("pixels", "UINT8", (1, HUGE, HUGE, 3), raw_input_contents=[bytes(3)]),
        f"expected {HUGE * HUGE * 3:,} bytes .*; got 3",
    ),
    "a shape that would overflow": (
        request("pixels", "UINT8", (4, 1 << 62, 1, 3), raw_input_contents=[b""]),
        f"expected {12 << 62:,} bytes",
    ),
    "a length beyond the end": (
        request(raw_input_contents=[b"\xff\xff\xff\xff1234"]),
        "element 0 says 4,294,967,295 bytes, of which 4 came",
    ),
    "half a length": (request(raw_input_contents=[b"\0\0"]), "element 0 is missing"),
    "an element too few": (request(shape=(2,), raw_input_contents=[framed(b"1")]), "element 1 is missing"),
    "bytes too many": (request(raw_input_contents=[framed(b"1") + b"2"]), "of 5 bytes together; got 6 bytes"),
    "two raw entries": (request(raw_input_contents=[b"", b""]), "one entry for the one input.*got 2 entries"),
    "contents twice": (
        with_contents(request(raw_input_contents=[framed(b"1")]), bytes_contents=[b"1"]),
        "got 1 entries and contents",
    ),
    "no contents": (request(), "expected 1 elements in bytes_contents .* got 0"),
    "the wrong field": (
        with_contents(request("pixels", "UINT8", (1, 1, 1, 3)), int_contents=[1, 2, 3]),
        "expected 3 elements in uint_contents .* got 0 and int_contents",
    ),
    "a value over 255": (
        with_contents(request("pixels", "UINT8", (1, 1, 1, 3)), uint_contents=[1, 2, 256]),
        "expected elements from 0 to 255 in uint_contents; got 256",
    ),
    "shared memory": (
        oip.ModelInferRequest(
            inputs=[{"name": "image", "parameters": {"shared_memory_region": oip.InferParameter(string_param="a")}}]
        ),
        "got shared_memory_region",
    ),
}


@pytest.mark.parametrize(("asked", "message"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_is_said(asked: oip.ModelInferRequest, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        pictures_of(asked, 4)

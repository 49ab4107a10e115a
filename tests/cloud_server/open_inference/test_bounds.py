from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from open_inference_parts import framed, request

from cloud_server.api.request import BadRequest
from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.open_inference.bounds import MAX_FIELDS, MAX_PACKED, read_request


def nested(*tags: int, body: bytes) -> bytes:
    """`body` in a field of bytes, in another, and so on; the first tag is the outermost."""
    for tag in reversed(tags):
        size, length = len(body), b""
        while size > 127:
            length += bytes([size & 127 | 128])
            size >>= 7
        body = bytes([tag]) + length + bytes([size]) + body
    return body


def test_a_request_is_read_as_it_is() -> None:
    asked = request(shape=(2,), raw_input_contents=[framed(b"a", b"b")], id="7", outputs=[{"name": "label"}])
    asked.inputs[0].parameters["a"].int64_param = -1
    assert read_request(asked.SerializeToString()) == asked
    asked = request("planes", "FP32", (1, 3, 2, 2))
    asked.inputs[0].contents.fp32_contents.extend([0.5] * 12)
    assert read_request(asked.SerializeToString()) == asked


BOMBS = {
    "inputs": b"\x2a\x00" * 100_000,
    "outputs": b"\x32\x00" * 100_000,
    "raw contents": b"\x3a\x00" * 100_000,
    "empty files": nested(0x2A, 0x2A, body=b"\x42\x00" * 100_000),
    "fields over many inputs": nested(0x2A, 0x2A, body=b"\x42\x00" * 100) * (MAX_FIELDS // 50),
    "a long shape": nested(0x2A, 0x1A, body=b"\x01" * 1000),
    "typed elements": nested(0x2A, 0x2A, 0x22, body=b"\x01" * (MAX_PACKED + 1)),
    "single elements": nested(0x2A, 0x2A, body=b"\x20\x01" * 100_000),
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_a_message_of_too_many_parts_is_not_parsed(data: bytes) -> None:
    oip.ModelInferRequest.FromString(data)  # it is a message
    assert isinstance(found := read_request(data), BadRequest)
    assert "expected at most" in str(found)


@given(st.binary(max_size=60))
def test_whatever_comes_is_a_request_or_refused(data: bytes) -> None:
    found = read_request(data)
    try:
        expected = oip.ModelInferRequest.FromString(data)
    except DecodeError:
        assert isinstance(found, BadRequest)
    else:
        assert isinstance(found, BadRequest) or found == expected

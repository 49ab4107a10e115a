"""How many parts a request's message may have, counted in its bytes before they are parsed.

A message of 10 MB can hold five million inputs of nothing, which take 400 MB once they are parsed. What a real request
has is one input of one tensor.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from cloud_server.api.request import BadRequest
from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.open_inference.pictures import MAX_TYPED

MAX_FIELDS = 4096
"""Fields of a message and of the messages in it: far more than any batch has files."""
MAX_PACKED = 5 * MAX_TYPED
"""Bytes of typed contents: a value of 32 bits takes 5 at most."""
MAX_SHAPE = 128

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_Input = oip.ModelInferRequest.InferInputTensor
_INPUTS = oip.ModelInferRequest.INPUTS_FIELD_NUMBER
_SHAPE, _CONTENTS = _Input.SHAPE_FIELD_NUMBER, _Input.CONTENTS_FIELD_NUMBER
_FILES = oip.InferTensorContents.BYTES_CONTENTS_FIELD_NUMBER


def read_request(data: bytes) -> oip.ModelInferRequest | BadRequest:
    """The request, or why it is not read: what raises here would end the call without a word to the client."""
    try:
        _count(data)
        return oip.ModelInferRequest.FromString(data)
    except BadRequest as error:
        return error
    except DecodeError:
        return BadRequest("expected a ModelInferRequest; the message is none")


def _count(data: bytes) -> None:
    """Walk over the fields of the message, its inputs and their contents.

    Raises:
        BadRequest: they are too many or too large, or cut off.
    """
    left = MAX_FIELDS
    waiting = [(0, len(data), 0)]  # where a message begins and ends, and how deep it lies
    while waiting:
        at, end, depth = waiting.pop()
        while at < end:
            left -= 1
            if left < 0:
                raise BadRequest(f"expected at most {MAX_FIELDS:,} fields in a request; got more")
            tag, at = _varint(data, at, end)
            number, kind = tag >> 3, tag & 7
            if kind == _BYTES:
                size, at = _varint(data, at, end)
                if (depth, number) in ((0, _INPUTS), (1, _CONTENTS)):
                    waiting.append((at, min(at + size, end), depth + 1))
                most = MAX_SHAPE if (depth, number) == (1, _SHAPE) else MAX_PACKED if depth == 2 else len(data)
                if size > most and (depth, number) != (2, _FILES):
                    raise BadRequest(f"expected at most {most:,} bytes of typed elements; got {size:,}: send raw ones")
                at += size
            elif kind == _VARINT:
                _, at = _varint(data, at, end)
            elif kind in (_FIXED64, _FIXED32):
                at += 8 if kind == _FIXED64 else 4
            else:
                raise BadRequest("expected a ModelInferRequest; the message is none")


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise BadRequest("expected a ModelInferRequest; the message is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise BadRequest("expected a ModelInferRequest; the message is none")

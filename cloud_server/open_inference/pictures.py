"""From the input tensor of a request to pictures: shape and length are compared before anything is made of them.

A request has one input of those in `served_model.INPUTS`. Its elements stand in `raw_input_contents`, or in the typed
field of its data type; one picture is one element of the first dimension.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

import numpy as np

from cloud_server.api.request import BadRequest
from cloud_server.model.decode import Picture, Pixels
from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.open_inference.served_model import IMAGE, INPUTS, PIXELS, SHOWN, Tensor

MAX_TYPED = 1 << 20
"""Elements in typed contents: Python reads them one by one, raw contents as a whole."""
_LENGTH_BYTES = 4
_FIELDS = {"BYTES": "bytes_contents", "UINT8": "uint_contents", "FP32": "fp32_contents"}
_FORMS = "image (BYTES, [N, 1]), pixels (UINT8, [N, height, width, 3]) or planes (FP32, [N, 3, height, width])"
_SHARED = "shared_memory_region"


def pictures_of(request: oip.ModelInferRequest, max_batch: int) -> list[Picture]:
    """The pictures of a request, checked as far as that costs nothing; they are decoded later.

    Args:
        request: as it came.
        max_batch: pictures in one request.

    Raises:
        BadRequest: name, data type, shape or contents are not those of the protocol or of this model.
    """
    if len(request.inputs) != 1:
        raise BadRequest(f"expected one input, {_FORMS}; got {len(request.inputs):,} inputs")
    given = request.inputs[0]
    if _SHARED in given.parameters:
        raise BadRequest(f"expected the contents of {given.name[:SHOWN]!r} in the request; got {_SHARED}")
    tensor = INPUTS.get(given.name)
    if tensor is None:
        raise BadRequest(f"expected an input named {_FORMS}; got {given.name[:SHOWN]!r}")
    _check_type(given, tensor, is_raw=bool(request.raw_input_contents))
    shape = _shape_of(given, tensor, max_batch)
    if request.raw_input_contents:
        if len(request.raw_input_contents) != 1 or given.HasField("contents"):
            raise BadRequest(
                "expected raw_input_contents with one entry for the one input, and no contents beside it; got "
                f"{len(request.raw_input_contents):,} entries" + (" and contents" * given.HasField("contents"))
            )
        raw = request.raw_input_contents[0]
        return list(_files_in(raw, shape)) if tensor.name == IMAGE else _pixels_in(raw, tensor, shape)
    return _typed(given.contents, tensor, shape)


def _check_type(given: oip.ModelInferRequest.InferInputTensor, tensor: Tensor, *, is_raw: bool) -> None:
    if given.datatype == tensor.datatype:
        return
    if given.datatype == "FP16" and not is_raw:
        raise BadRequest("expected FP32 for planes; got FP16 in typed contents, where FP16 has no field")
    raise BadRequest(f"expected the data type {tensor.datatype} for {tensor.name}; got {given.datatype[:SHOWN]!r}")


def _shape_of(given: oip.ModelInferRequest.InferInputTensor, tensor: Tensor, max_batch: int) -> tuple[int, ...]:
    """The shape with the batch first, all dimensions at least 1."""
    shape = tuple(islice(given.shape, len(tensor.shape) + 1))
    if tensor.name == IMAGE and len(shape) == 1:
        shape = (*shape, 1)
    fits = len(shape) == len(tensor.shape) and all(
        want in (-1, size) and size > 0 for size, want in zip(shape, tensor.shape, strict=True)
    )
    if not fits:
        more = ", ..." if len(given.shape) > len(shape) else ""
        raise BadRequest(
            f"expected the shape {list(tensor.shape)} for {tensor.name}, -1 being any size of at least 1; got "
            f"[{', '.join(map(str, shape))}{more}]"
        )
    if shape[0] > max_batch:
        raise BadRequest(f"expected at most {max_batch} pictures in one request; got {shape[0]:,}: send several")
    return shape


def _files_in(raw: bytes, shape: Sequence[int]) -> Sequence[bytes]:
    files, start = [], 0
    for index in range(shape[0]):
        end = start + _LENGTH_BYTES
        size = int.from_bytes(raw[start:end], "little")
        if end > len(raw) or end + size > len(raw):
            raise BadRequest(
                f"expected {shape[0]} elements, each a length of 4 bytes (little-endian) and as many bytes; element "
                f"{index} "
                + (f"says {size:,} bytes, of which {len(raw) - end:,} came" if end <= len(raw) else "is missing")
            )
        files.append(raw[end : end + size])
        start = end + size
    if start != len(raw):
        raise BadRequest(f"expected {shape[0]} elements of {start:,} bytes together; got {len(raw):,} bytes")
    return files


def _pixels_in(raw: bytes, tensor: Tensor, shape: Sequence[int]) -> list[Picture]:
    dtype = np.dtype(np.uint8) if tensor.name == PIXELS else np.dtype("<f4")
    expected = math.prod(shape) * dtype.itemsize  # of Python's integers: no shape overflows
    if len(raw) != expected:
        raise BadRequest(
            f"expected {expected:,} bytes for {tensor.datatype} of the shape {list(shape)}; got {len(raw):,}"
        )
    return [Pixels(one) for one in np.frombuffer(raw, dtype).reshape(shape)]


def _typed(contents: oip.InferTensorContents, tensor: Tensor, shape: Sequence[int]) -> list[Picture]:
    field = _FIELDS[tensor.datatype]
    others = [one.name for one, _ in contents.ListFields() if one.name != field]
    elements = getattr(contents, field)
    expected = math.prod(shape)
    if others or len(elements) != expected:
        raise BadRequest(
            f"expected {expected:,} elements in {field} for {tensor.datatype} of the shape {list(shape)}, or "
            f"raw_input_contents; got {len(elements):,}" + (f" and {', '.join(others)}" if others else "")
        )
    if tensor.name == IMAGE:
        return list(elements)
    if expected > MAX_TYPED:
        raise BadRequest(
            f"expected at most {MAX_TYPED:,} elements in {field}; got {expected:,}: send raw_input_contents"
        )
    if tensor.name == PIXELS:
        values = np.fromiter(elements, np.uint32, expected)
        if values.max() > 255:
            raise BadRequest(f"expected elements from 0 to 255 in {field}; got {values.max()}")
        return [Pixels(one) for one in values.astype(np.uint8).reshape(shape)]
    return [Pixels(one) for one in np.fromiter(elements, np.float32, expected).reshape(shape)]

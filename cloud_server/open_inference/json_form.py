"""Requests and responses of the protocol as JSON, with the binary extension, to and from their gRPC messages.

Elements of a tensor stand in `data`, or, as `binary_data_size` says, behind the JSON. A file in `data` is base64.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from google.protobuf.message import Message

from cloud_server.api.request import BadRequest
from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.open_inference.pictures import MAX_TYPED
from cloud_server.open_inference.served_model import SHOWN

MAX_JSON = 4 << 20
"""Bytes of JSON in one request; pictures may follow it in binary."""
_INT64 = 1 << 63
_KINDS = {"dict": "an object", "list": "a list", "str": "a string"}


def read_request(body: bytes, json_size: int | None) -> tuple[oip.ModelInferRequest, set[str] | None]:
    """The request's message, and which outputs are to come in binary.

    Args:
        body: JSON, and binary data behind it.
        json_size: bytes of the JSON (`Inference-Header-Content-Length`); None: all of it.

    Returns:
        The message, with its one tensor in `raw_input_contents`, without a model's name; names of the binary outputs,
        None: all of them.

    Raises:
        BadRequest: it is no such request.
    """
    size = len(body) if json_size is None else json_size
    if not 0 <= size <= len(body):
        raise BadRequest(f"expected Inference-Header-Content-Length from 0 to {len(body):,}, the body; got {size:,}")
    if size > MAX_JSON:
        raise BadRequest(f"expected at most {MAX_JSON:,} bytes of JSON; got {size:,}: send the tensor in binary")
    try:
        given = json.loads(body[:size])
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"expected a request in JSON: {str(error)[:SHOWN]}") from None
    given = _as(dict, given, "a request")
    inputs = _as(list, given.get("inputs"), "inputs")
    if len(inputs) != 1:
        raise BadRequest(f"expected one input; got {len(inputs):,}")
    tensor = _as(dict, inputs[0], "an input")
    request = oip.ModelInferRequest(id=_given(str, given, "id"))
    request.inputs.add(
        name=_as(str, tensor.get("name"), "name"),
        datatype=_as(str, tensor.get("datatype"), "datatype"),
        shape=[_integer(one) for one in _as(list, tensor.get("shape"), "shape")[:8]],
    )
    parameters = _given(dict, tensor, "parameters")
    if "shared_memory_region" in parameters:
        request.inputs[0].parameters["shared_memory_region"].string_param = "-"
    binary = body[size:]
    if "binary_data_size" in parameters:
        told = _integer(parameters["binary_data_size"])
        if told != len(binary):
            raise BadRequest(f"expected {told:,} bytes behind the JSON, as binary_data_size says; got {len(binary):,}")
    elif binary:
        raise BadRequest(f"expected binary_data_size for what stands behind the JSON; got {len(binary):,} bytes")
    else:
        binary = _packed(tensor.get("data"), request.inputs[0].datatype)
    request.raw_input_contents.append(binary)
    all_binary = bool(_given(dict, given, "parameters").get("binary_data_output"))
    return request, _add_outputs(request, _given(list, given, "outputs"), all_binary)


def _add_outputs(request: oip.ModelInferRequest, outputs: list[Any], all_binary: bool) -> set[str] | None:
    binary: set[str] = set()
    for output in outputs[:8]:
        output = _as(dict, output, "an output")
        parameters = _given(dict, output, "parameters")
        added = request.outputs.add(name=_as(str, output.get("name"), "name"))
        if "classification" in parameters:
            added.parameters["classification"].int64_param = _integer(parameters["classification"])
        if "shared_memory_region" in parameters:
            added.parameters["shared_memory_region"].string_param = "-"
        if parameters.get("binary_data", all_binary):
            binary.add(added.name)
    return None if all_binary and not outputs else binary


def _packed(data: Any, datatype: str) -> bytes:
    """Elements of JSON as raw contents."""
    data = _as(list, data, "data")
    if datatype == "BYTES":
        files = [one for part in data for one in (part if isinstance(part, list) else [part])]
        try:
            decoded = [base64.b64decode(_as(str, one, "data"), validate=True) for one in files]
        except ValueError:
            raise BadRequest("expected base64 in data for BYTES, or binary_data_size; got other text") from None
        return b"".join(len(one).to_bytes(4, "little") + one for one in decoded)
    try:
        values = np.asarray(data)
    except (ValueError, OverflowError, RecursionError):
        raise BadRequest("expected data as numbers, flat or nested as the shape; got other things") from None
    if values.dtype.kind not in "iuf" or (datatype == "UINT8" and values.dtype.kind == "f"):
        raise BadRequest(
            f"expected data as numbers for {datatype[:SHOWN]}, flat or nested as the shape; got other things"
        )
    if values.size > MAX_TYPED:
        raise BadRequest(f"expected at most {MAX_TYPED:,} elements in data; got {values.size:,}: send them in binary")
    if datatype == "UINT8":
        if values.size and not (values.min() >= 0 and values.max() <= 255):
            raise BadRequest(f"expected elements from 0 to 255 for UINT8; got {values.min()} to {values.max()}")
        return values.astype(np.uint8).tobytes()
    with np.errstate(over="ignore"):  # infinity is refused where the values are read
        return values.astype("<f4").tobytes()


def write_response(response: oip.ModelInferResponse, binary: set[str] | None) -> tuple[bytes, int | None]:
    """The body, and the size of its JSON where binary data follow.

    Args:
        response: with raw contents.
        binary: outputs that come in binary; None: all.
    """
    outputs, behind = [], []
    for output, raw in zip(response.outputs, response.raw_output_contents, strict=True):
        told: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": list(output.shape)}
        if binary is None or output.name in binary:
            told["parameters"] = {"binary_data_size": len(raw)}
            behind.append(raw)
        elif output.datatype == "BYTES":
            told["data"] = _words(raw)
        else:
            told["data"] = np.frombuffer(raw, "<f4").tolist()
        outputs.append(told)
    reply: dict[str, Any] = {"model_name": response.model_name, "model_version": response.model_version}
    if response.id:
        reply["id"] = response.id
    text = json.dumps({**reply, "outputs": outputs}).encode()
    return text + b"".join(behind), len(text) if behind else None


def plain(message: Message) -> dict[str, Any]:
    """A message as JSON has it: numbers as numbers, enums by name, absent fields too where they are single values."""
    told: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            told[field.name] = {key: plain(one) if isinstance(one, Message) else one for key, one in value.items()}
        elif field.message_type is not None:
            told[field.name] = plain(value) if isinstance(value, Message) else [plain(one) for one in value]
        elif field.enum_type is not None:
            told[field.name] = field.enum_type.values_by_number[value].name
        else:
            told[field.name] = value if isinstance(value, str | int | float) else list(value)
    return told


def _words(raw: bytes) -> list[str]:
    words, start = [], 0
    while start < len(raw):
        end = start + 4 + int.from_bytes(raw[start : start + 4], "little")
        words.append(raw[start + 4 : end].decode())
        start = end
    return words


def _as(kind: type[Any], value: Any, what: str) -> Any:
    if not isinstance(value, kind):
        raise BadRequest(f"expected {what} as {_KINDS[kind.__name__]} in JSON; got {type(value).__name__}")
    return value


def _given(kind: type[Any], fields: dict[str, Any], name: str) -> Any:
    """A field that may be left out, which some clients write as null: then it is empty."""
    value = fields.get(name)
    return kind() if value is None else _as(kind, value, name)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -_INT64 <= value < _INT64:
        raise BadRequest(f"expected an integer of 64 bits; got {str(value)[:SHOWN]}")
    return value

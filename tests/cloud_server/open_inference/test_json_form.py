from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from open_inference_parts import framed

from cloud_server.api.request import BadRequest
from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.open_inference.json_form import MAX_JSON, plain, read_request, write_response
from cloud_server.open_inference.results import add_outputs


def asked(**tensor: object) -> bytes:
    return json.dumps({"inputs": [{"name": "a", "shape": [1], **tensor}]}).encode()


@given(st.lists(st.binary(max_size=20), max_size=4), st.lists(st.integers(0, 255), max_size=6))
def test_json_and_binary_give_the_same_contents(files: list[bytes], values: list[int]) -> None:
    texts = [base64.b64encode(one).decode() for one in files]
    for datatype, data, raw in (
        ("BYTES", texts, framed(*files)),
        ("FP32", values, np.array(values, "<f4").tobytes()),
        ("UINT8", values, bytes(values)),
    ):
        if not data and datatype == "UINT8":
            continue  # an empty list has no type
        head = asked(datatype=datatype, parameters={"binary_data_size": len(raw)})
        for found, _ in (read_request(asked(datatype=datatype, data=data), None), read_request(head + raw, len(head))):
            assert list(found.raw_input_contents) == [raw]


def test_what_may_be_left_out_may_be_null() -> None:
    """As clients write it that build requests of optional fields."""
    tensor = {"name": "a", "shape": [1], "datatype": "UINT8", "data": [7], "parameters": None}
    output = {"name": "label", "parameters": None}
    found, binary = read_request(
        json.dumps({"id": None, "parameters": None, "inputs": [tensor], "outputs": [output]}).encode(), None
    )
    assert (found.id, binary, [one.name for one in found.outputs]) == ("", set(), ["label"])
    assert read_request(json.dumps({"inputs": [tensor], "outputs": None}).encode(), None)[1] == set()
    with pytest.raises(BadRequest, match="expected outputs as a list in JSON; got int"):
        read_request(json.dumps({"inputs": [tensor], "outputs": 0}).encode(), None)


def test_too_much_json_is_not_read() -> None:
    with pytest.raises(BadRequest, match="send the tensor in binary"):
        read_request(b" " * (MAX_JSON + 1), None)


@pytest.mark.parametrize("binary", [None, set(), {"label"}, {"probabilities"}])
def test_a_response_says_what_stands_behind_it(binary: set[str] | None) -> None:
    response = oip.ModelInferResponse(model_name="m", model_version="1")
    add_outputs(response, {"probabilities": 0, "label": 0}, np.eye(2, dtype=np.float32), ("fox", "Bär"), raw=True)
    body, size = write_response(response, binary)
    told, behind = json.loads(body[:size]), b"" if size is None else body[size:]
    for output, raw in zip(told["outputs"], response.raw_output_contents, strict=True):
        if binary is None or output["name"] in binary:
            assert behind[: output["parameters"]["binary_data_size"]] == raw
            behind = behind[len(raw) :]
        else:
            assert output["data"] == ([1, 0, 0, 1] if output["name"] == "probabilities" else ["fox", "Bär"])
    assert behind == b""
    assert (size is None) == (binary == set())


def test_a_message_is_plain_json() -> None:
    config = oip.ModelConfig(name="m", max_batch_size=4, parameters={"a": oip.ModelParameter(string_value="b")})
    config.input.add(name="i", data_type=oip.TYPE_FP32, dims=[-1, 3], optional=True)
    told = json.loads(json.dumps(plain(config)))
    assert told["max_batch_size"] == 4
    assert told["input"] == [{"name": "i", "data_type": "TYPE_FP32", "dims": [-1, 3], "optional": True}]
    assert told["parameters"] == {"a": {"string_value": "b"}}

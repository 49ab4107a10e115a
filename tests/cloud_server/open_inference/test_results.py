from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from open_inference_parts import framed, request

from cloud_server.api.request import BadRequest
from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.open_inference.results import add_outputs, wanted_of

LABELS = ("fox", "hare, or rabbit", "Bär")


def asking(name: str, **parameters: int) -> oip.ModelInferRequest.InferRequestedOutputTensor:
    given = {key: oip.InferParameter(int64_param=value) for key, value in parameters.items()}
    return oip.ModelInferRequest.InferRequestedOutputTensor(name=name, parameters=given)


def test_without_outputs_all_are_wanted() -> None:
    assert wanted_of(request()) == {"probabilities": 0, "label": 0}
    outputs = [asking("label"), asking("probabilities", classification=2)]
    assert list(wanted_of(request(outputs=outputs)).items()) == [("label", 0), ("probabilities", 2)]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([asking("logits")], "got 'logits'"),
        ([asking("label"), asking("label")], "each once; got 'label'"),
        ([asking("label")] * 3, "at most; got 3"),
        ([asking("probabilities", classification=0)], "of at least 1, for probabilities; got 0"),
        ([asking("label", classification=1)], "got 1 for label"),
        ([asking("label", shared_memory_region=1)], "got shared_memory_region"),
    ],
)
def test_what_is_not_there_is_refused(
    outputs: list[oip.ModelInferRequest.InferRequestedOutputTensor], message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        wanted_of(request(outputs=outputs))


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 1 << 32))
def test_raw_and_typed_outputs_say_the_same(count: int, top: int, seed: int) -> None:
    rows = np.random.default_rng(seed).dirichlet(np.ones(3), count).astype(np.float32)
    raw, typed, best = oip.ModelInferResponse(), oip.ModelInferResponse(), oip.ModelInferResponse()
    add_outputs(raw, {"probabilities": 0, "label": 0}, rows, LABELS, raw=True)
    add_outputs(typed, {"probabilities": 0, "label": 0}, rows, LABELS, raw=False)
    add_outputs(best, {"probabilities": top}, rows, LABELS, raw=False)
    labels = [LABELS[index].encode() for index in rows.argmax(axis=1)]
    assert np.array_equal(np.frombuffer(raw.raw_output_contents[0], "<f4").reshape(count, 3), rows)
    assert np.array_equal(np.array(list(typed.outputs[0].contents.fp32_contents), np.float32).reshape(count, 3), rows)
    assert raw.raw_output_contents[1] == framed(*labels)
    assert list(typed.outputs[1].contents.bytes_contents) == labels
    words = [one.decode().split(":", 2) for one in best.outputs[0].contents.bytes_contents]
    assert list(best.outputs[0].shape) == [count, min(top, 3)]
    assert [word[2].encode() for word in words[:: min(top, 3)]] == labels
    assert all(LABELS[int(word[1])] == word[2] for word in words)

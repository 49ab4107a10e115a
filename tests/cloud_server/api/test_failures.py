from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest

import cloud_server
from cloud_server.access.authenticator import TooManyStreams, Unauthenticated
from cloud_server.access.rates import RateLimited
from cloud_server.api.failures import OUTCOMES, UNFORESEEN, failure_of, outcome_of
from cloud_server.api.request import BadRequest, NotServed
from cloud_server.model.batching import Draining, ModelFailed
from cloud_server.model.decode import TooLarge
from cloud_server.model.places import Overloaded
from edge_sdk.errors import ImageError
from edge_sdk.link.grpc_transport import is_retryable
from edge_sdk.wire import offload_pb2 as wire

Code = wire.Failure.Code
DOCS = Path(__file__).resolve().parents[3] / "docs" / "errors.md"


def test_each_error_has_its_line() -> None:
    assert {kind: outcome.code for kind, outcome in OUTCOMES} == {
        TooLarge: Code.TOO_LARGE,
        ImageError: Code.BAD_IMAGE,
        BadRequest: Code.BAD_REQUEST,
        NotServed: None,
        RateLimited: Code.OVERLOADED,
        Overloaded: Code.OVERLOADED,
        Draining: Code.DRAINING,
        ModelFailed: Code.INTERNAL,
        TooManyStreams: None,
        Unauthenticated: None,
    }
    assert {outcome.code for _, outcome in OUTCOMES} >= set(Code.values()) - {Code.UNKNOWN}
    assert outcome_of(Unauthenticated()).status is grpc.StatusCode.UNAUTHENTICATED
    assert outcome_of(TooManyStreams()).status is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_devices_send_again_what_the_table_says() -> None:
    for _, outcome in OUTCOMES:
        if outcome.code is not None:
            for failure in (wire.Failure(code=outcome.code), wire.Failure(code=outcome.code, retryable=outcome.again)):
                assert is_retryable(failure) == outcome.again, outcome


def test_an_error_of_a_subclass_takes_the_first_line_that_fits() -> None:
    assert failure_of(TooLarge("big")) == wire.Failure(code=Code.TOO_LARGE, message="big", retryable=False)


def test_what_was_not_foreseen_is_logged_and_kept_back(caplog: pytest.LogCaptureFixture) -> None:
    assert outcome_of(KeyError("secret")) is UNFORESEEN
    told = failure_of(KeyError("secret"))
    assert told.code == Code.INTERNAL
    assert told.retryable
    assert "secret" not in told.message
    assert "secret" in caplog.text


def test_the_docs_have_the_table() -> None:
    text = DOCS.read_text()
    for _, outcome in OUTCOMES:
        name = outcome.status.name if outcome.code is None else Code.Name(outcome.code)
        row = re.search(rf"^\| `{name}` \|.*\| (.+) \|$", text, re.MULTILINE)
        assert row, name
        assert (row[1] != "no") == outcome.again, name
    assert cloud_server.__doc__

from __future__ import annotations

import logging

import pytest
from sqlalchemy import Engine

from cloud_server.access.issued_tokens import IssuedTokens
from cloud_server.fleet.database.device_tokens import DeviceTokens
from cloud_server.fleet.database.opening import Unavailable
from edge_sdk.security.tokens import hash_token


def test_what_people_issue_and_revoke_holds_after_a_refresh(engine: Engine) -> None:
    database = DeviceTokens(engine)
    tokens = IssuedTokens(database.hashes)
    known = hash_token(database.issue("cam-1", "ada"))
    assert tokens.device_of(known) is None
    tokens.refresh()
    assert tokens.device_of(known) == "cam-1"
    database.revoke("cam-1", "ada")
    tokens.refresh()
    assert (tokens.device_of(known), tokens.ended_device_of(known)) == (None, "cam-1")


def test_tokens_hold_while_the_database_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    is_up = True

    def read() -> dict[str, str]:
        if not is_up:
            raise Unavailable("gone")
        return {"hash": "cam-1"}

    tokens = IssuedTokens(read)
    is_up = False
    with caplog.at_level(logging.ERROR):
        tokens.refresh()
        tokens.refresh()
    assert tokens.device_of("hash") == "cam-1"
    assert caplog.text.count("those known before stay valid") == 1

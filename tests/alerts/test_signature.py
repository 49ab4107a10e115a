"""Signatures of webhooks."""

from __future__ import annotations

import pytest

from edge_sdk.alerts.signature import new_secret, read_secret, sign, verify
from edge_sdk.errors import ConfigError

# The example of the specification, as its libraries test it.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE, STAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {"webhook-id": MESSAGE, "webhook-timestamp": str(STAMP), "webhook-signature": SIGNATURE}


def test_the_example_of_standard_webhooks() -> None:
    assert sign(read_secret(SECRET), MESSAGE, STAMP, BODY) == SIGNATURE


def test_a_receiver_checks_secret_id_time_and_body() -> None:
    assert verify(SECRET, HEADERS, BODY, now_s=STAMP + 299)
    assert verify(SECRET, {**HEADERS, "webhook-signature": f"v1,x v2,y {SIGNATURE}"}, BODY, now_s=STAMP)
    assert not verify(SECRET, HEADERS, BODY, now_s=STAMP + 301)
    assert not verify(SECRET, HEADERS, BODY, now_s=STAMP - 301)
    assert not verify(SECRET, HEADERS, BODY + b" ", now_s=STAMP)
    assert not verify(SECRET, {**HEADERS, "webhook-id": "other"}, BODY, now_s=STAMP)
    assert not verify(new_secret(), HEADERS, BODY, now_s=STAMP)
    for stamp in ("", "x", "²", "9" * 400):
        assert not verify(SECRET, {**HEADERS, "webhook-timestamp": stamp}, BODY, now_s=STAMP)
    assert not verify(SECRET, {**HEADERS, "webhook-signature": "v1,ä"}, BODY, now_s=STAMP)
    assert not verify(SECRET, {}, BODY, now_s=STAMP)


def test_a_secret_is_refused_without_being_shown() -> None:
    assert len(read_secret(new_secret())) == 32
    assert new_secret() != new_secret()
    for text in ("", "whsec_", "geheim", "whsec_geheim!", SECRET.removeprefix("whsec_"), "whsec_" + "A" * 100):
        with pytest.raises(ConfigError, match="webhook secret") as caught:
            read_secret(text)
        assert "geheim" not in str(caught.value)

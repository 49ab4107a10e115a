"""Real server processes with certificates, tokens and a memory, and a real device against them."""

from __future__ import annotations

import logging
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import numpy as np
import pytest
from server_parts import Home, serving

from cloud_server.local import start_local_server
from edge_sdk.config import UplinkSettings
from edge_sdk.security.certificates import Authority
from edge_sdk.security.tokens import add_token, new_token, remove_token
from edge_sdk.types import Answer, LinkState, Origin, new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (96, 128, 3), np.uint8)


def test_certificates_and_token_lead_to_an_answer(home: Home) -> None:
    with (
        start_local_server("trailcam", "--device", "cpu", "--threads", "1", *map(str, home.options)) as target,
        home.edge(target, home.security()) as edge,
    ):
        answer = edge.classify(picture(), wait_s=60)
        assert answer.origin is Origin.CLOUD
        assert edge.link is LinkState.ONLINE


def test_the_token_is_in_no_log_and_no_file_but_its_own(
    home: Home, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    log = tmp_path / "server.log"
    state = tmp_path / "server"
    with serving(log, *home.options, "--state", state) as (_, target):
        with home.edge(target, home.security()) as edge:
            assert edge.classify(picture(), wait_s=60).origin is Origin.CLOUD
        remove_token(home.tokens, "cam-1")
        with home.edge(target, home.security()) as edge:
            edge.classify(picture(1))
            assert list(edge.late_answers(wait_s=60)) == []
            assert edge.link is LinkState.DENIED
    assert "refused a call" in log.read_text()
    assert "access denied" in caplog.text
    assert home.token not in caplog.text
    secret = home.token.encode()
    written = [path for path in tmp_path.rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert written == [home.token_file]


def test_who_is_not_let_in_is_told_why_and_loses_nothing(home: Home, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger").files.cert
    with serving(tmp_path / "server.log", *home.options) as (_, target):
        for security, words in (
            (home.security(ca=stranger), "is not accepted (unable to get local issuer certificate)"),
            (home.security(token=False), "expected `authorization: Bearer TOKEN`"),
        ):
            with home.edge(target, security) as edge:
                edge.classify(picture())
                assert list(edge.late_answers(wait_s=60)) == []
                assert edge.link is LinkState.DENIED
                assert words in edge.link_message
        with home.edge(target, home.security()) as edge:
            assert {answer.origin for answer in edge.late_answers(wait_s=60)} == {Origin.CLOUD}
            assert edge.waiting == 0


def test_an_expired_server_is_not_trusted(home: Home, tmp_path: Path) -> None:
    old = Authority(home.authority.files.cert.parent, now=datetime.now(UTC) - timedelta(days=900))
    home.server = old.issue_server(["127.0.0.1"], replace=True)
    with serving(tmp_path / "server.log", *home.options) as (_, target), home.edge(target, home.security()) as edge:
        edge.classify(picture())
        assert list(edge.late_answers(wait_s=60)) == []
        assert edge.link is LinkState.DENIED
        assert "certificate has expired" in edge.link_message
        assert edge.waiting == 1


def test_a_revoked_device_stops_at_once_and_goes_on_with_a_new_token(home: Home, tmp_path: Path) -> None:
    came: list[Answer] = []
    news = threading.Semaphore(0)

    def told(answer: Answer) -> None:
        came.append(answer)
        news.release()

    settings = UplinkSettings(max_backoff_s=2.0)
    with (
        serving(tmp_path / "server.log", *home.options) as (_, target),
        home.edge(target, home.security(), uplink=settings, on_answer=told) as edge,
    ):
        edge.classify(picture())
        assert news.acquire(timeout=60)
        remove_token(home.tokens, "cam-1")
        edge.classify(picture(1))
        while edge.link is not LinkState.DENIED:
            assert list(edge.late_answers(wait_s=1)) in ([], came)
        assert "revoked" in edge.link_message
        assert (len(came), edge.waiting) == (1, 1)
        home.token_file.write_text(new := new_token())
        add_token(home.tokens, "cam-1", new)
        assert news.acquire(timeout=60)
        assert [answer.origin for answer in came] == [Origin.CLOUD, Origin.CLOUD]


def test_a_repeat_after_a_killed_server_costs_no_second_run(home: Home, tmp_path: Path) -> None:
    log, state = tmp_path / "server.log", tmp_path / "state"
    image = wire.ClassifyRequest(frame_id=new_frame_id(), image=_png())
    replies = []
    for _ in range(2):
        with serving(log, "--tokens", home.tokens, "--state", state) as (process, target):
            with grpc.insecure_channel(target) as channel:
                stub = wire_grpc.OffloadStub(channel)
                replies.append(stub.Classify(image, metadata=[("authorization", f"Bearer {home.token}")]))
            if len(replies) == 1:
                process.send_signal(signal.SIGKILL)
                process.wait()
    assert replies[0] == replies[1]
    assert replies[0].HasField("classification")
    assert "0 frames in 0 batches (mean 0.0), 1 repeats" in log.read_text()


def _png() -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", picture())[1])


@pytest.mark.parametrize(
    ("made", "reason"),
    [(timedelta(days=-60), "certificate has expired"), (timedelta(days=3), "certificate is not yet valid")],
)
def test_a_device_says_why_it_refuses_the_servers_certificate(
    home: Home, tmp_path: Path, made: timedelta, reason: str
) -> None:
    home.authority = Authority(tmp_path / "keys", now=datetime.now(UTC) + made)
    home.server = home.authority.issue_server(["127.0.0.1"], days=30, replace=True)
    log = tmp_path / "server.log"
    with serving(log, *home.options) as (_, target), home.edge(target, home.security()) as edge:
        edge.classify(picture())
        assert list(edge.late_answers(wait_s=60)) == []
        assert edge.link is LinkState.DENIED
        assert f"({reason}) by this device's clock, which says {datetime.now(UTC):%Y-%m}" in edge.link_message
    assert f"devices will refuse the certificate {home.server.cert}" in log.read_text()

"""A real cloud server with a fleet: devices with tokens that send frames and reports over gRPC."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc

from edge_sdk.budget.limits import Budget
from edge_sdk.budget.usage import BudgetState, Usage
from edge_sdk.fleet.answers import AuditedAs, ReportedAnswer, pack_answers
from edge_sdk.fleet.audits import ReportedAudits, pack_audits
from edge_sdk.fleet.events import ReportedEvent, pack_events
from edge_sdk.fleet.health import Health
from edge_sdk.fleet.status import pack_health, pack_usage
from edge_sdk.fleet.words import WordList
from edge_sdk.security.tokens import add_token, new_token
from edge_sdk.types import Origin, Reason
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

MODEL = "trailcam 4"


@dataclass
class Camera:
    """A device: its name, its token, and what it tells."""

    name: str
    token: str
    address: str
    words: WordList = field(default_factory=WordList)

    def _call(self) -> dict[str, object]:
        return {"metadata": [("authorization", f"Bearer {self.token}")], "timeout": 300}

    def classify(
        self, frame_id: str, image: bytes, *, event: str = "", region: wire.Region | None = None
    ) -> wire.ClassifyReply:
        asked = wire.ClassifyRequest(frame_id=frame_id, image=image, event_id=event, region=region)
        with grpc.insecure_channel(self.address) as channel:
            reply: wire.ClassifyReply = wire_grpc.OffloadStub(channel).Classify(asked, **self._call())
            return reply

    def report(
        self,
        answers: Sequence[ReportedAnswer] = (),
        events: Sequence[ReportedEvent] = (),
        *,
        usage: Usage | None = None,
        waiting: int = 0,
        health: Health | None = None,
        sent_at: datetime | None = None,
        held: wire.HeldSettings | None = None,
        audits: ReportedAudits | None = None,
    ) -> wire.ReportReply:
        sent_at = sent_at or datetime.now(UTC)
        usage = usage or Usage(
            frames=1000,
            exits=900,
            offloads=100,
            bytes_sent=1_500_000,
            budgets=(BudgetState(Budget(5_000_000, 86_400.0), 1_500_000),),
        )
        health = health or Health(
            sdk="0.1.0", python="3.11.2", bundle=MODEL, celsius=48.0, disk_free=9_000_000_000, own={"battery": 0.81}
        )
        request = wire.ReportRequest(
            sent_ms=round(sent_at.timestamp() * 1000),
            answers=pack_answers(answers, self.words),
            events=pack_events(events, self.words),
            usage=pack_usage(usage, waiting),
            health=pack_health(health, self.words),
            settings=held,
            audits=None if audits is None else pack_audits(audits, self.words),
        )
        request.word_list, request.first_word = self.words.number, self.words.known
        request.words.extend(self.words.news)
        with grpc.insecure_channel(self.address) as channel:
            reply: wire.ReportReply = wire_grpc.OffloadStub(channel).Report(request, **self._call())
        self.words.server_knows(reply.words_known)
        assert reply.taken
        return reply


@dataclass
class FleetServer:
    """A server process: where it is, and its folder."""

    address: str
    http: str
    folder: Path
    process: subprocess.Popen[str]

    def camera(self, name: str) -> Camera:
        """A device that the server knows from now on."""
        token = new_token()
        add_token(self.folder / "tokens", name, token)
        return Camera(name, token, self.address)


@contextmanager
def fleet_server(folder: Path, model: str, *options: str, http: str = "127.0.0.1:0") -> Iterator[FleetServer]:
    """A server process that keeps tokens, reports and an archive in `folder`."""
    tokens = folder / "tokens"
    if not tokens.exists():
        add_token(tokens, "nobody", new_token())
    given = ["--model", model, "--port", "0", "--http", http, "--threads", "1", "--tokens", str(tokens)]
    given += ["--state", str(folder / "state"), "--reports", str(folder / "reports")]
    given += ["--archive", str(folder / "archive"), *options]
    with (folder / "log").open("a+") as log:
        begun = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "cloud_server", *given],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "no_proxy": "*"},
        )
    assert process.stdout
    try:
        said = process.stdout.readline().split()
        logged = (folder / "log").read_text()[begun:]
        found = re.search(r"https?://(\S+:\d+)/metrics", logged)
        assert found and said, logged
        yield FleetServer(said[-1], found[1], folder, process)
    finally:
        process.kill()
        process.communicate()


def answer(
    frame_id: str,
    captured_at: datetime,
    label: str,
    device_label: str,
    *,
    confidence: float = 0.9,
    device_confidence: float = 0.7,
    audit: bool = False,
    event_id: str = "",
    audited: AuditedAs | None = None,
) -> ReportedAnswer:
    """What the cloud said of a frame, beside what the device had said."""
    return ReportedAnswer(
        frame_id, captured_at, "front", MODEL, label, confidence, Origin.CLOUD, Reason.CLOUD, device_label,
        device_confidence, event_id or frame_id, audit, audited,
    )  # fmt: skip


def event(event_id: str, began_at: datetime, label: str, *, cloud: bool = True, audit: bool = False) -> ReportedEvent:
    """An event of half a minute."""
    origin, reason = (Origin.CLOUD, Reason.CLOUD) if cloud else (Origin.DEVICE, Reason.CONFIDENT)
    ended = began_at + timedelta(seconds=30)
    return ReportedEvent(event_id, "front", began_at, ended, 4, label, 0.9, origin, reason, audit)

"""A real server with its page: three people, devices, frames, reports; and browsers that look at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fleet_parts import MODEL, Camera, FleetServer, answer, event
from gated_model import picture

from cloud_server.fleet.database.opening import open_database
from cloud_server.fleet.database.users import Role, Users
from edge_sdk.fleet.answers import AuditedAs
from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.fleet.signed import new_settings_key
from edge_sdk.store.audits import AuditCounts
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire

PASSWORD = "correct horse battery"


@dataclass
class Fleet:
    """The server, and what it was told."""

    server: FleetServer
    cameras: dict[str, Camera]
    frames: list[str]

    @property
    def url(self) -> str:
        return f"http://{self.server.http}"

    @contextmanager
    def client(self, name: str = "") -> Iterator[httpx.Client]:
        """A browser without scripts, signed in as somebody."""
        with httpx.Client(base_url=self.url, trust_env=False, timeout=None) as client:
            if name:
                reply = self.post(client, "/sign-in", "/sign-in", name=name, password=PASSWORD)
                assert reply.status_code == 303, reply.text
            yield client

    @staticmethod
    def post(client: httpx.Client, seen: str, path: str, **fields: str) -> httpx.Response:
        """Send a form of the page at `seen`."""
        text = client.get(seen).text
        key = text.partition('name="key" value="')[2].partition('"')[0]
        return client.post(path, data={"key": key, **fields})


def options_of(folder: Path) -> list[str]:
    """Options of a server with a page, whose people are made here."""
    engine = open_database(folder / "fleet.db")
    users = Users(engine)
    if not len(users):
        for role in Role:
            users.add(f"{role}-er", role, PASSWORD, "test")
        new_settings_key(folder / "settings.key", folder / "settings.pub")
    engine.dispose()
    return ["--page", "--database", str(folder / "fleet.db"), "--settings-key", str(folder / "settings.key")]


def tell(cameras: list[Camera], count: int = 3) -> list[str]:
    """Frames of each camera, and reports of them; the models differ on every second one, each third is an audit."""
    now, frames = datetime.now(UTC), []
    for camera in cameras:
        answers, events = [], []
        for number in range(count):
            frame_id = new_frame_id()
            region = wire.Region(x=1, y=1, width=4, height=3) if number % 2 else None
            reply = camera.classify(frame_id, picture(9, 64), region=region)
            assert reply.HasField("classification")
            captured = now - timedelta(minutes=number + 1)
            audit = number % 3 == 1
            audited = AuditedAs(0.5) if audit else None
            said = "deer" if number % 2 else "fox"
            answers.append(answer(frame_id, captured, "fox", said, audit=audit, audited=audited))
            events.append(event(frame_id, captured, "fox"))
            frames.append(frame_id)
        camera.report()
        audits = [one for one in answers if one.audit]
        differ = sum(one.label != one.device_label for one in audits)
        counts = AuditCounts(0.5, 2 * len(audits), len(audits), len(audits), differ=differ, open=differ)
        camera.report(answers, events, audits=ReportedAudits(MODEL, (counts,)))
    return frames


def signed_in(browser: Any, fleet: Fleet, name: str, **options: Any) -> Any:
    """A tab of somebody who is signed in; what the browser complains of is in `tab.faults`."""
    context = browser.new_context(base_url=fleet.url, **options)
    context.set_default_timeout(0)  # a busy machine takes its time; the test's own limit ends what never comes
    tab = context.new_page()
    tab.faults = []
    tab.on("console", lambda message: tab.faults.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: tab.faults.append(str(error)))
    tab.on("request", lambda one: one.url.startswith((fleet.url, "data:")) or tab.faults.append(one.url))
    tab.goto("/sign-in")
    tab.get_by_label("Name").fill(name)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"{fleet.url}/")
    return tab

"""Takes the pictures of docs/guides/operate-a-fleet.md anew: a real server with a fleet that has lived for a week.

    python scripts/fleet_pictures.py [--out docs/guides/pictures] [--png FOLDER] [--all]

Needs `pip install '.[cloud,keys]' playwright` and Debian's chromium. The frames are the simulated camera's, the answers
those of the shipped models. `--png` keeps the pictures as PNG too, to look at them; `--all` takes every page of the
site instead, in light and dark, as a screen and as a phone.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fleet_parts import Camera, FleetServer, fleet_server  # noqa: E402
from page_parts import PASSWORD  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from cloud_server.fleet.database.cards import Card, Cards  # noqa: E402
from cloud_server.fleet.database.opening import open_database  # noqa: E402
from cloud_server.fleet.database.setting_changes import SettingChanges  # noqa: E402
from cloud_server.fleet.database.users import Role, Users  # noqa: E402
from cloud_server.fleet.report_store import Report, ReportStore  # noqa: E402
from edge_sdk import EdgeClassifier, open_camera  # noqa: E402
from edge_sdk.budget.limits import Budget  # noqa: E402
from edge_sdk.budget.usage import BudgetState, Usage  # noqa: E402
from edge_sdk.fleet.answers import AuditedAs, ReportedAnswer  # noqa: E402
from edge_sdk.fleet.audits import ReportedAudits  # noqa: E402
from edge_sdk.fleet.events import ReportedEvent  # noqa: E402
from edge_sdk.fleet.health import Health  # noqa: E402
from edge_sdk.fleet.report_file import Status  # noqa: E402
from edge_sdk.fleet.signed import new_settings_key  # noqa: E402
from edge_sdk.images.encode import encode  # noqa: E402
from edge_sdk.images.rendition import Upload  # noqa: E402
from edge_sdk.store.audits import AuditCounts  # noqa: E402
from edge_sdk.types import Answer, Frame, Origin, Reason  # noqa: E402

DAYS, REPORTS_A_DAY, FRAMES = 8, 4, 14
CHANCE = 0.125
SCREEN, PHONE = {"width": 1180, "height": 760}, {"width": 390, "height": 844}
DEVICE = "old-quarry"


@dataclass
class Place:
    """A camera of the fleet, and how it fares.

    Attributes:
        name: of its token.
        latitude: degrees north.
        longitude: degrees east.
        group: settings can name it.
        battery: its charge now; None: it does not tell.
        celsius: of its processor at noon.
        spent: of its upload budget, a share.
        silent: hours since its last report.
        note: of the operators.
    """

    name: str
    latitude: float
    longitude: float
    group: str
    battery: float | None
    celsius: float
    spent: float
    silent: float = 3.0
    note: str = ""
    frames: list[ReportedAnswer] = field(default_factory=list)


FLEET = [
    Place("brook-bridge", 46.6642, 10.1972, "valley", 0.81, 44, 0.31, note="key is with the warden"),
    Place("larch-ridge", 46.6913, 10.2431, "ridge", 0.64, 39, 0.22),
    Place("old-quarry", 46.6528, 10.2713, "valley", 0.17, 47, 0.44),
    Place("salt-lick", 46.6790, 10.1638, "ridge", 0.92, 41, 0.93),
    Place("alp-trail", 46.7068, 10.1890, "ridge", 0.73, 36, 0.18, silent=31.0),
    Place("gorge-north", 46.6405, 10.2166, "valley", None, 52, 0.40),
    Place("meadow-east", 46.6701, 10.3010, "valley", 0.55, 42, 0.27, silent=98.0),
]


def usage_at(place: Place, day: float, rng: random.Random) -> Usage:
    """Its counters after so many days."""
    frames = round(day * 420 + rng.uniform(0, 30))
    offloads = round(day * 55 + 12 * math.sin(2.7 * day + len(place.name)))
    sent = round(day * 1_900_000 * (0.5 + place.spent))
    budgets = (BudgetState(Budget(5_000_000, 86_400.0), round(5_000_000 * place.spent)),)
    return Usage(frames=frames, exits=frames - offloads, offloads=offloads, bytes_sent=sent, budgets=budgets)


def health_at(place: Place, hour: float, bundle: str) -> Health:
    """How it is at an hour of the day."""
    own = {} if place.battery is None else {"battery": place.battery - 0.08 * (1 - abs(hour % 24 - 14) / 12)}
    warm = place.celsius - abs(hour % 24 - 14) * 1.4
    return Health("0.1.0", "3.11.2", bundle, warm, None, 9_400_000_000, False, own)


async def live(folder: Path, now: datetime, bundle: str) -> None:
    """The reports of a week, as the server has kept them."""
    at = [now]
    store = ReportStore(folder, clock=lambda: at[0].timestamp())
    for place in FLEET:
        rng = random.Random(place.name)
        for number in range(DAYS * REPORTS_A_DAY):
            at[0] = now - timedelta(days=DAYS) + timedelta(hours=24 / REPORTS_A_DAY * number)
            if now - at[0] < timedelta(hours=place.silent):
                break
            day = 20 + number / REPORTS_A_DAY
            status = Status(
                sent_ms=round(at[0].timestamp() * 1000),
                usage=usage_at(place, day, rng),
                waiting=rng.choice([0, 0, 1, 4, 9]),
                health=health_at(place, at[0].hour, bundle),
                audits=ReportedAudits(bundle, (AuditCounts(CHANCE, 160, 20, 20, differ=1, open=1),)),
            )
            await store.keep(place.name, Report(status, ()))
    at[0] = now
    await store.close()


def people(folder: Path) -> None:
    """Users, places, and what was wanted of devices."""
    engine = open_database(folder / "fleet.db")
    users = Users(engine)
    for name, role in (("ada", Role.OPERATE), ("ben", Role.LABEL)):
        users.add(name, role, PASSWORD, "setup")
    new_settings_key(folder / "settings.key", folder / "settings.pub")
    for place in FLEET:
        Cards(engine).put(Card(place.name, place.latitude, place.longitude, place.group, place.note), "ada")
    changes = SettingChanges(engine, folder / "settings.key")
    changes.put("*", {"audit": 0.02, "private": {"never_upload": ["person"]}}, "ada")
    changes.put("group:ridge", {"threshold": 0.85, "budget": {"upload": "5MB/day"}}, "ada")
    changes.put("salt-lick", {"budget": {"upload": "8MB/day"}}, "ada")
    engine.dispose()


def answered(place: Place, camera: Camera, edge: EdgeClassifier, now: datetime, seed: int) -> None:
    """Frames of the simulated camera: the little model's answer on each, the big one's on those that are sent."""
    rng = random.Random(seed)
    at = now - timedelta(hours=place.silent)
    shown = [
        one for one in open_camera(f"simulated://trailcam?seed={seed}&frames={FRAMES * 12}") if one.truth != "empty"
    ]
    for number, frame in enumerate(shown[:: max(1, len(shown) // FRAMES)][:FRAMES]):
        said = edge.classify(frame)
        captured = at - timedelta(minutes=50 * number + rng.uniform(1, 40))
        audit = number % 3 == 0
        place.frames.append(sent(camera, frame, said, captured, audit, edge))


def sent(
    camera: Camera, frame: Frame, said: Answer, captured: datetime, audit: bool, edge: EdgeClassifier
) -> ReportedAnswer:
    """The answer of a frame that the cloud was asked about."""
    reply = camera.classify(frame.frame_id, encode(frame.image, Upload()))
    best = reply.classification
    return ReportedAnswer(
        frame.frame_id, captured, "picamera2", edge_model(edge), best.label, best.confidence, Origin.CLOUD,
        Reason.CLOUD, said.label, said.confidence, frame.frame_id, audit, AuditedAs(CHANCE) if audit else None,
    )  # fmt: skip


def edge_model(edge: EdgeClassifier) -> str:
    """Name, version and label set of the little model."""
    return edge._parts.version


def tell(place: Place, camera: Camera, now: datetime, bundle: str) -> None:
    """The latest report, with answers, events and audits."""
    audits = [one for one in place.frames if one.audit]
    differ = sum(one.label != one.device_label for one in audits)
    rest = 20 + len(audits)
    counts = AuditCounts(CHANCE, round(rest / CHANCE), rest, rest, differ=differ, open=differ)
    events = [
        ReportedEvent(one.event_id, one.source, one.captured_at, one.captured_at + timedelta(seconds=40), 4, one.label,
                      one.confidence, one.origin, one.reason, one.audit)
        for one in place.frames
    ]  # fmt: skip
    camera.report(
        [replace(one) for one in place.frames],
        events,
        usage=usage_at(place, 20 + DAYS, random.Random(place.name)),
        waiting=3 if place.spent > 0.9 else 0,
        health=health_at(place, now.hour, bundle),
        audits=ReportedAudits(bundle, (counts,)),
    )


@contextmanager
def fleet(folder: Path) -> Iterator[FleetServer]:
    """A server whose fleet has lived for a week."""
    now = datetime.now(UTC)
    with EdgeClassifier("trailcam", state_dir=folder / "state-of-device") as edge:
        bundle = edge_model(edge)
        asyncio.run(live(folder / "reports", now, bundle))
        people(folder)
        options = ["--page", "--database", str(folder / "fleet.db"), "--settings-key", str(folder / "settings.key")]
        with fleet_server(folder, "trailcam", *options, "--require-tokens") as server:
            for seed, place in enumerate(FLEET, 1):
                camera = server.camera(place.name)
                answered(place, camera, edge, now, seed)
                if place.silent < 24:
                    tell(place, camera, now, bundle)
            yield server


def signed_in(browser: Browser, server: FleetServer, name: str, **options: Any) -> Any:
    """A tab of somebody who is signed in."""
    tab = browser.new_context(base_url=f"http://{server.http}", **options).new_page()
    tab.goto("/sign-in")
    tab.get_by_label("Name").fill(name)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"http://{server.http}/")
    return tab


def take(server: FleetServer, browser: Browser, out: Path, png: Path | None) -> None:
    """The pictures of the guide."""
    tab = signed_in(browser, server, "ada", viewport=SCREEN)

    def shot(name: str, path: str, height: int, tab: Any = tab) -> None:
        tab.set_viewport_size(
            {"width": tab.viewport_size["width"], "height": height}
        )  # pictures are loaded as far as one sees
        tab.goto(path)
        tab.wait_for_load_state("networkidle")
        tab.screenshot(path=out / f"{name}.jpg", type="jpeg", quality=82)
        if png is not None:
            tab.screenshot(path=png / f"{name}.png")

    shot("fleet-devices", "/", 1150)
    shot("fleet-label", "/label", 740)
    label(tab, 5)
    shot("fleet-device", f"/devices/{DEVICE}", 1240)
    shot("fleet-events", "/events", 900)
    shot("fleet-settings", "/settings?target=group:ridge", 940)
    dark = signed_in(browser, server, "ada", viewport=SCREEN, color_scheme="dark")
    shot("fleet-device-dark", f"/devices/{DEVICE}", 1240, dark)
    phone = signed_in(browser, server, "ben", viewport=PHONE, is_mobile=True, has_touch=True, color_scheme="dark")
    shot("fleet-phone", "/label", PHONE["height"], phone)


def label(tab: Any, count: int) -> None:
    """Say of some pictures that the cloud is right, with the keyboard."""
    tab.goto(f"/label?device={DEVICE}")
    for _ in range(count):
        with tab.expect_navigation():
            tab.keyboard.press("r")


def take_all(server: FleetServer, browser: Browser, out: Path, _: Path | None) -> None:
    """Every page, to be looked at."""
    paths = {"devices": "/", "device": f"/devices/{DEVICE}", "events": "/events", "all-events": "/events?which=all",
             "label": "/label", "settings": "/settings?target=group:ridge", "tokens": "/tokens"}  # fmt: skip
    for size, viewport in (("screen", SCREEN), ("phone", PHONE)):
        for scheme in ("light", "dark"):
            tab = signed_in(browser, server, "ada", viewport=viewport, color_scheme=scheme, is_mobile=size == "phone")
            if (size, scheme) == ("screen", "light"):
                label(tab, 5)
            for name, path in paths.items():
                tab.goto(path)
                tab.wait_for_load_state("networkidle")
                tab.screenshot(path=out / f"{name}-{size}-{scheme}.png", full_page=True)
                wide = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                print(f"{name} {size} {scheme}: {wide} pixels too wide" if wide > 0 else f"{name} {size} {scheme}")


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "guides" / "pictures")
    parser.add_argument("--all", action="store_true", help="every page, light and dark, screen and phone, as PNG")
    parser.add_argument("--png", type=Path, help="keep the guide's pictures there as PNG too, to look at them")
    given = parser.parse_args()
    for folder in filter(None, (given.out, given.png)):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, fleet(Path(name)) as server, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        (take_all if given.all else take)(server, browser, given.out, given.png)
        browser.close()


if __name__ == "__main__":
    main()

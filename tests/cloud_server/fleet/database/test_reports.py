from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from postgres_server import postgres
from report_parts import NOON, report_of, reported_answer, reported_event
from sqlalchemy import Engine

from cloud_server.fleet.database.opening import Unavailable, open_database
from cloud_server.fleet.database.reports import FRESH_S, SharedReports
from cloud_server.fleet.report_store import Report, ReportStore
from edge_sdk.budget.usage import Usage
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.fleet.report_file import ReportFile, Status
from edge_sdk.store.audits import AuditCounts


def reader(engine: Engine) -> ReportFile:
    return ReportFile(engine.url.set(drivername="postgresql").render_as_string(hide_password=False))


async def test_each_answer_and_event_is_kept_once_whichever_server_takes_it(shared: Engine) -> None:
    one, two = SharedReports(shared), SharedReports(shared)
    await one.keep("cam-1", report_of(3, 1))
    await two.keep("cam-1", report_of(1, 2))
    await one.keep("cam-1", report_of(2, label=None))
    file = reader(shared)
    assert [(answer.frame_id[-1], answer.label) for answer in file.answers()] == [
        ("1", "fox"),
        ("2", None),
        ("3", "fox"),
    ]
    assert next(file.answers("cam-1")) == reported_answer(1)
    since = file.answers("cam-1", since=NOON + timedelta(minutes=2), until=NOON + timedelta(minutes=3))
    assert [answer.frame_id[-1] for answer in since] == ["2"]
    assert file.events("cam-1")[0] == reported_event(1)
    await asyncio.gather(one.close(), two.close())


async def test_it_reads_as_the_file_does(shared: Engine, tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    stores = SharedReports(shared, clock=lambda: now[0]), ReportStore(tmp_path, clock=lambda: now[0])
    for hours, device, frames in ((0, "cam-1", 100), (1, "cam-2", 7), (13, "cam-1", 150), (26, "cam-1", 200)):
        now[0] = 1_800_000_000.0 + hours * 3600
        for store in stores:
            await store.keep(device, report_of(hours, usage=Usage(frames=frames, exits=frames // 2)))
    ours, theirs = reader(shared), ReportFile(tmp_path)
    assert ours.devices() == theirs.devices()
    assert list(ours.answers("cam-1")) == list(theirs.answers("cam-1"))
    assert ours.events("cam-1") == theirs.events("cam-1")
    assert ours.tallies(0) == theirs.tallies(0)
    assert sorted(stores[0].latest()) == sorted(stores[1].latest())
    with pytest.raises(
        ConfigError, match=r"expected the name of one device; postgresql://127\.0\.0\.1/fleet_.* has cam-1"
    ):
        list(ours.answers())
    for store in stores:
        await store.close()


async def test_devices_that_report_elsewhere_are_known_here_too(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    with postgres(tmp_path) as database:
        engine = open_database(database.new_database())
        one, two = SharedReports(engine, clock=lambda: now[0]), SharedReports(engine, clock=lambda: now[0])
        assert two.latest() == []
        await one.keep("cam-1", report_of(1, usage=Usage(frames=7)))
        assert two.latest() == []
        now[0] += FRESH_S
        assert two.latest() == one.latest() == [("cam-1", 1_800_000_000.0, Status(usage=Usage(frames=7)))]
        await asyncio.to_thread(database.kill)
        now[0] += FRESH_S
        assert two.latest() == one.latest()  # what was known before
        await asyncio.gather(one.close(), two.close())
        engine.dispose()


async def test_audits_stay_until_others_are_told(shared: Engine) -> None:
    one, two = SharedReports(shared), SharedReports(shared)
    audits = ReportedAudits("trailcam 3", (AuditCounts(0.5, 9, 4, 3, 1, 1),))
    await one.keep("cam-1", Report(Status(audits=audits), []))
    await two.keep("cam-1", report_of(1, usage=Usage(frames=7)))
    (row,) = reader(shared).devices()
    ((_, _, latest),) = two.latest()
    assert row.status == latest == Status(audits=audits, usage=Usage(frames=7))
    await asyncio.gather(one.close(), two.close())


async def test_words_are_one_list_though_two_servers_take_them(shared: Engine) -> None:
    one, two = SharedReports(shared), SharedReports(shared)
    assert await one.words("cam-1", 7, 0, ["fox", "deer"]) == ["fox", "deer"]
    assert await two.words("cam-1", 7, 2, ["boar"]) == ["fox", "deer", "boar"]
    assert await one.words("cam-1", 7, 2, ["boar", "hare"]) == ["fox", "deer", "boar", "hare"]
    assert await two.words("cam-1", 7, 9, ["lost"]) == ["fox", "deer", "boar", "hare"]
    assert await one.words("cam-1", 8, 0, ["new"]) == ["new"]
    many = [
        one.words("cam-2", 1, 0, ["a", "b"]) if turn % 2 else two.words("cam-2", 1, 0, ["a", "b"]) for turn in range(8)
    ]
    assert await asyncio.gather(*many) == [["a", "b"]] * 8
    await asyncio.gather(one.close(), two.close())


async def test_what_is_old_or_too_much_leaves(shared: Engine) -> None:
    now = [1_800_000_000.0]
    store = SharedReports(shared, rows=2, days=10, device_limit=2, clock=lambda: now[0])
    for number, device in enumerate(("cam-1", "cam-2", "cam-3", "cam-4")):
        now[0] += 3601
        await store.keep(device, report_of(number))
    assert {row.device: row.answers for row in reader(shared).devices()} == {"cam-4": 1, "cam-3": 1}
    now[0] += 11 * 86_400
    await store.keep("cam-1", report_of(9))
    assert [row.device for row in reader(shared).devices()] == ["cam-1"]
    await store.close()


async def test_a_database_that_dies_keeps_nothing_by_halves(tmp_path: Path) -> None:
    with postgres(tmp_path) as server:
        engine = open_database(server.new_database())
        store, file = SharedReports(engine), reader(engine)
        await store.keep("cam-1", report_of(1))
        assert len(list(file.answers("cam-1"))) == 1
        await asyncio.to_thread(server.kill)
        with pytest.raises(Unavailable):
            await store.keep("cam-1", report_of(2))
        with pytest.raises(StorageError, match=r"cannot read postgresql://127\.0\.0\.1/fleet_"):
            list(file.answers("cam-1"))
        await asyncio.to_thread(server.start)
        await store.keep("cam-1", report_of(2))
        assert [one.frame_id[-1] for one in file.answers("cam-1")] == ["1", "2"]
        await store.close()
        engine.dispose()

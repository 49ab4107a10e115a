from __future__ import annotations

import hashlib
import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archive_parts import NOON, archive_in, encoded, frame, lines, pictures, request, serving, size_of
from click.testing import CliRunner
from gated_model import POISON, picture
from small_disk import run_on_a_small_disk

import cloud_server.cli as command
import cloud_server.fleet.archive_folder as archive_folder
import cloud_server.fleet.frame_archive as frame_archive
from cloud_server.fleet.archive_folder import ANSWERS
from cloud_server.fleet.frame_archive import LOOK_AGAIN_S, FrameArchive
from cloud_server.server import ServerConfig
from edge_sdk.errors import ConfigError
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire

TESTS = Path(__file__).resolve().parents[2]


@contextmanager
def keeping(folder: Path, **options: Any) -> Iterator[FrameArchive]:
    """An archive that has written what it was offered when the block ends."""
    it = archive_in(folder, **options)
    try:
        yield it
    finally:
        it.close()


def settle(it: FrameArchive) -> None:
    """Wait until what was offered is written."""
    it._keeper._thread.submit(lambda: None).result()


def test_a_line_and_the_bytes_as_they_came(tmp_path: Path) -> None:
    folder, frame_id = tmp_path / "new" / "kept", new_frame_id()
    late = datetime(2026, 11, 22, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    with keeping(folder) as it:
        it.offer(frame(frame_id, encoded(".jpg"), received_at=late))
    file = f"2026-11-21/{frame_id}.jpg"
    assert (folder / file).read_bytes() == encoded(".jpg")
    assert lines(folder) == [
        {
            "file": file,
            "label": "fox",
            "confidence": 0.9,
            "model": "big",
            "version": "1",
            "device": "cam-1",
            "received_at": "2026-11-21T22:30:00.000+00:00",
            "top": {"fox": 0.9, "empty": 0.05, "deer": 0.05},
        }
    ]
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / "2026-11-21")] == [0o700, 0o700]
    assert [path.stat().st_mode & 0o777 for path in (folder / ANSWERS, folder / file)] == [0o600, 0o600]


def test_each_format_has_its_suffix(tmp_path: Path) -> None:
    with keeping(tmp_path) as it:
        for number, suffix in enumerate((".jpg", ".png", ".webp")):
            it.offer(frame(f"{number:032x}", encoded(suffix)))
    assert pictures(tmp_path) == [f"2026-11-21/{n:032x}{suffix}" for n, suffix in enumerate((".jpg", ".png", ".webp"))]


def test_only_the_likeliest_labels_are_written(tmp_path: Path) -> None:
    many = tuple(f"wörd {number}" for number in range(20))
    with keeping(tmp_path, labels=many) as it:
        it.offer(frame(probabilities=np.arange(20, dtype=np.float32) / 190))
    (said,) = lines(tmp_path)
    assert list(said["top"]) == [f"wörd {number}" for number in (19, 18, 17, 16, 15)]
    assert said["label"] == "wörd 19"
    assert said["confidence"] == said["top"]["wörd 19"] == 0.1


def test_a_repeat_is_kept_once_also_after_a_restart_and_on_another_day(tmp_path: Path) -> None:
    for days in range(2):
        with keeping(tmp_path) as it:
            for _ in range(2):
                it.offer(frame("ab" * 16, received_at=NOON + timedelta(days=days)))
    assert pictures(tmp_path) == [f"2026-11-21/{'ab' * 16}.png"]
    assert len(lines(tmp_path)) == 1


@pytest.mark.parametrize(
    "hostile",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        ".",
        "a/b",
        "a\\b",
        "-rf",
        "nul\0",
        "x" * 1000,
        "UPPER",
        "a.jpg",
        "\ud800",
    ],
)
def test_a_hostile_id_stays_in_its_day(tmp_path: Path, hostile: str) -> None:
    folder = tmp_path / "kept"
    with keeping(folder) as it:
        it.offer(frame(hostile))
        it.offer(frame(hostile))
    (file,) = pictures(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    day, name = file.split("/")
    assert day == "2026-11-21"
    assert len(name) == 36
    assert set(name.removesuffix(".png")) <= set("0123456789abcdef")
    assert [said["file"] for said in lines(folder)] == [file]


def test_a_file_or_link_that_lies_in_the_way_is_not_written_over(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    day = tmp_path / "kept" / "2026-11-21"
    day.mkdir(parents=True)
    with keeping(tmp_path / "kept") as it:
        (day / f"{'a' * 32}.png").symlink_to(outside)
        it.offer(frame("a" * 32))
    assert not outside.exists()


def test_the_limit_holds_and_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    limit = 100_000
    for _ in range(2):
        with keeping(tmp_path, limit_bytes=limit) as it:
            for _ in range(50):
                it.offer(frame())
        assert limit - 20_000 < size_of(tmp_path) <= limit
    assert len(pictures(tmp_path)) == len(lines(tmp_path))
    messages = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(messages) == 2  # one for each run
    assert "it holds 0.1 MB of 0.1 MB: move days away, or raise --archive-limit" in messages[0]


def test_it_goes_on_when_a_day_was_moved_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    folder = tmp_path / "kept"
    with keeping(folder, limit_bytes=300_000, clock=lambda: now[0]) as it:
        for _ in range(100):
            it.offer(frame())
        settle(it)
        full = size_of(folder)
        (folder / "2026-11-21").rename(tmp_path / "moved")
        it.offer(frame("a" * 32, received_at=NOON + timedelta(days=1)))  # it does not look yet
        settle(it)
        now[0] += LOOK_AGAIN_S
        caplog.set_level(logging.INFO)
        it.offer(frame("b" * 32, received_at=NOON + timedelta(days=1)))
        settle(it)
    assert pictures(folder) == [f"2026-11-22/{'b' * 32}.png"]
    assert full > 250_000
    assert "are archived in" in caplog.messages[-1] and caplog.messages[-1].endswith("again")


def test_a_day_or_all_may_be_moved_away_at_any_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "kept"
    with keeping(folder) as it:
        for name, what in [("a", folder / "2026-11-21"), ("b", folder)]:
            it.offer(frame(name * 32))
            settle(it)
            what.rename(tmp_path / f"moved {name}")
        it.offer(frame("c" * 32))
    assert [said["file"][11:12] for said in lines(folder)] == ["c"]
    assert pictures(folder) == [f"2026-11-21/{'c' * 32}.png"]
    assert caplog.messages == []


def test_a_cut_off_line_spoils_only_itself(tmp_path: Path) -> None:
    (tmp_path / ANSWERS).write_text('{"file": "2026-11-')
    with keeping(tmp_path) as it:
        it.offer(frame("a" * 32))
        it.offer(frame("b" * 32))
    rest = (tmp_path / ANSWERS).read_text().splitlines()
    assert rest[0] == '{"file": "2026-11-'
    assert [json.loads(line)["file"][11:] for line in rest[1:]] == [f"{'a' * 32}.png", f"{'b' * 32}.png"]


def test_a_picture_without_its_line_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, line: bytes) -> int:
        raise OSError(28, "No space left on device")

    append = archive_folder.append_line
    with keeping(tmp_path, clock=iter([0.0, *[1e6] * 9]).__next__) as it:
        monkeypatch.setattr(archive_folder, "append_line", fail)
        it.offer(frame("a" * 32))
        settle(it)
        assert pictures(tmp_path) == []
        monkeypatch.setattr(archive_folder, "append_line", append)
        it.offer(frame("a" * 32))
    assert len(lines(tmp_path)) == len(pictures(tmp_path)) == 1


def test_any_failure_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with keeping(tmp_path) as it:
        for image in (b"no picture", b""):
            it.offer(frame(image=image))
    assert len(caplog.messages) == 1
    assert "answers go on: ImageError" in caplog.text


def test_a_share_is_the_same_for_an_id_whenever_it_comes(tmp_path: Path) -> None:
    ids = [hashlib.sha256(bytes([number])).hexdigest()[:32] for number in range(200)]
    for folder in ("first", "second"):
        with keeping(tmp_path / folder, fraction=0.25) as it:
            for frame_id in ids:
                it.offer(frame(frame_id))
    kept = pictures(tmp_path / "first")
    assert 30 < len(kept) < 70
    assert pictures(tmp_path / "second") == kept


def test_a_slow_disk_delays_no_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(frame_archive, "WAITING_BYTES", 3 * len(picture()))
    gate = threading.Event()
    with keeping(tmp_path) as it:
        it._keeper._thread.submit(gate.wait)
        for _ in range(10):
            it.offer(frame())
        gate.set()
        settle(it)
        it.offer(frame())
    assert len(lines(tmp_path)) == 4
    assert [message for message in caplog.messages if "faster" in message] == [
        f"frames come faster than {tmp_path} takes them: some are not archived"
    ]


def test_a_folder_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match=r"cannot archive frames in .*: name another folder with --archive"):
            archive_in(folder)
    (tmp_path / "odd" / ANSWERS).mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"it, or answers\.jsonl in it, cannot be written"):
        archive_in(tmp_path / "odd")
    with keeping(tmp_path / "kept"), pytest.raises(ConfigError, match="another server archives its frames there"):
        archive_in(tmp_path / "kept")
    archive_in(tmp_path / "kept").close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep-limit", "much"], "expected bytes such as 2GB or 500MB; got 'much'"),
        (["--keep-limit", "0.1"], "expected bytes such as 2GB"),
        (["--keep-fraction", "0"], "0<x<=1"),
    ],
)
def test_a_bad_option_is_explained(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(command.main, arguments)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"archive_limit_bytes": 0}, "archive_limit_bytes"),
        ({"archive_fraction": 1.5}, "above 0, up to 1; got 1.5"),
    ],
)
def test_a_bad_setting_is_explained(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ServerConfig(**change)


async def test_a_server_keeps_what_the_model_answered_and_nothing_else(tmp_path: Path) -> None:
    mapping = tmp_path / "map.json"
    mapping.write_text(json.dumps({"red fox": "fox", "grey fox": "fox"}))
    asked, bad = request(1), wire.ClassifyRequest(frame_id="../../x", image=picture())
    broken = wire.ClassifyRequest(frame_id=new_frame_id(), image=picture()[:-9])
    began = datetime.now(UTC)
    async with serving(tmp_path / "kept", label_map=mapping, cached_replies=1) as stub:
        upper = wire.ClassifyRequest(frame_id=asked.frame_id.upper(), image=asked.image)
        for one in (asked, upper, request(2), asked, broken, bad, request(POISON)):  # the second `asked` is run anew
            await stub.Classify(one)
    first, second = lines(tmp_path / "kept")
    assert (first["label"], first["confidence"], first["model"], first["device"]) == ("fox", 1.0, "gated", "127.0.0.1")
    assert first["top"] == {"fox": 1.0, "deer": 0.0}
    assert len(first["version"]) == 16
    assert began - timedelta(seconds=1) < datetime.fromisoformat(first["received_at"]) < datetime.now(UTC)
    assert first["file"].split("/")[1] == f"{asked.frame_id}.png"
    assert (tmp_path / "kept" / first["file"]).read_bytes() == asked.image
    assert second["label"] == "deer"
    assert len(pictures(tmp_path / "kept")) == 2


async def test_another_model_or_label_map_has_another_version(tmp_path: Path) -> None:
    mapping = tmp_path / "map.json"
    mapping.write_text(json.dumps({"*": "animal"}))
    for settings in ({}, {"state": tmp_path / "state"}, {"label_map": mapping}):
        async with serving(tmp_path / "kept", **settings) as stub:
            await stub.Classify(request())
    versions = [said["version"] for said in lines(tmp_path / "kept")]
    assert versions[0] == versions[1] != versions[2]


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The current folder is empty, and stays so."""
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("empty")
async def test_nothing_is_kept_unless_asked() -> None:
    async with serving(None) as stub:
        assert (await stub.Classify(request())).HasField("classification")


async def test_a_server_that_does_not_start_releases_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--state"):
        async with serving(tmp_path / "kept", state=tmp_path / "file"):
            pass
    archive_in(tmp_path / "kept").close()


def test_a_full_disk_stops_no_answer_and_keeping_goes_on_when_there_is_room(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
import asyncio, logging, time
from functools import partial
import cloud_server.fleet.frame_archive as frame_archive
import cloud_server.parts as parts
from archive_parts import lines, pictures, request, serving, size_of

kept, now, said = folder / "kept", [0.0], []
parts.FrameArchive = partial(frame_archive.FrameArchive, clock=lambda: now[0])

class Listener(logging.Handler):
    def emit(self, record):
        if record.name == "cloud_server.fleet.frame_archive":
            said.append(record.getMessage())

logging.basicConfig(level=logging.INFO, handlers=[Listener()])

async def main():
    async with serving(kept) as stub:
        async def ask(count):
            for _ in range(count):
                assert (await stub.Classify(request(1))).HasField("classification")

        async def settled(condition):
            while not condition():
                await asyncio.sleep(0.01)

        await ask(3)
        await settled(lambda: len(lines(kept)) == 3)
        fill_up()
        for _ in range(4):
            await ask(20)
            await settled(lambda: len(said) > 1)
            now[0] += frame_archive.LOOK_AGAIN_S
        make_room()
        now[0] += frame_archive.LOOK_AGAIN_S
        await ask(5)

asyncio.run(main())
assert len(lines(kept)) == len(pictures(kept)) >= 8, said
assert len(said) == 3, said
assert "No space left" in said[1] and said[1].startswith("frames are not archived"), said
assert said[2].endswith("again"), said
""",
    )


def test_killed_at_any_moment_it_leaves_whole_lines_with_whole_pictures(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from archive_parts import archive_in, encoded, frame
it = archive_in(Path({str(tmp_path)!r}))
image = encoded(".png")
print("ready", flush=True)
while True:
    it.offer(frame(image=image))
"""
    for count in (20, 60):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            while not (tmp_path / ANSWERS).exists() or (tmp_path / ANSWERS).read_bytes().count(b"\n") < count:
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        for said in lines(tmp_path):
            assert (tmp_path / said["file"]).read_bytes() == encoded(".png")


def test_a_clock_at_1970_that_is_set_and_set_back_loses_and_repeats_nothing(tmp_path: Path) -> None:
    moments = [
        datetime(1970, 1, 1, tzinfo=UTC),
        NOON,
        datetime(2099, 12, 31, tzinfo=UTC),
        datetime(1970, 1, 2, tzinfo=UTC),
    ]
    for _ in range(2):  # also after a restart
        with keeping(tmp_path) as it:
            for number, moment in enumerate(moments):
                it.offer(frame(f"{number:032x}", received_at=moment))
                it.offer(frame(f"{number:032x}", received_at=NOON))
    files = [f"{moment.date()}/{number:032x}.png" for number, moment in enumerate(moments)]
    assert [said["file"] for said in lines(tmp_path)] == files  # in the order of arrival
    assert pictures(tmp_path) == sorted(files)

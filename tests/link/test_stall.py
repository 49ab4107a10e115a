"""Connections that stand still: what is concluded from what the kernel says, and real ones over spoiled ways."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from emulated_link import namespaces
from emulated_link.namespaces import Way, emulated_link

import edge_sdk.link.stall as module
from edge_sdk.link.stall import StallWatch

PROGRAMS = Path(namespaces.__file__).parent


class Traffic:
    """What a kernel may say; each look for a gap is one step of `script`: repeats, and whether there is a gap."""

    mss = 1_448

    def __init__(self, *script: tuple[int, bool], pause_s: float = 0.0) -> None:
        self.script = list(script)
        self.pause_s = pause_s
        self.now = (0, False)

    def unacknowledged(self) -> int:
        return 20_000

    def repeats(self) -> int:
        return self.now[0]

    def gap(self) -> bool:
        if self.script:
            self.now = self.script.pop(0)
        return self.now[1]


class Server:
    """Accepts further connections where `accepts` says so."""

    target = "vm.example:5"

    def __init__(self, *accepts: bool, size: int | None = 1_000) -> None:
        self.accepts = list(accepts)
        self.size = size
        self.below: list[int] = []
        self.idle_s: list[float] = []

    async def probe(self) -> bool:
        return self.accepts.pop(0)

    def shrink(self, below: int) -> int | None:
        self.below.append(below)
        return self.size

    def end_before(self, idle_s: float) -> None:
        self.idle_s.append(idle_s)


class Watch:
    """A steady clock on which a second passes with each look."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHECK_S", 0.0)


async def reason(traffic: Traffic, server: Server) -> str:
    return await StallWatch(traffic, server, steady=Watch()).stalled()


async def test_repeats_in_vain_with_a_server_that_accepts_mean_a_black_hole() -> None:
    server = Server(True)
    said = await reason(Traffic((0, False), (1, False), (2, False), (3, False)), server)
    assert "large packets vanish on the way to vm.example:5 (its MTU" in said
    assert "1000 bytes" in said
    assert server.below == [1_448]


async def test_after_a_silence_they_mean_a_forgotten_mapping() -> None:
    server = Server(True)
    assert "forgotten on the way (by a NAT) while it was silent for 40 s" in await reason(
        Traffic((3, False), pause_s=40.0), server
    )
    assert (server.below, server.idle_s) == ([], [40.0])


async def test_a_server_that_cannot_be_reached_is_asked_ever_more_rarely() -> None:
    server = Server(False, False, False, True)
    watch = Watch()
    assert await StallWatch(Traffic((9, False)), server, steady=watch).stalled()
    assert watch.now_s > 2 + 4 + 8


async def test_a_connection_that_recovers_meanwhile_is_left_alone() -> None:
    class Recovering(Server):
        async def probe(self) -> bool:
            traffic.now = (0, False)
            return self.accepts.pop(0)

    traffic, server = Traffic((3, False), (3, False), (0, False), (5, False)), Recovering(True)
    with pytest.raises(IndexError):  # it is asked again, and not at once ended
        await reason(traffic, server)
    assert server.below == []


async def test_the_end_of_a_message_without_its_beginning_is_a_black_hole_on_the_way_back() -> None:
    server = Server()
    said = await reason(Traffic((0, False), (0, True), *[(0, True)] * 5), server)
    assert "large packets vanish" in said
    assert server.below == [1 << 16]


async def test_a_gap_that_is_filled_is_none() -> None:
    server = Server(True)
    await reason(Traffic((0, False), (0, True), (0, True), (0, False), (0, True), (0, True), (3, False)), server)
    assert server.below == [1_448]


async def test_segments_that_cannot_be_smaller_mean_a_new_connection_alone() -> None:
    assert "stands still, but the server can be reached" in await reason(Traffic((3, False)), Server(True, size=None))


@pytest.mark.parametrize(
    ("up", "down", "labels"),
    [(Way(largest=1_200), Way(), 0), (Way(largest=700), Way(largest=700), 0), (Way(), Way(largest=1_200), 440)],
    ids=["up", "both-ways-and-smaller", "down"],
)
def test_frames_get_through_a_black_hole(tmp_path: Path, up: Way, down: Way, labels: int) -> None:
    said = run_device(tmp_path, up, down, frames=3, further_labels=labels)
    assert said["answered"] == 3
    assert "MTU" in str(said["messages"])


@pytest.mark.slow
def test_a_connection_that_a_nat_forgot_is_made_anew(tmp_path: Path) -> None:
    way = Way(mapping_s=11.0)
    said = run_device(tmp_path, way, way, frames=2, pause_s=13.0)
    assert said["answered"] == 2
    assert "by a NAT" in str(said["messages"])


def run_device(
    folder: Path, up: Way, down: Way, *, frames: int, pause_s: float = 0.0, further_labels: int = 0
) -> dict[str, object]:
    """What a device says that sends `frames` over such a way."""
    with emulated_link(up, down) as (device, cloud, _):
        server = cloud.start(PROGRAMS / "cloud.py", cloud.address, 50051, "-", further_labels)
        try:
            assert server.stdout is not None
            server.stdout.readline()
            run = device.start(PROGRAMS / "frames.py", folder, f"{cloud.address}:50051", pause_s, frames)
            said, _ = run.communicate()
            return dict(json.loads(said))
        finally:
            server.kill()
            server.communicate()

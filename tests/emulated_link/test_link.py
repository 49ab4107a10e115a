"""The laboratory itself: what it loses, reorders, holds back and counts."""

from __future__ import annotations

import random
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulated_link import packets
from emulated_link.emulator import Direction
from emulated_link.namespaces import Emulator, Side, Way, emulated_link, ip, namespaces, veth_link
from emulated_link.sampler import Sample, most_in_a_window, sampling

PROGRAM = Path(packets.__file__)
UDP_IP, ETHERNET = 28, 14


def carried(device: Side, cloud: Side, count: int, size: int = 100, emulator: Emulator | None = None) -> list[int]:
    """The numbers of `count` packets from the device that come to the cloud, in the order of their coming."""

    def passed() -> tuple[int, int]:
        """Packets that the link is done with, and those of them that it carries."""
        if emulator is None:
            while device.queued_bytes:
                pass
            return count, device.tx_bytes // (size + UDP_IP + ETHERNET)
        up = emulator.counts()["up"]
        return sum(up.values()), up["forwarded"]

    receiver = cloud.start(PROGRAM, "receive", cloud.address)
    assert receiver.stdout is not None
    receiver.stdout.readline()
    done_before, before = passed()
    with device.start(PROGRAM, "send", cloud.address, count, size) as sender:
        assert sender.wait() == 0
    done, carried = passed()
    while emulator is not None and done - done_before < count:
        done, carried = passed()
    said, _ = receiver.communicate(str(carried - before))
    return [int(line) for line in said.split()]


def test_a_good_link_carries_all_in_order() -> None:
    with emulated_link() as (device, cloud, emulator):
        before = device.tx_bytes
        assert carried(device, cloud, 300, emulator=emulator) == list(range(300))
        assert device.tx_bytes - before == 300 * (100 + UDP_IP)
        assert emulator.counts()["up"] == {"forwarded": 300, "lost": 0, "overflowed": 0, "swallowed": 0}


def test_a_lossy_link_loses_the_share_that_was_asked_for() -> None:
    with emulated_link(Way(loss=0.2)) as (device, cloud, emulator):
        came = carried(device, cloud, 3000, emulator=emulator)
        assert 480 < 3000 - len(came) < 720  # five standard deviations
        assert emulator.counts()["up"] == {
            "forwarded": len(came),
            "lost": 3000 - len(came),
            "overflowed": 0,
            "swallowed": 0,
        }


def test_jitter_lets_packets_overtake_one_another() -> None:
    with emulated_link(Way(jitter_ms=50)) as (device, cloud, emulator):
        came = carried(device, cloud, 300, emulator=emulator)
        assert sorted(came) == list(range(300))
        assert came != sorted(came)


def test_a_blackout_lets_nothing_through_and_ends() -> None:
    with emulated_link(blackouts=((0.0, 1e9),)) as (device, cloud, emulator):
        assert carried(device, cloud, 50, emulator=emulator) == []
    with emulated_link(Way(loss=1.0)) as (device, cloud, emulator):
        assert carried(device, cloud, 50, emulator=emulator) == []
        emulator.set(up=Way())
        assert carried(device, cloud, 50, emulator=emulator) == list(range(50))


def test_a_black_hole_swallows_what_is_too_large() -> None:
    with emulated_link(Way(largest=1_000)) as (device, cloud, emulator):
        assert carried(device, cloud, 20, 1_001 - UDP_IP, emulator) == []
        assert carried(device, cloud, 20, 1_000 - UDP_IP, emulator) == list(range(20))
        assert emulator.counts()["up"]["swallowed"] == 20


def test_a_silent_connection_is_forgotten_until_it_is_opened_anew() -> None:
    def packet(flags: int) -> bytes:
        return bytes(9) + b"\x06" + bytes(10) + b"\x01\x02\x03\x04" + bytes(9) + bytes([flags]) + bytes(6)

    direction, heard = Direction(asdict(Way(mapping_s=5.0)), random.Random(0)), dict[bytes, float]()
    syn, data = packet(2), packet(16)
    arrivals = [(syn, 100.0), (data, 104.0), (data, 108.0), (data, 114.0), (data, 115.0), (syn, 116.0), (data, 117.0)]
    swallowed = [direction.swallows(one, now, heard) for one, now in arrivals]
    assert swallowed == [False, False, False, True, True, False, False]


def test_a_slow_link_drops_what_its_queue_does_not_hold() -> None:
    with emulated_link(Way(rate=10_000, queue=5_000)) as (device, cloud, emulator):
        begin_s = time.monotonic()
        came = carried(device, cloud, 100, 1000 - UDP_IP, emulator)
        assert 5 <= len(came) <= 6 + 10 * (time.monotonic() - begin_s)
        assert emulator.counts()["up"]["overflowed"] == 100 - len(came)


@given(now=st.floats(0, 1e7), packets=st.integers(1, 50), size=st.integers(1, 1500), rate=st.integers(1_000, 10**6))
def test_a_queue_holds_packets_up_to_its_very_size_at_any_hour(now: float, packets: int, size: int, rate: int) -> None:
    way = asdict(Way(rate=rate, queue=packets * size))
    direction = Direction(way, random.Random(0))
    assert [direction.due(size, now, dark=False) is None for _ in range(packets + 1)] == [False] * packets + [True]


def test_a_token_bucket_limits_a_veth_pair() -> None:
    with veth_link(rate="80kbit", burst="4kb", limit="8kb") as (device, cloud):
        begin_s = time.monotonic()
        came = carried(device, cloud, 100, 1000)
        assert 5 <= len(came) <= 13 + 10 * (time.monotonic() - begin_s)
        assert device.tx_bytes == len(came) * (1000 + UDP_IP + ETHERNET)


def test_what_an_interface_sends_is_sampled() -> None:
    with veth_link() as (device, cloud):
        with sampling(device) as samples:
            carried(device, cloud, 100)
        assert samples[0].sent == 0
        assert samples[-1].sent == 100 * (100 + UDP_IP + ETHERNET)
        assert most_in_a_window(samples, 1e9) == samples[-1].sent


def test_the_most_in_a_window_counts_only_what_surely_lies_within_it() -> None:
    samples = [Sample(at, at + 0.1, sent) for at, sent in ((0, 0), (1, 10), (2, 30), (3, 30), (4, 100))]
    assert [most_in_a_window(samples, period) for period in (0.5, 1.1, 2.1, 9.0)] == [0, 70, 70, 100]


def test_what_a_dead_run_left_behind_is_cleared_away() -> None:
    with namespaces():
        pass
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = f"edgelink-{dead.pid}-device"
    ip("netns", "add", left)
    with namespaces() as pair:
        assert left not in ip("netns", "list")
        assert all(name in ip("netns", "list") for name in pair)
    assert not any(name in ip("netns", "list") for name in pair)


@pytest.mark.parametrize("side", ["device", "cloud"])
def test_only_loopback_and_the_link_are_inside(side: str) -> None:
    with veth_link() as sides:
        one = sides[side == "cloud"]
        assert "inet6" not in ip("-n", one.namespace, "addr", "show")

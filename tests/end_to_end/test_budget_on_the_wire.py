"""The upload budget, measured where it counts: on the interface, in every window, whatever the link does."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest
from emulated_link import cloud as cloud_program
from emulated_link import device as device_program
from emulated_link import idle_device
from emulated_link.namespaces import Side, Way, emulated_link, veth_link
from emulated_link.sampler import Sample, most_in_a_window, sampling

from edge_sdk.security.certificates import Authority

PORT = 50051


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def start_cloud(side: Side, *keys: Path) -> subprocess.Popen[str]:
    server = side.start(cloud_program.__file__, side.address, PORT, *keys)
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    return server


def spend(
    device: Side,
    cloud: Side,
    state: Path,
    budget: str,
    seconds: float,
    restarts: int | None = None,
    interface: str | None = None,
    keys: Path | None = None,
) -> tuple[list[Sample], dict[str, int]]:
    """Run device and cloud; what the device's interface sent, and its account. `restarts`: seed of server restarts."""
    chance = random.Random(restarts)
    secured = [keys] if keys else []
    server = start_cloud(cloud, *secured)
    try:
        with sampling(device) as samples:
            running = device.start(
                device_program.__file__,
                state,
                f"{cloud.address}:{PORT}",
                budget,
                seconds,
                *([interface] if interface else secured),
            )
            try:
                while restarts is not None and running.poll() is None:
                    try:
                        running.wait(chance.uniform(1, 3))
                    except subprocess.TimeoutExpired:
                        kill(server)
                        server = start_cloud(cloud, *secured)
                said, _ = running.communicate(timeout=seconds + 60)
            finally:
                kill(running)
    finally:
        kill(server)
    return samples, json.loads(said.splitlines()[-1])


def assert_kept(samples: list[Sample], limit: int, period_s: float) -> None:
    most = most_in_a_window(samples, period_s)
    assert most <= limit, f"{most} bytes within {period_s:g} s, {most / limit:.2f} of the limit"


def assert_used(samples: list[Sample], limit: int, period_s: float) -> None:
    sent = [sample for sample in samples if sample.sent > samples[0].sent]
    rate = (samples[-1].sent - samples[0].sent) / (samples[-1].after_s - sent[0].before_s)
    assert rate > 0.8 * limit / period_s, f"{rate / limit * period_s:.2f} of the budget was used"


def test_a_clean_link_carries_the_budget_and_no_more(tmp_path: Path) -> None:
    with veth_link() as (device, cloud):
        samples, account = spend(device, cloud, tmp_path, "40kB/2s", 9)
    assert_kept(samples, 40_000, 2)
    assert samples[-1].sent - samples[0].sent > 40_000  # it goes on after the first window
    assert account["waiting"] > 0
    assert samples[-1].sent <= account["charged"]


@pytest.mark.slow
def test_a_clean_link_for_longer(tmp_path: Path) -> None:
    with veth_link() as (device, cloud):
        samples, _ = spend(device, cloud, tmp_path, "60kB/5s", 24)
    assert_kept(samples, 60_000, 5)
    assert_used(samples, 60_000, 5)


@pytest.mark.slow
def test_a_link_as_thin_as_the_budget(tmp_path: Path) -> None:
    with veth_link(rate="110kbit", burst="4kb", limit="30kb") as (device, cloud):
        samples, _ = spend(device, cloud, tmp_path, "60kB/5s", 22)
    assert_kept(samples, 60_000, 5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("up", "down"),
    [
        pytest.param(Way(loss=0.05, delay_ms=20), Way(loss=0.05, delay_ms=20), id="5% loss"),
        pytest.param(Way(delay_ms=20, jitter_ms=60), Way(delay_ms=20, jitter_ms=60), id="reordering"),
        pytest.param(
            Way(loss=0.02, delay_ms=50, jitter_ms=20, rate=16_000, queue=16_000), Way(loss=0.02, delay_ms=50), id="thin"
        ),
    ],
)
def test_a_bad_link(tmp_path: Path, up: Way, down: Way) -> None:
    with emulated_link(up, down) as (device, cloud, _):
        samples, account = spend(device, cloud, tmp_path, "60kB/5s", 22)
    assert account["answers"] > 5
    assert_kept(samples, 60_000, 5)


@pytest.mark.slow
def test_a_link_that_goes_dark(tmp_path: Path) -> None:
    dark = ((3.0, 7.0), (9.0, 9.8), (12.0, 17.0))
    with emulated_link(Way(delay_ms=20, rate=40_000), Way(delay_ms=20), blackouts=dark) as (device, cloud, _):
        samples, account = spend(device, cloud, tmp_path, "60kB/5s", 24)
    assert account["answers"] > 5
    assert_kept(samples, 60_000, 5)


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again(tmp_path: Path) -> None:
    with emulated_link(Way(delay_ms=20), Way(delay_ms=20)) as (device, cloud, _):
        samples, account = spend(device, cloud, tmp_path, "60kB/5s", 22, restarts=1)
    assert account["answers"] > 5
    assert_kept(samples, 60_000, 5)


@pytest.mark.slow
def test_handshakes_count(tmp_path: Path) -> None:
    """Mutual TLS, and a server that is killed every two seconds: a handshake each time."""
    authority = Authority(tmp_path / "keys")
    authority.issue_device("cam")
    with emulated_link(Way(loss=0.02, delay_ms=20), Way(delay_ms=20)) as (device, cloud, _):
        authority.issue_server([cloud.address])
        samples, account = spend(device, cloud, tmp_path, "60kB/5s", 22, restarts=2, keys=tmp_path / "keys")
    assert account["answers"] > 5
    assert_kept(samples, 60_000, 5)


@pytest.mark.slow
def test_every_window_of_several_budgets(tmp_path: Path) -> None:
    with emulated_link(Way(loss=0.03, delay_ms=20), Way(loss=0.03, delay_ms=20)) as (device, cloud, _):
        samples, account = spend(device, cloud, tmp_path, "30kB/1s, 60kB/5s, 130kB/15s", 32)
    assert account["answers"] > 5
    for limit, period_s in ((30_000, 1), (60_000, 5), (130_000, 15)):
        assert_kept(samples, limit, period_s)


@pytest.mark.slow
def test_what_others_send_over_the_interface_counts(tmp_path: Path) -> None:
    with veth_link() as (device, cloud):
        samples, account = spend(device, cloud, tmp_path, "60kB/5s", 24, interface=device.interface)
    assert account["answers"] > 5
    assert_kept(samples, 60_000, 5)
    assert_used(samples, 60_000, 5)


@pytest.mark.slow
def test_a_day_without_a_frame_costs_at_most_10_kb(tmp_path: Path) -> None:
    """Mutual TLS; two simulated days, each with one report on a connection of its own."""
    authority = Authority(tmp_path / "keys")
    authority.issue_device("cam")
    with veth_link() as (device, cloud):
        authority.issue_server([cloud.address])
        server = start_cloud(cloud, tmp_path / "keys")
        try:
            target, keys = f"{cloud.address}:{PORT}", tmp_path / "keys"
            running = device.start(idle_device.__file__, tmp_path / "state", target, keys, 2 * 24 * 60)
            said, _ = running.communicate(timeout=200)
            assert said == "done\n"
            assert 2 * 2_000 < device.tx_bytes <= 2 * 10_000
        finally:
            kill(server)

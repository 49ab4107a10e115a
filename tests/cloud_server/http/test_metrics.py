from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import grpc
import pytest
from gated_model import picture
from prometheus_client import generate_latest

from cloud_server.fleet.labelled_audits import LabelledAudit
from cloud_server.fleet.stats import Stats
from cloud_server.http.metrics import MOST_LABELS, MOST_PERIODS, OTHER_LABELS, Gauges, StatsCollector, registry_of
from edge_sdk.budget.limits import Budget
from edge_sdk.budget.usage import BudgetState, Usage
from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.fleet.health import Health
from edge_sdk.fleet.report_file import Status, Tally
from edge_sdk.store.audits import AuditCounts
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

DOCS = Path(__file__).resolve().parents[3] / "docs" / "guides" / "server.md"
PROMTOOL = shutil.which("promtool")
NO_GAUGES = Gauges(waiting=lambda: 2, streams=lambda: 3, cached=lambda: 4, archived_bytes=lambda: 5)


def lines_of(stats: Stats, gauges: Gauges = NO_GAUGES) -> list[str]:
    return generate_latest(registry_of(StatsCollector(stats, gauges, 'a "big" one'))).decode().splitlines()


def test_each_count_has_its_metric() -> None:
    stats = Stats()
    for latency_s in (0.004, 0.3, 99.0):
        stats.count_answer(latency_s)
    stats.count_batch(3)
    stats.count_failure("OVERLOADED")
    stats.repeats += 7
    stats.refusals += 1
    stats.take()  # the log's summary takes nothing away
    lines = lines_of(stats)
    for line in (
        'cloud_server_model_info{name="a \\"big\\" one"} 1.0',
        "cloud_server_frames_total 3.0",
        "cloud_server_repeats_total 7.0",
        'cloud_server_failures_total{code="OVERLOADED"} 1.0',
        "cloud_server_batches_total 1.0",
        "cloud_server_refused_calls_total 1.0",
        'cloud_server_latency_seconds_bucket{le="0.005"} 1.0',
        'cloud_server_latency_seconds_bucket{le="0.5"} 2.0',
        'cloud_server_latency_seconds_bucket{le="10.0"} 2.0',
        'cloud_server_latency_seconds_bucket{le="+Inf"} 3.0',
        "cloud_server_latency_seconds_count 3.0",
        "cloud_server_waiting_frames 2.0",
        "cloud_server_open_streams 3.0",
        "cloud_server_cached_replies 4.0",
        "cloud_server_archive_bytes 5.0",
    ):
        assert line in lines
    assert not any("archive" in line for line in lines_of(stats, Gauges(lambda: 0, lambda: 0, lambda: 0)))


def test_each_device_that_reported_has_its_numbers() -> None:
    told = Status(usage=Usage(frames=10, exits=7, bytes_sent=5000), waiting=2, health=Health(celsius=51.0))
    gauges = replace(NO_GAUGES, devices=lambda: [("cam-1", 1.8e9, told), ('"2"', 1.7e9, Status())])
    lines = lines_of(Stats(), gauges)
    for line in (
        'cloud_server_device_last_report_seconds{device="cam-1"} 1.8e+09',
        'cloud_server_device_frames{device="cam-1"} 10.0',
        'cloud_server_device_exits{device="cam-1"} 7.0',
        'cloud_server_device_sent_bytes{device="cam-1"} 5000.0',
        'cloud_server_device_waiting_frames{device="cam-1"} 2.0',
        'cloud_server_device_celsius{device="cam-1"} 51.0',
        'cloud_server_device_settings_version{device="cam-1"} 0.0',
        'cloud_server_device_frames{device="\\"2\\""} 0.0',
    ):
        assert line in lines
    assert not any(line.startswith("cloud_server_device_disk_free_bytes{") for line in lines)


def test_the_docs_list_every_metric() -> None:
    described = set(re.findall(r"^\| `((?:cloud_server|edge_sdk|rpc_server)_\w+)", DOCS.read_text(), re.M))
    stats = Stats()
    stats.count_failure("INTERNAL")
    gauges = replace(NO_GAUGES, devices=list, tallies=dict)
    named = {line.split()[2] for line in lines_of(stats, gauges) if line.startswith("# TYPE")}
    assert described == named


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool: sudo apt install prometheus")
def test_promtool_finds_nothing_to_complain_of() -> None:
    assert PROMTOOL is not None
    stats = Stats()
    stats.count_answer(0.3)
    stats.count_failure("OVERLOADED")
    stats.measures.count_call("edge_sdk.v1.Offload/Stream", "OK", 60.0)
    stats.measures.count_refusal("cam-1", True, "OVERLOADED")
    told = Status(
        usage=Usage(frames=10, exits=7, budgets=(BudgetState(Budget(100, 60.0), 40),)),
        health=Health(celsius=51.0),
        audits=ReportedAudits("trailcam 3", (AuditCounts(0.5, 100, 50, 50, differ=5),)),
    )
    tally = Tally(audits=3, answered=2, differ=1, events={"fox": 4})
    labelled = {"cam-1": tuple(LabelledAudit("trailcam 3", 0.5, False, "fox", "deer", "fox") for _ in range(5))}
    labelled = {"cam-1": (*labelled["cam-1"][1:], LabelledAudit("trailcam 3", 0.5, False, "fox", "deer", "deer"))}
    gauges = replace(
        NO_GAUGES,
        devices=lambda: [("cam-1", 1.8e9, told)],
        tallies=lambda: {"cam-1": tally},
        labelled=lambda: labelled,
    )
    text = "\n".join(lines_of(stats, gauges)) + "\n"
    for line in (
        'edge_sdk_device_budget_spent_bytes{device="cam-1",period_seconds="60"} 40.0',
        'edge_sdk_device_exit_agreement_ratio{device="cam-1"} 0.9',
        'edge_sdk_device_exit_right_ratio{device="cam-1"} 0.98',
        'edge_sdk_device_audits_labelled{device="cam-1"} 5.0',
        'edge_sdk_device_audits_differ{device="cam-1"} 1.0',
        'edge_sdk_device_events{device="cam-1",label="fox"} 4.0',
        'edge_sdk_refused_frames_total{device="cam-1",reason="OVERLOADED"} 1.0',
    ):
        assert line in text.splitlines()
    checked = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_labels_of_events_are_bounded() -> None:
    tally = Tally(events={f"label {number}": number + 1 for number in range(2 * MOST_LABELS)})
    gauges = replace(NO_GAUGES, devices=lambda: [("cam-1", 1.8e9, Status())], tallies=lambda: {"cam-1": tally})
    lines = [line for line in lines_of(Stats(), gauges) if line.startswith("edge_sdk_device_events{")]
    assert len(lines) == MOST_LABELS + 1
    assert f'edge_sdk_device_events{{device="cam-1",label="{OTHER_LABELS}"}} 820.0' in lines


def test_no_device_makes_ever_more_series_nor_crowds_out_what_others_say() -> None:
    said, day = {}, [0]
    for name in ("cam-1", "cam-2", "hostile"):
        said[name] = Tally(events={"fox": 3, "a pine marten": 1})

    def latest() -> list[tuple[str, float, Status]]:
        budgets = tuple(BudgetState(Budget(100, 1000.0 + 4 * day[0] + n), 40) for n in range(4))
        usual = (BudgetState(Budget(100, 86_400.0), 40),)
        return [(name, 1.8e9, Status(usage=Usage(budgets=budgets if name == "hostile" else usual))) for name in said]

    served = ["fox", "roe deer"]
    gauges = replace(NO_GAUGES, devices=latest, tallies=lambda: said, labels=lambda: served)
    registry, series = registry_of(StatsCollector(Stats(), gauges, "big")), set[str]()
    for day[0] in range(30):
        said["hostile"] = Tally(events={f"label {day[0]} {n}": 10**6 for n in range(100)})
        if day[0] == 20:
            said["cam-1"].events["roe deer"] = 2
        for line in generate_latest(registry).decode().splitlines():
            if line.startswith(("edge_sdk_device_events{", "edge_sdk_device_budget_bytes{")):
                series.add(line.rpartition(" ")[0])
    assert 'edge_sdk_device_events{device="cam-1",label="a pine marten"}' in series
    assert 'edge_sdk_device_events{device="cam-1",label="roe deer"}' in series
    assert 'edge_sdk_device_budget_bytes{device="cam-1",period_seconds="86400"}' in series
    assert len([one for one in series if "_events{" in one and "hostile" in one]) <= MOST_LABELS + 3
    assert len([one for one in series if "_budget_" in one and "hostile" in one]) <= MOST_PERIODS + 1


def test_a_real_server_is_measured(checkpoint: Path, tmp_path: Path) -> None:
    options = ["--model", str(checkpoint), "--port", "0", "--http-port", "0", "--threads", "1", "--state", "none"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cloud_server", *options, "--archive", str(tmp_path / "archive")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "no_proxy": "*"},
    )
    assert process.stdout and process.stderr
    try:
        log = ""
        while "metrics on" not in log and (line := process.stderr.readline()):
            log += line
        found = re.search(r"http://(127\.0\.0\.1:\d+)/metrics", log)
        address = process.stdout.readline().split()[-1]
        assert found, log
        http = build_opener(ProxyHandler({}))
        with grpc.insecure_channel(address) as channel:
            stub = wire_grpc.OffloadStub(channel)
            asked = wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(9))
            stub.Classify(asked)
            stub.Classify(asked)
            stub.Classify(wire.ClassifyRequest(frame_id=new_frame_id(), image=b"none"))
        with http.open(f"http://{found[1]}/metrics") as reply:
            lines = reply.read().decode().splitlines()
        assert "cloud_server_frames_total 1.0" in lines
        assert "cloud_server_repeats_total 1.0" in lines
        assert 'cloud_server_failures_total{code="BAD_IMAGE"} 1.0' in lines
        assert "cloud_server_cached_replies 1.0" in lines
        with http.open(f"http://{found[1]}/healthz") as reply:
            assert reply.read() == b"serving\n"
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate()
        assert process.returncode == 0
        assert "cloud-server: ended: 1 frames in 1 batches (mean 1.0), 1 repeats, 1 failures" in rest
    finally:
        process.kill()
        process.communicate()

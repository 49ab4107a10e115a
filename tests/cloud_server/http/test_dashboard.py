"""The Grafana dashboard's queries, each run by a real Prometheus that scrapes a real server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import pytest
from fleet_parts import MODEL, answer, event, fleet_server
from free_ports import free_port
from gated_model import picture

from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.store.audits import AuditCounts
from edge_sdk.types import new_frame_id

PROGRAM = shutil.which("prometheus")
DASHBOARD = Path(__file__).resolve().parents[3] / "deploy" / "grafana" / "edge-sdk.json"
DOCS = Path(__file__).resolve().parents[3] / "docs" / "guides" / "server.md"
AUDITS = ReportedAudits(MODEL, (AuditCounts(0.5, 100, 50, 50, differ=5, labelled=5, wrong=5, lost=5),))
ONLY_OF_SEQUENCES = ("edge_sdk_model_exit_frames_total",)
"""Metrics that a server with one network does not have."""
NOT_DRAWN = ("cloud_server_model_info",)
"""Metrics that are no numbers."""
_open = build_opener(ProxyHandler({})).open


def queries() -> dict[str, str]:
    """By panel and letter, as Grafana sends them for all devices."""
    found = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "1m").replace("$device", ".*")
            found[f"{panel['title']} {target['refId']}"] = text
    return found


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """The address of a Prometheus that scrapes `target`."""
    address = f"127.0.0.1:{free_port()}"
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f"scrape_configs: [{{job_name: cloud-server, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    options = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"]
    assert PROGRAM is not None
    with subprocess.Popen([PROGRAM, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield address
        finally:
            process.kill()


def ask(address: str, query: str) -> list[Any] | str:
    """The series of a query, or why there are none yet."""
    try:
        with _open(f"http://{address}/api/v1/query?{urlencode({'query': query})}") as reply:
            found: list[Any] = json.load(reply)["data"]["result"]
            return [one for one in found if one["value"][1] != "NaN"]
    except HTTPError as error:
        with error:
            if error.code == 503:
                return "not ready"
            raise AssertionError(f"{query}: {error.read().decode()}") from error
    except URLError as error:
        return str(error)


def test_panels_have_what_grafana_needs() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids) == 25
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]}
    assert len(places) == len(ids)
    assert all(panel["datasource"]["uid"] == "${source}" for panel in dashboard["panels"])


def test_every_metric_that_the_docs_list_is_drawn() -> None:
    listed = set(re.findall(r"^\| `((?:cloud_server|edge_sdk|rpc_server)_\w+)", DOCS.read_text(), re.M))
    drawn = set(re.findall(r"(?:cloud_server|edge_sdk|rpc_server)_\w+", "\n".join(queries().values())))
    drawn = {re.sub("_(bucket|sum|count)$", "", name) if name not in listed else name for name in drawn}
    assert drawn == listed - set(NOT_DRAWN)


@pytest.mark.skipif(PROGRAM is None, reason="no prometheus: sudo apt install prometheus")
def test_each_query_gives_series(tmp_path: Path, checkpoint: Path) -> None:
    with fleet_server(tmp_path, str(checkpoint)) as server:
        camera = server.camera("cam-1")
        now = datetime.now(UTC)
        camera.report(
            [answer(new_frame_id(), now, "fox", "deer", audit=True)],
            [event(new_frame_id(), now - timedelta(minutes=5), "fox")],
            audits=AUDITS,
        )
        with prometheus(tmp_path, server.http) as address:
            waiting = {name: text for name, text in queries().items() if not any(map(text.count, ONLY_OF_SEQUENCES))}
            while waiting:
                camera.classify(new_frame_id(), picture(9))  # rates need something that goes on
                camera.classify(new_frame_id(), b"no picture")
                told = {name: ask(address, query) for name, query in waiting.items()}
                waiting = {name: waiting[name] for name, found in told.items() if not found or isinstance(found, str)}
            rest = [text for text in queries().values() if any(map(text.count, ONLY_OF_SEQUENCES))]
            assert [ask(address, text) for text in rest] == [[]]

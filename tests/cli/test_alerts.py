"""The command `edge-sdk alerts`."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from alert_parts import receiver
from mqtt_parts import broker, listening, needs_broker, needs_paho

from edge_sdk.alerts.alert import Kind
from edge_sdk.alerts.signature import new_secret, read_secret, verify
from edge_sdk.cli import cli
from edge_sdk.cli.alerts import rules_for
from edge_sdk.terminal.command import DONE, ERROR, NO, run


def alerts(*arguments: object) -> int:
    return run(cli, "edge-sdk", ["alerts", *map(str, arguments)])


def test_a_test_alert_by_webhook_says_what_came_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = new_secret()
    file = tmp_path / "secret"
    file.touch(mode=0o600)
    file.write_text(f"{secret}\n")
    with receiver() as server:
        assert alerts("test", "--webhook", server.url, "--secret-file", file, "--device", "cam-1") == DONE
        server.replies = [(403, {}, b"go \x1b[31maway")]
        assert alerts("test", "--webhook", server.url) == NO
    place = server.url.removesuffix("/hook")
    assert capsys.readouterr().out == (
        f"webhook {place}: delivered: 204 No Content\nwebhook {place}: not delivered: 403 Forbidden go \\x1b[31maway\n"
    )
    (_, headers, body), (_, unsigned, _) = server.requests
    assert json.loads(body)["text"] == "a test of the alerts of cam-1"
    assert verify(secret, headers, body, now_s=float(headers["webhook-timestamp"]))
    assert "webhook-signature" not in unsigned


def test_the_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_SDK_WEBHOOK_SECRET", new_secret())
    with receiver() as server:
        assert alerts("test", "--webhook", server.url) == DONE
    assert server.requests[0][1]["webhook-signature"].startswith("v1,")


@needs_paho
@needs_broker
def test_a_test_alert_by_mqtt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with broker(tmp_path) as running, listening(running.port) as listener:
        assert alerts("test", "--mqtt", running.address, "--device", "cam-1") == DONE
        assert json.loads(listener.wait("edge-sdk/cam-1/alert"))["kind"] == "test"
    assert capsys.readouterr().out == f"mqtt://{running.address}: delivered: acknowledged by the broker\n"


def test_what_cannot_be_used_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_to_all = tmp_path / "secret"
    open_to_all.write_text(new_secret())
    open_to_all.chmod(0o644)
    for arguments, message in (
        ((), "expected --mqtt HOST[:PORT] or --webhook URL; got neither"),
        (("--webhook", "ftp://host"), "expected a webhook as https://host/path"),
        (("--webhook", "http://host", "--secret-file", open_to_all), "accessible to its owner only"),
        (("--webhook", "http://host", "--device", "a b"), "expected device as"),
    ):
        assert alerts("test", *arguments) == ERROR
        assert message in capsys.readouterr().err


def test_rules_of_a_loop() -> None:
    assert [rule.kinds for rule in rules_for(None, ("fox",))] == [(Kind.FAULT, Kind.BUDGET, Kind.DRIFT, Kind.AUDIT)]
    assert len(rules_for("audit", ("fox",))) == 1 and rules_for("audit,fox", ("fox",))[1].classes == ("fox",)
    assert rules_for("fox, deer", ("deer", "fox", "boar"))[1].classes == ("fox", "deer")
    assert [rules_for("fox", ("fox",), provisional=told)[1].provisional for told in (False, True)] == [False, True]
    for classes in ("", "wolf", "fox,wolf"):
        with pytest.raises(click.UsageError, match="expected classes among fox"):
            rules_for(classes, ("fox",))


def test_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    assert alerts("secret") == DONE
    assert len(read_secret(capsys.readouterr().out)) == 32

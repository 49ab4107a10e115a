"""`edge-sdk install-service` and `cloud-server install-service`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cloud_server.cli import main as cloud_server
from edge_sdk.cli import cli


def test_the_files_are_printed_and_nothing_is_written() -> None:
    done = CliRunner().invoke(cli, ["install-service", "--print", "--journal-in-memory", "--config", "here.toml"])
    assert done.exit_code == 0
    assert "# /etc/systemd/system/edge-sdk.service\n" in done.output and "Storage=volatile" in done.output
    assert " -m edge_sdk run --config /" in done.output  # absolute


def test_the_options_of_the_server_stand_in_its_unit() -> None:
    given = ["install-service", "--print", "--user", "big", "--", "--host", "0.0.0.0", "--tokens", "/etc/edge/tokens"]
    done = CliRunner().invoke(cloud_server, given)
    assert done.exit_code == 0
    assert " -m cloud_server --host 0.0.0.0 --tokens /etc/edge/tokens\n" in done.output
    assert "User=big\n" in done.output


def test_what_the_server_writes_by_options_and_config_file_it_may(tmp_path: Path) -> None:
    path = tmp_path / "cloud-server.toml"
    path.write_text(
        'archive = "/srv/archive"\nstate = "/var/lib/cloud-server/x"\n'
        '[[models]]\nname = "a"\nweights = "trailcam"\narchive = "/srv/a"\n'
    )
    given = ["install-service", "--print", "--", "--config", str(path), "--reports=/srv/my reports"]
    given += ["--database", "/srv/db/fleet.db"]
    done = CliRunner().invoke(cloud_server, given)
    assert done.exit_code == 0
    may = [line.partition("=-")[2] for line in done.output.splitlines() if line.startswith("ReadWritePaths")]
    assert may == ["/srv/archive", '"/srv/my reports"', "/srv/db", "/srv/a"]
    assert f" -m cloud_server --config {path} " in done.output


def test_a_config_file_of_a_service_has_an_absolute_path_and_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("server.toml").write_text("port = 1\n")
    done = CliRunner().invoke(cloud_server, ["install-service", "--print", "--", "--config", "server.toml"])
    assert done.exit_code == 2 and "expected an absolute path of --config" in done.output
    for option in ("--tls-cert", "--archive", "--state", "--database", "--port-file"):
        done = CliRunner().invoke(cloud_server, ["install-service", "--print", "--", option, "here"])
        assert done.exit_code == 2
        assert f"expected an absolute path of {option}, since a service runs in /" in done.output
    Path("server.toml").write_text("prot = 1\n")
    done = CliRunner().invoke(cloud_server, ["install-service", "--print", "--", "--config", f"{tmp_path}/server.toml"])
    assert done.exit_code == 2 and "did you mean port?" in done.output


def test_files_that_the_service_would_not_find_are_told() -> None:
    given = ["install-service", "--print", "--", "--tokens", "/tmp/tokens", "--database", "postgresql://db/fleet"]
    done = CliRunner().invoke(cloud_server, given)
    assert done.exit_code == 0
    assert "the service will not find /tmp/tokens (--tokens): /tmp is hidden from it" in done.stderr


def test_options_that_the_server_would_refuse_are_refused() -> None:
    done = CliRunner().invoke(cloud_server, ["install-service", "--print", "--", "--hots", "0.0.0.0"])
    assert done.exit_code == 2
    assert "--hots" in done.output and "Unit" not in done.output

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from cloud_server.cli import main as command


def test_the_exit_code_says_whether_there_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "cloud-server.toml"
    path.write_text("port = 0\n")
    result = CliRunner().invoke(command, ["check-config", str(path)])
    assert (result.exit_code, result.output) == (0, f"{path}: 1 settings, no fault\n")
    path.write_text("port = 0\nprot = 0\nhots = 0\n")
    result = CliRunner().invoke(command, ["check-config", str(path)])
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{path}:2: expected a key of `cloud-server --help`; got 'prot'; did you mean port?",
        f"{path}:3: expected a key of `cloud-server --help`; got 'hots'; did you mean host?",
    ]
    assert CliRunner().invoke(command, ["--config", str(path)]).exit_code == 2

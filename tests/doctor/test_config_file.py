"""What the config file says is what is looked at; what a person names goes over it."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_parts import found, look

from edge_sdk.device_config.device import PLACES as USUAL_PLACES
from edge_sdk.doctor.config_file import PLACES, over
from edge_sdk.doctor.finding import Asked, Case, Level
from edge_sdk.doctor.machine import Machine
from edge_sdk.security.certificates import Authority
from edge_sdk.security.credentials import Security


def test_all_of_a_file_is_taken_and_options_go_over_it(tmp_path: Path) -> None:
    ca = Authority(tmp_path / "keys").files.cert
    (tmp_path / "url").write_text("rtsp://cam:secret@127.0.0.1:1/x\n")
    (tmp_path / "url").chmod(0o600)
    path = tmp_path / "edge-sdk.toml"
    path.write_text(
        '[camera]\naddress_file = "url"\n'
        '[cloud]\nserver = "vm.example:50051"\ninterface = "wwan0"\n[security]\nca = "keys/ca.pem"\n'
        '[budgets]\nupload = ["5MB/day", "100MB/month"]\ncompute = "3kJ/h"\n[power]\nactive_watts = 2.5\n'
        '[storage]\nstate_dir = "state"\n'
    )
    case = Case(Machine(), Asked(config=path, upload_budget="1MB/day"))
    config = look("config", case)
    assert config is not None and config.level is Level.OK and config.values["settings"] == 8
    assert "secret" not in repr(config) and "secret" not in repr(case.asked)
    assert case.asked == Asked(
        config=path,
        camera="rtsp://cam:secret@127.0.0.1:1/x",
        bundle="trailcam",
        cloud="vm.example:50051",
        interface="wwan0",
        security=Security(ca=str(ca)),
        state=tmp_path / "state",
        upload_budget="1MB/day",
        compute_budget="3kJ/h",
        watts=2.5,
    )


def test_faults_have_their_lines_and_the_rest_still_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[camera]\naddress = "simulated://trailcam"\n[budgets]\nupload = "5MB"\n[securty]\n')
    case = Case(Machine(), Asked(config=path))
    config = look("config", case)
    assert config is not None and config.level is Level.FAULT and config.values["fault_count"] == 2
    assert f"{path}:4: budgets.upload" in config.found and "config check" in config.do
    assert case.asked.camera == "simulated://trailcam"


@pytest.mark.parametrize("text", ["= no toml", "\xff"])
def test_a_file_that_is_no_config_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(text.encode("latin-1"))
    assert found("config", Machine(), Asked(config=path)).level is Level.FAULT
    assert found("config", Machine(), Asked(config=tmp_path / "none.toml")).level is Level.FAULT


def test_without_a_file_there_is_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuple(map(Path, PLACES)) == USUAL_PLACES
    monkeypatch.chdir(tmp_path)
    if not Path(PLACES[1]).exists():
        assert look("config", Case(Machine(), Asked())) is None
    (tmp_path / "edge-sdk.toml").write_text('[camera]\naddress = "picamera2"\n')
    assert found("config", Machine()).level is Level.OK
    assert over(Asked(), {"watts": None}) == Asked()

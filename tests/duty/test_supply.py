from __future__ import annotations

from pathlib import Path

from edge_sdk.duty import KernelSupply, SupplyState, measures_of
from edge_sdk.duty.supply import read_supply


def write(root: Path, name: str, **files: str) -> None:
    (root / name).mkdir()
    for file, text in files.items():
        (root / name / file).write_text(text + "\n")


def test_what_the_kernel_knows(tmp_path: Path) -> None:
    assert KernelSupply(tmp_path).read() == KernelSupply(tmp_path / "none").read() == SupplyState()
    write(tmp_path, "max17040", type="Battery", capacity="81", voltage_now="3987500")
    write(tmp_path, "bq24190", type="Mains", voltage_now="5000000", current_now="400000")
    write(tmp_path, "panel", type="Mains", power_now="1500000")
    write(tmp_path, "broken", type="Battery", capacity="not charging")
    state = KernelSupply(tmp_path).read()
    assert state == SupplyState(0.81, 3.9875, 3.5)
    assert measures_of(KernelSupply(tmp_path))() == {"battery": 0.81, "battery_volts": 3.9875, "solar_watts": 3.5}


def test_a_gauge_that_fails_knows_nothing() -> None:
    class Gone:
        def read(self) -> SupplyState:
            raise OSError("remote I/O error")

    assert read_supply(Gone()) == SupplyState()
    assert measures_of(Gone())() == {}

"""Figures of a specialist in words and tables."""

from pathlib import Path

import msgspec
from specialist_report import REPORT

from edge_sdk.workbench.specialize.report import Report, write_report


def test_ratios_and_gain() -> None:
    assert (REPORT.faster, REPORT.smaller, round(REPORT.gain or 0, 3)) == (4.0, 4.0, 0.04)
    assert REPORT.missed() == {}
    assert REPORT.sentence() == (
        "4.0x fewer parameters, 4.0x fewer MACs, 4.0x faster, 4.0x smaller; -2.0 points (95%: -5.1 to +0.9) against "
        "the big model on the task; specialization gain +4.0 points (95%: -1.0 to +9.0)"
    )


def test_missed_targets_are_told_with_what_came() -> None:
    slow = msgspec.structs.replace(REPORT, targets=("latency=5x", "params=2M", "macs=8x"))
    assert slow.missed() == {"latency=5x": "4.00x", "macs=8x": "4.00x"}
    assert slow.sentence().endswith("latency=5x is not met, it came to 4.00x; macs=8x is not met, it came to 4.00x")


def test_a_report_survives_its_file(tmp_path: Path) -> None:
    write_report(tmp_path / "report.json", REPORT)
    assert msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=Report) == REPORT

"""Figures of a specialist in words and tables."""

from pathlib import Path

import msgspec

from edge_sdk.workbench.cascade.paired import Difference
from edge_sdk.workbench.specialize.report import Report, Stage, write_report

BIG = Stage("big, restricted to the task", 4_000_000, 400_000_000, 0.95, 4_000_000, 8.0)
SMALL = Stage("distillation", 1_000_000, 100_000_000, 0.94, 1_000_000, 2.0)
REPORT = Report(
    model="resnet18",
    task=("deer", "fox"),
    pictures=20,
    test_pictures=100,
    targets=("params=4x", "latency=3x"),
    stages=(BIG, SMALL),
    control=Stage("control", 1_000_000, 100_000_000, 0.90),
    bundle_accuracy=0.93,
    big_bundle_accuracy=0.95,
    packed_bytes=900_000,
    big_packed_bytes=3_500_000,
    dense={},
    widths={},
    seed=0,
    seconds=1.0,
    peak_memory_bytes=1,
    against_big=Difference(-0.02, -0.051, 0.009, 0.3),
    against_control=Difference(0.04, -0.01, 0.09, 0.1),
)


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

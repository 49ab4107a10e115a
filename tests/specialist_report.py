"""A report of a specialist, for tests of what is made of one."""

from edge_sdk.workbench.cascade.paired import Difference
from edge_sdk.workbench.specialize.report import Report, Stage

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

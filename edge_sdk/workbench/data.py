"""Labelled pictures for training, calibration and measurement: folders of classes, lists, or the simulated camera.

| address | what |
|---|---|
| `photos/` | `photos/CLASS/*.jpg`, at any depth below the class; the folders between are places |
| `card/labels.csv` | the files of a CSV with columns `file`, `label` and, if need be, `place` and `date` |
| `simulated://trailcam?seed=7&frames=12000` | balanced, varied frames of the simulated camera |
| `simulated://trailcam?seed=7&frames=4000&streams=1` | frames of its streams: arrivals, repeats, empty gaps |
| `simulated://trailcam?seed=7&frames=12000&streams=0.3` | three tenths of the second, the rest of the first |
| `simulated://trailcam?seed=7&frames=6000&closeups=2` | with two cut-outs around the subject of each |
| `simulated://trailcam?seed=7&frames=4000&streams=1&stride=10` | every tenth frame of the streams (default: third) |
| `simulated://trailcam?seed=7&frames=4000&streams=1&gate=1&each=60` | visits: of 60 frames a place those with motion |

Splits never share a picture. In a folder, a hash of the file's name decides: a tenth each is for validation,
calibration and test. For the simulated camera each split has camera seeds of its own (`FIRST_SEED`), and each camera
seed is another place; what a person types at the camera itself (`--camera simulated://trailcam?seed=7`) lies among the
test seeds.
"""

from __future__ import annotations

from pathlib import Path

from edge_sdk.workbench.folder_source import FolderSource
from edge_sdk.workbench.labelled import Source, Split
from edge_sdk.workbench.simulated_source import SimulatedSource


def open_source(address: str, split: Split, leave_out: frozenset[Path] = frozenset()) -> Source:
    """Labelled pictures at an address (see the module), without the files in `leave_out`.

    Raises:
        WorkbenchError: nothing there, or an option that cannot be used.
    """
    if address.startswith("simulated://"):
        return SimulatedSource.from_address(address, split)
    return FolderSource(Path(address), split, leave_out)


def measuring_split(address: str) -> Split:
    """The split to measure on: calibration of the simulated camera, all of a folder."""
    return Split.CALIBRATION if address.startswith("simulated://") else Split.ALL

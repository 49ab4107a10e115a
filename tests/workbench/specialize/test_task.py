"""The pictures of a task."""

from __future__ import annotations

from pathlib import Path

import little_task
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.specialize.task import read_task, read_test

SPEC = InputSpec(32, 32, (0.5,) * 3, (0.5,) * 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    little_task.write_pictures(tmp_path / "task", little_task.squares(8, ("red", "green", "blue"), seed=3))
    return tmp_path / "task"


def test_a_few_are_drawn_and_the_others_are_for_the_test(folder: Path) -> None:
    task = read_task(folder, 3, SPEC, classes=("red", "blue"))
    assert task.samples.labels == ("red", "blue") and len(task.samples) == 6
    assert {name: len(paths) for name, paths in task.rest.items()} == {"red": 5, "blue": 5}
    test = read_test(task, None, SPEC)
    assert test is not None and len(test) == 10
    with pytest.raises(WorkbenchError, match="expected classes among blue, green, red; got pink"):
        read_task(folder, 3, SPEC, classes=("red", "pink"))


def test_a_folder_of_its_own_for_the_test(folder: Path, tmp_path: Path) -> None:
    task = read_task(folder, 8, SPEC)
    assert read_test(task, None, SPEC) is None
    little_task.write_pictures(tmp_path / "test", little_task.squares(2, ("red", "green")))
    with pytest.raises(WorkbenchError, match="none of blue in"):
        read_test(task, tmp_path / "test", SPEC)

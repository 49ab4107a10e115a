"""The child's side of a probe."""

from __future__ import annotations

import json
import subprocess
import sys


def test_each_line_leaves_at_once_as_json() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_sdk.doctor.child", "edge_sdk.doctor.packages:import_all"],
        input=json.dumps({"modules": ["msgspec"]}),
        capture_output=True,
        text=True,
        check=True,
    )
    first, last = map(json.loads, done.stdout.splitlines())
    assert first == {"at": "msgspec"} and list(last["versions"]) == ["msgspec"] and last["failed"] == {}


def test_a_probe_that_is_not_there_is_an_error_in_words() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_sdk.doctor.child", "edge_sdk.doctor.packages:none"],
        input="{}",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "AttributeError" in json.loads(done.stdout)["error"]

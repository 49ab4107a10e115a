"""The real validators: megadetector-utils and frictionless, in an environment of their own.

Installing them takes a minute or two, so these tests are slow. The environment stays in the user's cache.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from format_parts import frame_id, read
from platformdirs import user_cache_path

from edge_sdk.formats.camtrap_dp import write_camtrap_dp
from edge_sdk.formats.coco import write_coco
from edge_sdk.formats.deployment import Deployment
from edge_sdk.formats.megadetector import write_megadetector

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PACKAGES = ("megadetector-utils==10.0.28", "frictionless==5.21.0")
HIDE = Deployment("d1", "hide", 52.5, -1.25)

MEGADETECTOR = """
import json, sys
from megadetector.postprocessing.validate_batch_results import validate_batch_results
found = validate_batch_results(sys.argv[1])["validation_results"]
print(json.dumps({name: found[name] for name in ("errors", "warnings")}))
"""
COCO = """
import json, sys
from megadetector.data_management.integrity_check_json_db import IntegrityCheckOptions, integrity_check_json_db
options = IntegrityCheckOptions()
options.requireInfo, options.verbose, options.validateBoxes = True, False, "error"
counts, _, errors = integrity_check_json_db(sys.argv[1], options)
counts = {one["name"]: one["_count"] for one in counts}
print(json.dumps({"counts": counts, "errors": repr(errors["validation_errors"])}))
"""
CAMTRAP = """
import json, sys
from pathlib import Path
from frictionless import Package
from jsonschema import Draft4Validator
package, schemas = map(Path, sys.argv[1:])
descriptor = json.loads((package / "datapackage.json").read_text())
profile = json.loads((schemas / "camtrap-dp-profile.json").read_text())

def local(part):  # without what lies on other hosts
    if isinstance(part, dict):
        return {key: local(value) for key, value in part.items() if not (key == "$ref" and value.startswith("http"))}
    return [local(one) for one in part] if isinstance(part, list) else part

errors = [error.message for error in Draft4Validator(local(profile)).iter_errors(descriptor)]
del descriptor["profile"]
for resource in descriptor["resources"]:
    resource["schema"] = json.loads((schemas / f"{resource['name']}-table-schema.json").read_text())
report = Package(descriptor, basepath=str(package)).validate()
errors += [str(error) for error in report.flatten(["type", "rowNumber", "fieldName", "message"])]
print(json.dumps({"errors": errors, "rows": {task.name: task.stats.get("rows") for task in report.tasks}}))
"""


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python of an environment that has the validators."""
    named = "-".join(one.replace("==", "-") for one in PACKAGES)
    folder = user_cache_path("edge-sdk-tests") / f"{named}-python{sys.version_info[0]}.{sys.version_info[1]}"
    found, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        venv.create(folder, clear=True, with_pip=True)
        install: list[str | Path] = [found, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
        installed = subprocess.run(install, capture_output=True, text=True)
        assert installed.returncode == 0, installed.stderr[-3000:]
        done.touch()
    return found


def judged(python: Path, code: str, *arguments: Path) -> dict[str, Any]:
    """The last line that a validator prints."""
    command: list[str | Path] = [python, "-W", "ignore", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_megadetector_results_are_valid(python: Path, state: Path, tmp_path: Path) -> None:
    path = tmp_path / "md.json"
    write_megadetector(path, read(state), HIDE)
    assert judged(python, MEGADETECTOR, path) == {"errors": [], "warnings": []}
    broken = json.loads(path.read_text())
    broken["info"]["format_version"] = 1.6
    path.write_text(json.dumps(broken))
    assert judged(python, MEGADETECTOR, path)["errors"] == ["format_version is not a string"]


def test_coco_is_sound(python: Path, state: Path, tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    write_coco(path, read(state, copies=tmp_path), HIDE)
    found = judged(python, COCO, path)
    assert found["errors"] == "[]"
    assert found["counts"]["person"] == 3


@pytest.mark.data
def test_a_camtrap_data_package_is_valid(python: Path, state: Path, tmp_path: Path, data_dir: Path) -> None:
    package = tmp_path / "package"
    write_camtrap_dp(package, read(state, base=Path("/card"), copies=package), HIDE)
    found = judged(python, CAMTRAP, package, data_dir / "camtrap-dp-1.0.2")
    assert found["errors"] == []
    assert found["rows"] == {"deployments": 1, "media": 13, "observations": 22}
    observations = package / "observations.csv"
    observations.write_text(observations.read_text().replace(frame_id(1), "unheard-of", 1))
    media = package / "media.csv"
    media.write_text(media.read_text().replace("image/jpeg", "jpeg", 1))
    errors = judged(python, CAMTRAP, package, data_dir / "camtrap-dp-1.0.2")["errors"]
    assert any("fileMediatype" in error for error in errors)

"""What of a changed file holds at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk import EdgeClassifier, load_config
from edge_sdk.device_config.device import DeviceConfig
from edge_sdk.errors import ConfigError
from edge_sdk.service.reload import apply, changed, holds_at_once, sentences
from edge_sdk.testing import FakeRuntime, write_fake_bundle


def config(folder: Path, text: str) -> DeviceConfig:
    (folder / "edge-sdk.toml").write_text(text)
    return load_config(folder / "edge-sdk.toml", {})


def test_what_differs_is_named_by_when_it_holds(tmp_path: Path) -> None:
    old = config(tmp_path, "[budgets]\nupload = '5MB/day'\n[cloud]\nwindow = 4\n")
    assert changed(old, config(tmp_path, "[budgets]\nupload = '5MB/day'\n[cloud]\nwindow = 4\n")) == []
    new = config(tmp_path, "[budgets]\nupload = '1MB/day'\n[blur]\n[storage]\narchive = '1GB'\nspool_age_s = 60\n")
    now, later = sentences(old, new)
    assert now == "changed: budgets.upload, storage.archive"
    assert later == (
        "these changes wait for a restart: cloud.window, storage.spool_age_s, blur.classes, blur.above, blur.cells, "
        "blur.whole"
    )
    assert sentences(new, new) == ("", "")


def test_what_holds_at_once_does(tmp_path: Path) -> None:
    with EdgeClassifier(
        write_fake_bundle(tmp_path / "bundle"), runtime=FakeRuntime(), state_dir=tmp_path / "state"
    ) as edge:
        label = edge.bundle.names[0]
        text = f"[budgets]\nupload = '1MB/day'\n[bundle]\nthreshold = 0.25\n[preferences]\nnever_upload = ['{label}']\n"
        apply(edge, config(tmp_path, text))
        assert edge.threshold == 0.25
        assert edge.usage.budgets[0].budget.limit == 1_000_000
        with pytest.raises(ConfigError, match="unicorn"):
            apply(edge, config(tmp_path, "[preferences]\nnever_upload = ['unicorn']\n"))
        assert edge.threshold == 0.25


def test_settings_of_the_camera_wait() -> None:
    assert holds_at_once("preferences.weights") and holds_at_once("bundle.threshold")
    assert not holds_at_once("camera.address") and not holds_at_once("bundle.path")

"""Opening all parts, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.budget.ledger import Ledger
from edge_sdk.config import default_state_dir
from edge_sdk.errors import BundleError, StorageError
from edge_sdk.pipeline.assembly import assemble
from edge_sdk.pipeline.settings import Settings
from edge_sdk.testing import FakeRuntime, write_fake_bundle


def test_a_failure_on_the_way_leaves_nothing_open(tmp_path: Path) -> None:
    bundle = write_fake_bundle(tmp_path / "fake")
    state = tmp_path / "state"
    state.mkdir()
    with Ledger(state / "ledger.db"), pytest.raises(StorageError):  # another holds the ledger
        assemble(Settings(bundle=bundle, runtime=FakeRuntime(), state_dir=state))
    parts = assemble(Settings(bundle=bundle, runtime=FakeRuntime(), state_dir=state))
    parts.opened.close()


def test_a_bundle_for_another_runtime_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="needs a runtime of its own"):
        assemble(Settings(bundle=write_fake_bundle(tmp_path / "fake"), state_dir=tmp_path / "state"))
    assert not (tmp_path / "state").exists()


def test_each_bundle_has_a_state_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    for name in ("one", "two"):
        bundle = write_fake_bundle(tmp_path / name)
        assemble(Settings(bundle=bundle, runtime=FakeRuntime())).opened.close()
        assert (default_state_dir(name) / "ledger.db").is_file()
    assert default_state_dir("../etc").parent == default_state_dir("one").parent

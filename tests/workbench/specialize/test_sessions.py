"""The sessions of one specialisation."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.workbench.specialize.sessions import note_settings


def test_a_setting_that_changed_since_the_last_state_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    note_settings(tmp_path / "one", {"seed": "0", "pictures": "16"})
    note_settings(tmp_path / "one", {"seed": "0", "pictures": "16"})
    assert not caplog.messages
    note_settings(tmp_path / "two", {"seed": "1", "pictures": "16"})
    (said,) = caplog.messages
    assert "begins anew, since settings have changed: seed was 0, now 1." in said and str(tmp_path / "one") in said
    note_settings(tmp_path / "one", {"seed": "0", "pictures": "16"})  # the former work continues: nothing to say
    assert len(caplog.messages) == 1

"""What the tests of the formats share."""

from __future__ import annotations

from pathlib import Path

import pytest
from format_parts import fill


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder, only to be read."""
    return fill(tmp_path_factory.mktemp("device") / "state")

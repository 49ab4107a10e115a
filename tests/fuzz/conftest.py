"""One server for the tests that do not count its memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fuzz.victim import Victim, serving


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with serving(tmp_path_factory.mktemp("victim") / "log") as running:
        yield running


@pytest.fixture
def fuzz_count(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--fuzz"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A long run by option has no limit of time."""
    if int(config.getoption("--fuzz")) > 10_000:
        for item in items:
            item.add_marker(pytest.mark.timeout(0))

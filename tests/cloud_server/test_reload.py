from __future__ import annotations

import logging

import pytest

from cloud_server.reload import Part, Reload
from edge_sdk.errors import ConfigError


async def test_each_part_is_renewed_though_others_fail(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def same() -> str:
        return ""

    async def new() -> str:
        return "2 devices"

    async def bad() -> str:
        raise ConfigError("no such file")

    async def odd() -> str:
        raise KeyError("x")

    reload = Reload(lambda: [Part("map", bad), Part("rates", odd), Part("tokens", new), Part("limits", same)])
    assert not await reload()
    assert caplog.messages == [
        "the map could not be reloaded, the old one stays: no such file",
        "the rates could not be reloaded, the old one stays",
        "reloaded the tokens: 2 devices",
        "reloaded, unchanged: limits",
    ]
    caplog.clear()
    assert await Reload(list)()
    assert "nothing to reload" in caplog.text

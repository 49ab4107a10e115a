from __future__ import annotations

import asyncio

import pytest

from cloud_server.api.windows import HELD_BYTES, LATELY_S, WINDOW_BYTES, Windows
from cloud_server.model.places import Overloaded


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_places_are_spread_over_the_devices_that_send() -> None:
    now = [0.0]
    windows = Windows(32, 128, clock=lambda: now[0])
    assert windows.size == 32
    for number in range(100):
        await windows.enter(f"cam {number}", 1)
    assert windows.size == 1
    second = asyncio.create_task(windows.enter("cam 7", 1))
    await turn()
    assert not second.done()
    windows.leave("cam 8", 1)
    await turn()
    assert not second.done()  # another device's place
    windows.leave("cam 7", 1)
    await second
    now[0] += LATELY_S + 1
    assert windows.size == 32


async def test_who_waits_goes_on_in_order_and_who_leaves_gives_its_place_on() -> None:
    windows = Windows(1, 100)
    await windows.enter("cam", 1)
    first, second, third = (asyncio.create_task(windows.enter("cam", 1)) for _ in range(3))
    await turn()
    first.cancel()
    await turn()
    windows.leave("cam", 1)
    await second
    await turn()
    assert not third.done()
    windows.leave("cam", 1)
    third.cancel()  # in the moment in which it gets its place
    await asyncio.wait([third])
    await windows.enter("cam", 1)
    windows.leave("cam", 1)
    assert not windows._in_flight
    assert not windows._waiting


async def test_a_window_is_bounded_in_bytes_too() -> None:
    windows = Windows(32, 128)
    await windows.enter("cam", 2 * WINDOW_BYTES)  # one alone may be larger
    second = asyncio.create_task(windows.enter("cam", 1))
    await turn()
    assert not second.done()
    windows.leave("cam", 2 * WINDOW_BYTES)
    await second
    windows.leave("cam", 1)
    assert not windows._bytes


async def test_what_one_device_lets_wait_is_bounded() -> None:
    windows = Windows(1, 100)
    await windows.enter("cam", 1)
    waiting = [asyncio.create_task(windows.enter("cam", HELD_BYTES // 2)) for _ in range(2)]
    await turn()
    with pytest.raises(Overloaded, match="too much of this device waits"):
        await windows.enter("cam", 1)
    await windows.enter("other", HELD_BYTES)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)

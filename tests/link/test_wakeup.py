"""What the uplink's loop sleeps on."""

from __future__ import annotations

import asyncio
import threading

from edge_sdk.link.wakeup import Wakeup


async def test_another_thread_wakes_it() -> None:
    wakeup = Wakeup(asyncio.get_running_loop())
    threading.Thread(target=wakeup.wake).start()
    assert await wakeup.wait(30)
    assert not await wakeup.wait(0.001)


async def test_a_pause_outlasts_changes_but_not_the_end() -> None:
    wakeup = Wakeup(asyncio.get_running_loop())
    pause = asyncio.ensure_future(wakeup.pause(1000))
    for _ in range(3):
        wakeup.wake()
        await asyncio.sleep(0)
    assert not pause.done()
    threading.Thread(target=wakeup.end).start()
    await asyncio.wait_for(pause, 30)


def test_a_closed_loop_is_left_alone() -> None:
    loop = asyncio.new_event_loop()
    wakeup = Wakeup(loop)
    loop.close()
    wakeup.wake()
    wakeup.end()
    assert wakeup.closing

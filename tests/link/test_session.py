"""One connection: the window, time-outs, and what becomes of each word of the server."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from link_parts import Handler, item

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.config import UplinkSettings
from edge_sdk.link.dispatch import Dispatch
from edge_sdk.link.relay import Relay
from edge_sdk.link.retries import Retries
from edge_sdk.link.session import Session
from edge_sdk.link.transport import Refusal, Reply, ServerInfo
from edge_sdk.link.wakeup import Wakeup
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.store.frames import SpoolItem
from edge_sdk.store.store import Store
from edge_sdk.testing.transport import FakeTransport, first_label
from edge_sdk.types import LinkState

Script = Callable[[SpoolItem, ServerInfo], Reply | Refusal | None]


async def run(
    tmp_path: Path,
    script: Script,
    settings: UplinkSettings,
    *budgets: Budget,
    frames: int = 6,
    until: Callable[[Handler], bool] = lambda handler: False,
    now: Callable[[], float] = time.monotonic,
) -> tuple[Handler, FakeTransport, list[LinkState]]:
    """A session over a fake connection, ended when `until` holds or by itself."""
    states: list[LinkState] = []
    transport = FakeTransport(("a", "b"), script)
    with Store(tmp_path) as store, Ledger(tmp_path / "ledger.db", budgets=budgets) as ledger:
        handler, wakeup = Handler(store.spool), Wakeup(asyncio.get_running_loop())
        for _ in range(frames):
            store.spool.put(item())
        account = WireAccount(ledger)
        retries = Retries(store.spool, settings, now)
        dispatch = Dispatch(store.spool, ledger, account, transport, lambda item: True, retries)

        def tell(state: LinkState, message: str) -> None:
            states.append(state)

        async with transport.connect(Relay("127.0.0.1:9", account)) as connection:
            session = Session(connection, dispatch, handler, settings, wakeup, tell)
            running = asyncio.ensure_future(session.run())
            while not running.done() and not until(handler):
                await asyncio.wait([running], timeout=0.002)
            wakeup.end()
            assert await asyncio.wait_for(running, 30) is False
    return handler, transport, states


async def test_every_frame_is_answered_and_the_idle_session_ends_by_itself(tmp_path: Path) -> None:
    handler, transport, states = await run(tmp_path, first_label, UplinkSettings(idle_s=0.01))
    assert len(handler.replies) == len(transport.sent) == 6
    assert set(states) == {LinkState.ONLINE}


async def test_no_more_frames_are_under_way_than_the_window(tmp_path: Path) -> None:
    """The server is silent, so what was sent when the time is over is what may be under way."""
    sent: list[str] = []

    def script(item: SpoolItem, server: ServerInfo) -> None:
        sent.append(item.frame_id)

    with pytest.raises(TimeoutError):
        await run(tmp_path, script, UplinkSettings(window=2, reply_timeout_s=0.05))
    assert len(sent) == 2


async def test_a_silent_server_is_a_timeout(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match=r"no reply within 0\.05 s"):
        await run(tmp_path, lambda item, server: None, UplinkSettings(reply_timeout_s=0.05))


async def test_a_refused_frame_is_final_and_one_put_off_comes_again(tmp_path: Path) -> None:
    seen: list[str] = []

    def script(item: SpoolItem, server: ServerInfo) -> Reply | Refusal:
        seen.append(item.frame_id)
        if len(seen) == 1:
            return Refusal(item.frame_id, "never", retryable=False)
        if len(seen) == 2:
            return Refusal(item.frame_id, "later", retryable=True)
        return first_label(item, server)

    settings = UplinkSettings(window=1, backoff_s=0.001, idle_s=0.5)
    handler, _, _ = await run(
        tmp_path, script, settings, frames=3, until=lambda handler: len(handler.replies) + len(handler.refusals) == 3
    )
    assert handler.refusals == [(seen[0], "never")]
    assert seen.count(seen[1]) == 2


@pytest.mark.parametrize("tick_s", [0.0003 + k * 0.0002 for k in range(16)])
async def test_a_rest_that_ends_between_two_looks_at_the_clock_ends_no_session(tmp_path: Path, tick_s: float) -> None:
    """A clock that moves at each look, hardly else: on a busy machine any look may be the one that finds it over."""
    clock, put_off = itertools.count(), set[str]()

    def script(item: SpoolItem, server: ServerInfo) -> Reply | Refusal:
        if item.frame_id not in put_off:
            put_off.add(item.frame_id)
            return Refusal(item.frame_id, "later", retryable=True)
        return first_label(item, server)

    settings = UplinkSettings(backoff_s=0.001, max_backoff_s=0.001, idle_s=0.02)
    handler, _, states = await run(tmp_path, script, settings, frames=3, now=lambda: next(clock) * tick_s)
    assert len(handler.replies) == 3
    assert LinkState.SAVING not in states


async def test_a_budget_that_does_not_pay_ends_the_idle_session(tmp_path: Path) -> None:
    budget = Budget(2, 86_400, Resource.FRAMES)
    handler, transport, _ = await run(tmp_path, first_label, UplinkSettings(idle_s=0.01), budget)
    assert len(transport.sent) == len(handler.replies) == 2

"""Which frame leaves next, and who pays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from link_parts import item

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.config import UplinkSettings
from edge_sdk.link.dispatch import Choice, Dispatch
from edge_sdk.link.retries import Retries
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.store.spool import Spool
from edge_sdk.store.store import Store
from edge_sdk.testing import FakeTransport


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Store(tmp_path) as store:
        yield store.spool


def make(tmp_path: Path, spool: Spool, *budgets: Budget, least_gain: float = 0.0) -> tuple[Dispatch, Ledger]:
    ledger = Ledger(tmp_path / "ledger.db", budgets=budgets)
    account = WireAccount(ledger)
    dispatch = Dispatch(
        spool,
        ledger,
        account,
        FakeTransport(("a", "b")),
        lambda item: item.gain >= least_gain,
        Retries(spool, UplinkSettings()),
    )
    return dispatch, ledger


def test_the_first_frame_that_is_worth_its_price_and_not_under_way(tmp_path: Path, spool: Spool) -> None:
    dispatch, ledger = make(tmp_path, spool, least_gain=0.3)
    with ledger:
        low, middle, high = (item(gain) for gain in (0.1, 0.5, 0.9))
        for one in (low, middle, high):
            spool.put(one)
        assert (first := dispatch.choose().item) is not None
        assert first.frame_id == high.frame_id
        assert (second := dispatch.choose({high.frame_id}).item) is not None
        assert second.frame_id == middle.frame_id
        assert dispatch.choose({high.frame_id, middle.frame_id}) == Choice(None, None, dear=True)


def test_a_frame_that_is_sent_again_is_charged_once_as_a_frame(tmp_path: Path, spool: Spool) -> None:
    frames, cloud = Budget(2, 60, Resource.FRAMES), Budget(5000, 60, Resource.CLOUD)
    dispatch, ledger = make(tmp_path, spool, frames, cloud)
    with ledger:
        one, two, three = item(), item(), item()
        assert dispatch.pay(one, 1000) is None
        assert dispatch.pay(one, 1000) is None
        assert dispatch.pay(two, 1000) is None
        assert (hold := dispatch.pay(three, 1000)) is not None
        assert hold.resource is Resource.FRAMES
        assert 0 < hold.wait_s < 62
        assert ledger.snapshot().spent(Resource.CLOUD) == 2000
        dispatch.settled(one.frame_id)
        assert dispatch.pay(one, 1000) is not None  # it would be a new frame now


def test_a_budget_that_can_never_pay_says_so(tmp_path: Path, spool: Spool) -> None:
    dispatch, ledger = make(tmp_path, spool, Budget(100, 60))
    with ledger:
        hold = dispatch.hold_opening(item())
        assert hold is not None
        assert hold.wait_s == float("inf")
        assert hold.sentence() == "one frame costs more than the whole upload budget"

"""One resource's account: windows and lease."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.budget.account import LEASE_NS, MINUTE_NS, Account
from edge_sdk.budget.limits import Budget, Resource

HOUR = Budget(1000, 3600)
MINUTE = Budget(100, 60)


def test_a_charge_must_fit_every_budget_of_its_resource_alone() -> None:
    account = Account(Resource.UPLOAD, [HOUR, MINUTE, Budget(1, 60, Resource.FRAMES)])
    assert len(account.windows) == 2
    assert account.fits(100, 0)
    assert not account.fits(101, 0)
    account.charge(100, 0)
    assert not account.fits(1, 0)
    assert account.wait_ns(1, 0) is not None
    assert account.wait_ns(101, 0) is None


def test_a_resource_without_a_budget_needs_no_lease() -> None:
    account = Account(Resource.CLOUD, [HOUR])
    assert account.fits(10**15, 0)
    assert account.leased(10**15, 0)
    assert account.wait_ns(10**15, 0) == 0


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_a_lease_covers_what_asks_and_ends_in_time(asked: int, spent: int) -> None:
    account = Account(Resource.UPLOAD, [HOUR])
    account.lease, account.lease_until_ns = account.lease_for(asked), LEASE_NS
    assert account.lease >= asked
    assert account.leased(asked, 0)
    assert not account.leased(asked, LEASE_NS)
    account.charge(spent, 0)
    assert account.lease == max(0, account.lease_for(asked) - spent)


def test_charges_wait_for_the_file_by_the_minute() -> None:
    account = Account(Resource.UPLOAD, [HOUR])
    for now_ns in (0, 1, MINUTE_NS):
        account.charge(5, now_ns)
    assert account.unwritten == {0: 10, 1: 5}

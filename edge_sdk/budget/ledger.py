"""The ledger: the account of bytes, compute and energy against their budgets, kept across restarts and power cuts.

The promise: in every window of a budget's period, wherever it begins, the sum of what was charged is at most the
limit. It holds through a kill at any moment, because a charge is on the disk before `try_spend` returns True. Not
every charge costs a disk sync: the ledger first makes a *lease* durable (a right to spend some more within the next
seconds), and charges within the lease are memory's business. After a crash the unspent rest of the lease counts as
spent; a clean `close` gives it back. Time is `ElapsedClock`'s, so a wall clock that is changed frees nothing.
"""

from __future__ import annotations

import logging
import math
import operator
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from edge_sdk.budget import ledger_file
from edge_sdk.budget.account import LEASE_NS, Account
from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.budget.usage import COUNTERS, BudgetState, Usage
from edge_sdk.durable.ballast import Ballast
from edge_sdk.durable.clock import ClockMark, ElapsedClock, current_boot_id, steady_s
from edge_sdk.durable.database import Database
from edge_sdk.durable.forks import Owner, OwnLock
from edge_sdk.errors import StorageError

_log = logging.getLogger(__name__)

_FLUSH_NS = 10_000_000_000
_FAULT_WAIT_S = 1.0


class Ledger:
    """The running account of one device. Threads may share it; two processes may not.

    Args:
        path: the SQLite file, created if missing. A damaged one is set aside as `NAME.damaged-TIME`, and the ledger
            begins with its windows fully spent, because what was spent is not known: it charges nothing for one period.
            To begin afresh, delete the file and the damaged ones.
        budgets: any number, for any resource; a charge must fit them all. A resource without one is not limited.
        big_macs: MACs of the big model for one frame until a reply tells them, for the comparison in the snapshot.
        clock: wall time in seconds since 1970; used only to tell how long the device was off.
        steady: seconds that never run backwards while the machine is up.
        boot_id: names the time the machine is up; None asks the system.
        ballast: room for opening it on a full disk.
        repeats_s: longest time until the counts of frames that repeat the one before are written, seconds.

    A budget that differs from the last run's is applied to the history that there is, 31 days at most. The history of a
    resource without a budget is kept too, but its last seconds are lost in a crash.

    Raises:
        StorageError: the file cannot be opened, or another process holds it.
    """

    def __init__(
        self,
        path: Path,
        *,
        budgets: Iterable[Budget] = (),
        big_macs: int = 0,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_s,
        boot_id: str | None = None,
        ballast: Ballast | None = None,
        repeats_s: float = 900.0,
    ) -> None:
        self._path, self._repeats_ns = path, max(_FLUSH_NS, int(repeats_s * 1e9))
        self._budgets = tuple(budgets)
        self._notes: dict[str, bytes] = {}
        self._big_macs = big_macs
        self._wall = clock
        self._steady = steady
        self._boot_id = current_boot_id() if boot_id is None else boot_id
        self._owner = Owner("the ledger")
        self._lock = OwnLock(threading.RLock(), "the ledger")
        self._closed = False
        self._fault: str | None = None
        self._counters = dict.fromkeys(COUNTERS, 0)
        self._accounts, self._clock = self._new_accounts(), self._new_clock(None)
        self._database = Database(
            path,
            schema=ledger_file.SCHEMA,
            version=2,
            exclusive=True,
            fill=self._fill,
            read=self._take_over,
            ballast=ballast,
        )
        self._fault = self._database.fault
        self._commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def fault(self) -> str | None:
        """Why nothing can be charged now, such as a full disk. None: no fault. Each charge tries again."""
        return self._fault

    def try_spend(self, **amounts: int) -> bool:
        """Charge all of `amounts` durably, or nothing: `try_spend(upload=1200, frames=1)`.

        Args:
            amounts: whole numbers of at least 0 in the resource's unit, keyed by the value of a `Resource`.

        Returns:
            False if a budget does not allow it now, or the charge cannot be made durable (`fault`).

        Raises:
            ValueError: an amount is negative, or a name no resource's.
        """
        charges = [(self._account(name), _amount(value)) for name, value in amounts.items()]
        with self._lock:
            now_ns = self._clock.now_ns()
            if not all(account.fits(amount, now_ns) for account, amount in charges):
                return False
            short = [(account, amount) for account, amount in charges if not account.leased(amount, now_ns)]
            if short and not self._extend(short):
                return False
            self._charge(charges, now_ns)
            return True

    def charge(self, **amounts: int) -> None:
        """Charge what was already spent, whether it fits or not.

        Args:
            amounts: as in `try_spend`.
        """
        charges = [(self._account(name), _amount(value)) for name, value in amounts.items()]
        with self._lock:
            now_ns = self._clock.now_ns()
            durable = all(account.leased(amount, now_ns) for account, amount in charges)
            self._charge(charges, now_ns)
            if not durable:
                self._commit()

    def wait_s(self, **amounts: int) -> float:
        """Seconds until all of `amounts` fit if nothing else is spent. 0: now; infinity: one is above its limit."""
        with self._lock:
            now_ns = self._clock.now_ns()
            waits = [self._account(name).wait_ns(_amount(value), now_ns) for name, value in amounts.items()]
            if any(wait is None for wait in waits):
                return math.inf
            return max([wait / 1e9 for wait in waits if wait is not None] + [_FAULT_WAIT_S if self._fault else 0.0])

    def limit(self, resource: Resource) -> int | None:
        """The lowest limit on `resource`; None: it has no budget."""
        return min((budget.limit for budget in self._budgets if budget.resource is resource), default=None)

    def elapsed_s(self) -> float:
        """Seconds on the ledger's clock, which continues across restarts and never runs backwards."""
        return self._clock.now_ns() / 1e9

    def remember(self, name: str, content: bytes) -> None:
        """Store a small `content` under `name`; it is written with the counters."""
        with self._lock:
            self._notes[name] = content

    def recall(self, name: str) -> bytes | None:
        """The content stored under `name` by this or an earlier run; None: there is none."""
        with self._lock:
            return self._notes.get(name)

    def count_frame(self, *, exited: bool, macs: int, offloaded: bool = False, repeats: bool = False) -> None:
        """Count a frame that the little model saw, and the `macs` it took.

        Args:
            exited: the device is sure, or the cloud's answer would not be worth its price.
            macs: of the little model.
            offloaded: the frame was handed to the spool.
            repeats: it says what the one before said: that it was counted may wait longer (`repeats_s`).
        """
        wait_ns = self._repeats_ns if repeats else _FLUSH_NS
        self._count(wait_ns, frames=1, exits=int(exited), offloads=int(offloaded), macs_little=macs)

    def count_event(self, *, exits: int = 0, offloaded: bool = False, audited: bool = False) -> None:
        """Count an event that was decided.

        Args:
            exits: its frames of which the device's answer is final, where they were counted as frames alone.
            offloaded: one of its frames was handed to the spool for it.
            audited: that was to measure accuracy: the device's answer stands.
        """
        opened = offloaded and not audited
        self._count(events=1, exits=exits, offloads=int(offloaded), events_offloaded=int(opened))

    def count_exits(self, frames: int) -> None:
        """Count frames that joined an event after it was decided: the device's answers are final."""
        self._count(exits=frames)

    def count_skipped(self) -> None:
        """Count a frame that was skipped because the compute budget was spent."""
        self._count(skipped_compute=1)

    def count_answer(self, *, macs: int, received_bytes: int, big_macs: int = 0) -> None:
        """Count a cloud answer.

        Args:
            macs: that it took; 0 for a reply from the server's cache.
            received_bytes: of its reply.
            big_macs: of the server's model for one frame, from now on; 0: as before.
        """
        self._big_macs = big_macs or self._big_macs
        self._count(answers_cloud=1, macs_big=macs, bytes_received=received_bytes)

    @property
    def big_macs(self) -> int:
        """MACs of the big model for one frame; 0: not known."""
        return self._big_macs

    def snapshot(self) -> Usage:
        """Counters and budgets at this moment."""
        with self._lock:
            return Usage(**self._counters, big_macs=self._big_macs, budgets=self.states())

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """All budgets."""
        return self._budgets

    def set_budgets(self, budgets: Iterable[Budget]) -> None:
        """Replace all budgets. What was spent keeps counting: it is in the file, a minute at a time.

        Args:
            budgets: those that hold from now on.

        Raises:
            StorageError: the charges so far cannot be written (`fault`); then the old budgets go on.
        """
        with self._lock:
            leases = {account: account.lease for account in self._accounts.values()}
            for account in leases:
                account.lease = 0
            if not self._commit():
                for account, lease in leases.items():
                    account.lease = lease
                raise StorageError(f"the budgets stay as they were: {self._fault}")
            self._budgets = tuple(budgets)
            accounts, now_ns = self._new_accounts(), self._clock.now_ns()
            for account in accounts.values():
                ledger_file.restore(self._database.connection, account, now_ns)
            self._accounts = accounts

    def states(self) -> tuple[BudgetState, ...]:
        """All budgets and what is spent of them now."""
        with self._lock:
            now_ns = self._clock.now_ns()
            return tuple(
                BudgetState(window.budget, window.spent(now_ns))
                for account in self._accounts.values()
                for window in account.windows
            )

    def flush(self) -> bool:
        """Write everything now; counters are otherwise written after ten seconds. False: it failed, see `fault`."""
        with self._lock:
            return self._commit()

    def close(self) -> None:
        """Write everything, give unspent leases back, and release the file. A second call does nothing."""
        if not self._owner.is_here:  # a forked child: it is the parent's
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for account in self._accounts.values():
                account.lease = 0
            if not self._commit() and self._fault is None:  # the file is there again
                self._commit()
            self._database.close()

    def _new_accounts(self) -> dict[Resource, Account]:
        return {resource: Account(resource, self._budgets) for resource in Resource}

    def _new_clock(self, mark: ClockMark | None) -> ElapsedClock:
        return ElapsedClock(mark, wall=self._wall, steady=self._steady, boot_id=self._boot_id)

    def _take_over(self, connection: sqlite3.Connection) -> None:
        """Read the state from a newly opened file."""
        mark, stored, notes = ledger_file.read(connection)
        self._accounts, self._clock = self._new_accounts(), self._new_clock(mark)
        now_ns = self._clock.now_ns()
        for account in self._accounts.values():
            ledger_file.restore(connection, account, now_ns)
        self._notes = {**notes, **self._notes}
        self._counters = {name: max(stored.get(name, 0), count) for name, count in self._counters.items()}

    def _fill(self, connection: sqlite3.Connection, damaged: Path | None) -> None:
        """Mark all budgets as spent in a new file that replaces a damaged one."""
        if damaged is not None:
            ledger_file.fill_spent(connection, self._budgets)
            _log.warning("%s was damaged: its budgets count as spent for one period", self._path)

    def _account(self, name: str) -> Account:
        return self._accounts[Resource(name)]

    def _charge(self, charges: list[tuple[Account, int]], now_ns: int) -> None:
        for account, amount in charges:
            account.charge(amount, now_ns)
            if account.resource is Resource.UPLOAD:
                self._counters["bytes_sent"] += amount

    def _extend(self, charges: list[tuple[Account, int]]) -> bool:
        """Make leases that cover `charges` durable."""
        before = [(account, account.lease, account.lease_until_ns) for account, _ in charges]
        until_ns = self._clock.now_ns() + LEASE_NS
        for account, amount in charges:
            account.lease, account.lease_until_ns = account.lease_for(amount), until_ns
        if not self._commit():
            for account, lease, lease_until_ns in before:
                account.lease, account.lease_until_ns = lease, lease_until_ns
            return False
        return True

    def _count(self, wait_ns: int = _FLUSH_NS, **amounts: int) -> None:
        with self._lock:
            for name, amount in amounts.items():
                self._counters[name] += operator.index(amount)
            if self._clock.now_ns() - self._committed_ns >= wait_ns:
                self._commit()

    def _commit(self) -> bool:
        """Write charges, leases, counters and the clock in one transaction; False and `fault` if it failed."""
        mark = self._clock.mark()
        self._committed_ns = mark.elapsed_ns
        if not self._database.is_open:  # what it says comes first: the caller tries again
            self._fault = None if self._database.reopen() else self._database.fault
            return False
        try:
            with self._database.transaction() as connection:
                ledger_file.write(connection, self._accounts.values(), self._counters, self._notes, mark)
        except (sqlite3.Error, StorageError):
            self._fault = self._database.fault or "the file was damaged"
            return False
        for account in self._accounts.values():
            account.unwritten.clear()
        self._fault = None
        return True


def _amount(value: int) -> int:
    amount = operator.index(value)  # a numpy integer cannot be stored
    if amount < 0:
        raise ValueError(f"expected an amount of at least 0; got {amount}")
    return amount

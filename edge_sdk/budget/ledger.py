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

from edge_sdk.budget.limits import MAX_PERIOD_S, Budget, Resource
from edge_sdk.budget.usage import COUNTERS, BudgetState, Usage
from edge_sdk.budget.window import SlidingWindow
from edge_sdk.durable.ballast import Ballast
from edge_sdk.durable.clock import ClockMark, ElapsedClock, current_boot_id, steady_s
from edge_sdk.durable.copies import copies, set_aside
from edge_sdk.durable.database import is_damage, open_database, transaction
from edge_sdk.errors import StorageError

_log = logging.getLogger(__name__)

_TABLE = "CREATE TABLE IF NOT EXISTS"
_SCHEMA = (
    # A minute's charges count as made at its last moment, or at the moment of reading if that is earlier.
    f"{_TABLE} spent (resource TEXT, minute INTEGER, amount INTEGER NOT NULL, PRIMARY KEY (resource, minute)) "
    "WITHOUT ROWID",
    f"{_TABLE} lease (resource TEXT PRIMARY KEY, amount INTEGER NOT NULL, until_ns INTEGER NOT NULL) WITHOUT ROWID",
    f"{_TABLE} clock (elapsed_ns INTEGER NOT NULL, wall_s REAL NOT NULL, steady_s REAL NOT NULL, boot_id TEXT)",
    f"{_TABLE} counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    f"{_TABLE} note (name TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID",
)
_MINUTE_NS = 60_000_000_000
_HISTORY_MINUTES = int(MAX_PERIOD_S // 60) + 2
_LEASE_NS = 15_000_000_000
_FLUSH_NS = 10_000_000_000
_SMALL_LEASE = 65_536
_FAULT_WAIT_S = 1.0


class _Account:
    """One resource: a window for each of its budgets, its lease, and the charges that are not yet in the file."""

    def __init__(self, resource: Resource, budgets: Iterable[Budget]) -> None:
        self.resource = resource
        self.windows = [SlidingWindow(budget) for budget in budgets if budget.resource is resource]
        self.lease = 0
        self.lease_until_ns = 0
        self.unwritten: dict[int, int] = {}  # minute: amount

    def fits(self, amount: int, now_ns: int) -> bool:
        return all(window.fits(amount, now_ns) for window in self.windows)

    def wait_ns(self, amount: int, now_ns: int) -> int | None:
        waits = [window.wait_ns(amount, now_ns) for window in self.windows]
        return None if None in waits else max((wait for wait in waits if wait is not None), default=0)

    def charge(self, amount: int, now_ns: int) -> None:
        """Count `amount`, within the lease or not."""
        if self.windows:
            self.lease = max(0, self.lease - amount)
        for window in self.windows:
            window.charge(amount, now_ns)
        minute = now_ns // _MINUTE_NS
        self.unwritten[minute] = self.unwritten.get(minute, 0) + amount

    def leased(self, amount: int, now_ns: int) -> bool:
        """Whether `amount` is within what the file says may be spent."""
        return not self.windows or (amount <= self.lease and now_ns < self.lease_until_ns)

    def lease_for(self, amount: int) -> int:
        """How much to lease so that `amount` fits: little beside the limits, enough for some seconds."""
        return max(amount, min(map(_lease, self.windows), default=0))


def _lease(window: SlidingWindow) -> int:
    return max(min(_SMALL_LEASE, window.limit // 20), window.limit // 200, window.limit * _LEASE_NS // window.period_ns)


class Ledger:
    """The running account of one device. Threads may share it; two processes may not.

    Args:
        path: the SQLite file, created if missing. A damaged one is set aside as `NAME.damaged-TIME`, and the ledger
            begins with its windows fully spent, because what was spent is not known: it charges nothing for one period.
            To begin afresh, delete the file and the damaged ones.
        budgets: any number, for any resource; a charge must fit them all. A resource without one is not limited.
        big_macs: MACs of the big model for one frame, for the comparison in the snapshot; may be set later.
        clock: wall time in seconds since 1970; used only to tell how long the device was off.
        steady: seconds that never run backwards while the machine is up.
        boot_id: names the time the machine is up; None asks the system.
        reserve: room for opening it on a full disk.

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
        reserve: Ballast | None = None,
    ) -> None:
        self._path = path
        self._reserve = reserve
        self._budgets = tuple(budgets)
        self._notes: dict[str, bytes] = {}
        self.big_macs = big_macs
        self._wall = clock
        self._steady = steady
        self._boot_id = current_boot_id() if boot_id is None else boot_id
        self._lock = threading.RLock()
        self._closed = False
        self._fault: str | None = None
        self._aside = False  # the damaged file was set aside, and a fresh one could not yet be begun
        self._counters = dict.fromkeys(COUNTERS, 0)
        self._accounts: dict[Resource, _Account] = {}
        self._clock = ElapsedClock(wall=clock, steady=steady)  # until the file tells where to go on
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def fault(self) -> str | None:
        """Why nothing can be charged at present (a full disk), or None; it is tried again with each charge."""
        return self._fault

    def try_spend(self, **amounts: int) -> bool:
        """Charge all of `amounts`, durably, or none and return False: `try_spend(upload=1200, frames=1)`.

        Args:
            amounts: by the name of a `Resource`, in its unit, at least 0.

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
        """Charge what was spent already, whether it fits or not: a correction after the fact.

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
        """Seconds until all of `amounts` would fit if nothing else is spent: 0 if now, infinity if above a limit."""
        with self._lock:
            now_ns = self._clock.now_ns()
            waits = [self._account(name).wait_ns(_amount(value), now_ns) for name, value in amounts.items()]
            if any(wait is None for wait in waits):
                return math.inf
            return max([wait / 1e9 for wait in waits if wait is not None] + [_FAULT_WAIT_S if self._fault else 0.0])

    def limit(self, resource: Resource) -> int | None:
        """The lowest limit on `resource`, None if it is not limited."""
        return min((budget.limit for budget in self._budgets if budget.resource is resource), default=None)

    def elapsed_s(self) -> float:
        """Seconds on the ledger's clock, which goes on over restarts and never runs backwards."""
        return self._clock.now_ns() / 1e9

    def remember(self, name: str, content: bytes) -> None:
        """Keep a small state under `name`; it is written with the counters."""
        with self._lock:
            self._notes[name] = content

    def recall(self, name: str) -> bytes | None:
        """What was kept under `name`, by this run or an earlier one."""
        with self._lock:
            return self._notes.get(name)

    def count_frame(self, *, exited: bool, macs: int) -> None:
        """Count a frame that the little model saw, the `macs` it took, and whether the device's answer is final."""
        self._count(frames=1, exits=int(exited), macs_little=macs)

    def count_skipped(self) -> None:
        """Count a frame that the compute budget did not pay for."""
        self._count(skipped_compute=1)

    def count_offload(self) -> None:
        """Count a frame that was handed to the spool."""
        self._count(offloads=1)

    def count_answer(self, *, macs: int, received_bytes: int) -> None:
        """Count an answer from the cloud: the MACs it took there and the bytes it came in."""
        self._count(answers_cloud=1, macs_big=macs, bytes_received=received_bytes)

    def snapshot(self) -> Usage:
        """The account now."""
        with self._lock:
            return Usage(**self._counters, big_macs=self.big_macs, budgets=self.states())

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
            accounts = {resource: _Account(resource, self._budgets) for resource in Resource}
            now_ns = self._clock.now_ns()
            for account in accounts.values():
                self._restore(account, now_ns)
            self._accounts = accounts

    def states(self) -> tuple[BudgetState, ...]:
        """Every budget, and what counts against it now."""
        with self._lock:
            now_ns = self._clock.now_ns()
            return tuple(
                BudgetState(window.budget, window.spent(now_ns))
                for account in self._accounts.values()
                for window in account.windows
            )

    def flush(self) -> bool:
        """Write the counters too; they are otherwise written every ten seconds. False if that failed (`fault`)."""
        with self._lock:
            return self._commit()

    def close(self) -> None:
        """Write everything, give unspent leases back, and release the file. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for account in self._accounts.values():
                account.lease = 0
            self._commit()
            self._connection.close()

    def _open(self) -> None:
        """Open the file and take over what it says; one that proves damaged is set aside, and counts as spent."""
        open_database(
            self._path,
            schema=_SCHEMA,
            version=2,
            exclusive=True,
            fill=self._fill,
            read=self._take_over,
            checks_log=True,
            reserve=self._reserve,
        )

    def _take_over(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._accounts = {resource: _Account(resource, self._budgets) for resource in Resource}
        row = self._connection.execute("SELECT elapsed_ns, wall_s, steady_s, boot_id FROM clock").fetchone()
        mark = ClockMark(*row) if row is not None else None
        self._clock = ElapsedClock(mark, wall=self._wall, steady=self._steady, boot_id=self._boot_id)
        now_ns = self._clock.now_ns()
        for account in self._accounts.values():
            self._restore(account, now_ns)
        stored = dict(self._connection.execute("SELECT name, value FROM counter"))
        notes = dict(self._connection.execute("SELECT name, content FROM note"))
        self._notes = {**notes, **self._notes}
        self._counters = {name: max(stored.get(name, 0), count) for name, count in self._counters.items()}
        self._commit()

    def _fill(self, connection: sqlite3.Connection) -> None:
        """A fresh file beside a damaged one begins fully spent."""
        if copies(self._path):
            most: dict[Resource, int] = {}
            for budget in self._budgets:
                most[budget.resource] = max(most.get(budget.resource, 0), budget.limit)
            connection.executemany("INSERT INTO spent VALUES (?, 0, ?)", list(most.items()))
            _log.warning("%s was damaged: its budgets count as spent for one period", self._path)

    def _restore(self, account: _Account, now_ns: int) -> None:
        """Fill the account's window from the file; the rest of a lease that was not given back counts as spent."""
        lease = self._connection.execute(
            "SELECT amount, until_ns FROM lease WHERE resource = ?", (account.resource,)
        ).fetchone()
        if lease is not None and lease[0] > 0:
            account.unwritten[min(lease[1], now_ns) // _MINUTE_NS] = lease[0]
        if not account.windows:
            return
        first = (now_ns - max(window.period_ns for window in account.windows)) // _MINUTE_NS - 1
        rows = self._connection.execute(
            "SELECT minute, amount FROM spent WHERE resource = ? AND minute >= ? ORDER BY minute",
            (account.resource, first),
        ).fetchall()
        for minute, amount in sorted(rows + list(account.unwritten.items())):
            for window in account.windows:
                window.charge(amount, min((minute + 1) * _MINUTE_NS - 1, now_ns))

    def _account(self, name: str) -> _Account:
        return self._accounts[Resource(name)]

    def _charge(self, charges: list[tuple[_Account, int]], now_ns: int) -> None:
        for account, amount in charges:
            account.charge(amount, now_ns)
            if account.resource is Resource.UPLOAD:
                self._counters["bytes_sent"] += amount

    def _extend(self, charges: list[tuple[_Account, int]]) -> bool:
        """Make leases that cover `charges` durable."""
        before = [(account, account.lease, account.lease_until_ns) for account, _ in charges]
        until_ns = self._clock.now_ns() + _LEASE_NS
        for account, amount in charges:
            account.lease, account.lease_until_ns = account.lease_for(amount), until_ns
        if not self._commit():
            for account, lease, lease_until_ns in before:
                account.lease, account.lease_until_ns = lease, lease_until_ns
            return False
        return True

    def _count(self, **amounts: int) -> None:
        with self._lock:
            for name, amount in amounts.items():
                self._counters[name] += operator.index(amount)
            if self._clock.now_ns() - self._committed_ns >= _FLUSH_NS:
                self._commit()

    def _commit(self) -> bool:
        """Write charges, leases, counters and the clock in one transaction; False and `fault` if it failed."""
        mark = self._clock.mark()
        self._committed_ns = mark.elapsed_ns
        connection = self._connection
        try:
            with transaction(connection):
                for account in self._accounts.values():
                    connection.executemany(
                        "INSERT INTO spent VALUES (?, ?, ?) "
                        "ON CONFLICT (resource, minute) DO UPDATE SET amount = amount + excluded.amount",
                        [(account.resource, minute, amount) for minute, amount in account.unwritten.items()],
                    )
                    connection.execute(
                        "DELETE FROM spent WHERE resource = ? AND minute < ?",
                        (account.resource, mark.elapsed_ns // _MINUTE_NS - _HISTORY_MINUTES),
                    )
                    connection.execute(
                        "INSERT OR REPLACE INTO lease VALUES (?, ?, ?)",
                        (account.resource, account.lease, account.lease_until_ns),
                    )
                connection.executemany("INSERT OR REPLACE INTO counter VALUES (?, ?)", self._counters.items())
                connection.executemany("INSERT OR REPLACE INTO note VALUES (?, ?)", self._notes.items())
                connection.execute("DELETE FROM clock")
                connection.execute(
                    "INSERT INTO clock VALUES (?, ?, ?, ?)", (mark.elapsed_ns, mark.wall_s, mark.steady_s, mark.boot_id)
                )
        except sqlite3.Error as error:
            if self._fault is None:
                _log.error("cannot write %s: %s", self._path, error)
            self._fault = f"cannot write {self._path}: {error}"
            if is_damage(error):
                connection.close()
                set_aside(self._path)
                self._aside = True
            if self._aside:
                self._begin_anew()
            return False
        for account in self._accounts.values():
            account.unwritten.clear()
        self._fault = None
        return True

    def _begin_anew(self) -> None:
        self._aside = False
        try:
            self._open()
        except StorageError as error:
            self._aside = True
            self._fault = str(error)


def _amount(value: int) -> int:
    amount = operator.index(value)  # a numpy integer cannot be stored
    if amount < 0:
        raise ValueError(f"expected an amount of at least 0; got {amount}")
    return amount

"""The ledger: the running account of bytes and MACs against their budgets, kept across restarts and power cuts.

The promise: in every window of a budget's period, wherever it begins, the sum of what was charged is at most the
limit. It holds through a kill at any moment, because a charge is on the disk before `try_spend_*` returns True. Not
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
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from edge_sdk.budget import MAX_PERIOD_S, Budget
from edge_sdk.clock import ClockMark, ElapsedClock, current_boot_id, steady_s
from edge_sdk.database import is_damage, open_database, set_aside, transaction
from edge_sdk.window import SlidingWindow

_log = logging.getLogger(__name__)

_SCHEMA = (
    # A minute's charges count as made at its last moment, or at the moment of reading if that is earlier.
    "CREATE TABLE spent (resource TEXT, minute INTEGER, amount INTEGER NOT NULL, PRIMARY KEY (resource, minute)) "
    "WITHOUT ROWID",
    "CREATE TABLE lease (resource TEXT PRIMARY KEY, amount INTEGER NOT NULL, until_ns INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE clock (elapsed_ns INTEGER NOT NULL, wall_s REAL NOT NULL, steady_s REAL NOT NULL, boot_id TEXT)",
    "CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
)
_MINUTE_NS = 60_000_000_000
_HISTORY_MINUTES = int(MAX_PERIOD_S // 60) + 2
_LEASE_NS = 15_000_000_000
_FLUSH_NS = 10_000_000_000
_SMALL_LEASE = 65_536
_FAULT_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """The account at one moment. All but the `*_in_period` values count from the ledger's first day.

    Attributes:
        frames: frames that the little model saw.
        exits: frames of these that the device answered for good.
        offloads: frames of these that were handed to the spool.
        answers_cloud: answers that came from the cloud.
        skipped_compute: frames that the compute budget did not pay for (not among `frames`).
        bytes_sent: bytes charged, sent to the cloud.
        bytes_received: bytes that came from the cloud.
        macs_little: MACs run on the device.
        macs_big: MACs run in the cloud.
        big_macs: MACs of the big model for one frame.
        upload_spent_in_period: bytes that count against the upload budget now.
        upload_limit: the upload budget's limit in bytes, None if unlimited.
        upload_period_s: its period in seconds, None if unlimited.
        compute_spent_in_period: MACs that count against the compute budget now.
        compute_limit: the compute budget's limit in MACs, None if unlimited.
        compute_period_s: its period in seconds, None if unlimited.
    """

    frames: int = 0
    exits: int = 0
    offloads: int = 0
    answers_cloud: int = 0
    skipped_compute: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    macs_little: int = 0
    macs_big: int = 0
    big_macs: int = 0
    upload_spent_in_period: int = 0
    upload_limit: int | None = None
    upload_period_s: float | None = None
    compute_spent_in_period: int = 0
    compute_limit: int | None = None
    compute_period_s: float | None = None

    @property
    def exit_ratio(self) -> float:
        """Exits / frames, in [0, 1]; 0 before the first frame."""
        return self.exits / self.frames if self.frames else 0.0

    @property
    def macs_total(self) -> int:
        """MACs of both models."""
        return self.macs_little + self.macs_big

    @property
    def macs_all_big(self) -> int:
        """MACs if every frame had gone to the big model."""
        return self.frames * self.big_macs

    def since(self, earlier: LedgerSnapshot) -> LedgerSnapshot:
        """The same, with the counters since `earlier` instead of since the first day: one run's share."""
        return replace(self, **{name: getattr(self, name) - getattr(earlier, name) for name in _COUNTERS})


_COUNTERS = (
    "frames",
    "exits",
    "offloads",
    "answers_cloud",
    "skipped_compute",
    "bytes_sent",
    "bytes_received",
    "macs_little",
    "macs_big",
)


class _Account:
    """One resource: its window, its lease, and the charges that are not yet in the file."""

    def __init__(self, resource: str, budget: Budget | None) -> None:
        self.resource = resource
        self.budget = budget
        self.window = SlidingWindow(budget) if budget is not None else None
        self.lease = 0
        self.lease_until_ns = 0
        self.unwritten: dict[int, int] = {}  # minute: amount

    def lease_for(self, amount: int) -> int:
        """How much to lease so that `amount` fits: little beside the limit, enough for some seconds."""
        if self.budget is None:
            return 0
        limit = self.budget.limit
        by_rate = int(limit * _LEASE_NS / 1e9 / self.budget.period_s)
        return max(amount, min(_SMALL_LEASE, limit // 20), limit // 200, by_rate)


class Ledger:
    """The running account of one device. Threads may share it; two processes may not.

    Args:
        path: the SQLite file, created if missing. A damaged one is set aside as `NAME.damaged-TIME`, and the ledger
            begins with its windows fully spent, because what was spent is not known: it charges nothing for one period.
            To begin afresh, delete the file and the damaged ones.
        upload: limit on bytes sent; None: unlimited.
        compute: limit on MACs run on the device; None: unlimited.
        big_macs: MACs of the big model for one frame, for the comparison in the snapshot; may be set later.
        clock: wall time in seconds since 1970; used only to tell how long the device was off.
        steady: seconds that never run backwards while the machine is up.
        boot_id: names the time the machine is up; None asks the system.

    A budget that differs from the last run's is applied to the history that there is, 31 days at most. The history of a
    resource without a budget is kept too, but its last seconds are lost in a crash.

    Raises:
        StorageError: the file cannot be opened, or another process holds it.
    """

    def __init__(
        self,
        path: Path,
        *,
        upload: Budget | None = None,
        compute: Budget | None = None,
        big_macs: int = 0,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_s,
        boot_id: str | None = None,
    ) -> None:
        self._path = path
        self._budgets = {"upload": upload, "compute": compute}
        self.big_macs = big_macs
        self._wall = clock
        self._steady = steady
        self._boot_id = current_boot_id() if boot_id is None else boot_id
        self._lock = threading.RLock()
        self._closed = False
        self._fault: str | None = None
        self._counters = dict.fromkeys(_COUNTERS, 0)
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def fault(self) -> str | None:
        """Why nothing can be charged at present (a full disk), or None; it is tried again with each charge."""
        return self._fault

    def try_spend_upload(self, n_bytes: int) -> bool:
        """Charge `n_bytes` against the upload budget, durably, or charge nothing and return False.

        False means that the budget does not allow it now, or that the charge cannot be made durable (`fault`).
        """
        return self._try_spend(self._upload, n_bytes, "bytes_sent")

    def try_spend_compute(self, macs: int) -> bool:
        """Charge `macs` against the compute budget, durably, or charge nothing and return False, as above."""
        return self._try_spend(self._compute, macs, None)

    def upload_wait_s(self, n_bytes: int) -> float:
        """Seconds until `n_bytes` would fit if nothing else is sent: 0 if now, infinity if above the limit."""
        return self._wait_s(self._upload, n_bytes)

    def compute_wait_s(self, macs: int) -> float:
        """Seconds until `macs` would fit if nothing else is run: 0 if now, infinity if above the limit."""
        return self._wait_s(self._compute, macs)

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

    def snapshot(self) -> LedgerSnapshot:
        """The account now."""
        with self._lock:
            now_ns = self._clock.now_ns()
            upload, compute = self._budgets["upload"], self._budgets["compute"]
            return LedgerSnapshot(
                **self._counters,
                big_macs=self.big_macs,
                upload_spent_in_period=self._upload.window.spent(now_ns) if self._upload.window else 0,
                upload_limit=upload.limit if upload else None,
                upload_period_s=upload.period_s if upload else None,
                compute_spent_in_period=self._compute.window.spent(now_ns) if self._compute.window else 0,
                compute_limit=compute.limit if compute else None,
                compute_period_s=compute.period_s if compute else None,
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
            for account in self._accounts:
                account.lease = 0
            self._commit()
            self._connection.close()

    def _open(self) -> None:
        """Open the file and take over what it says."""
        self._upload = _Account("upload", self._budgets["upload"])
        self._compute = _Account("compute", self._budgets["compute"])
        self._accounts = (self._upload, self._compute)
        self._connection = open_database(
            self._path, schema=_SCHEMA, version=1, exclusive=True, fill=self._fill, checks_log=True
        )
        row = self._connection.execute("SELECT elapsed_ns, wall_s, steady_s, boot_id FROM clock").fetchone()
        mark = ClockMark(*row) if row is not None else None
        self._clock = ElapsedClock(mark, wall=self._wall, steady=self._steady, boot_id=self._boot_id)
        now_ns = self._clock.now_ns()
        for account in self._accounts:
            self._restore(account, now_ns)
        stored = dict(self._connection.execute("SELECT name, value FROM counter"))
        self._counters = {name: max(stored.get(name, 0), count) for name, count in self._counters.items()}
        self._commit()

    def _fill(self, connection: sqlite3.Connection) -> None:
        """A fresh file beside a damaged one begins fully spent."""
        if any(file.name.startswith(f"{self._path.name}.damaged-") for file in self._path.parent.iterdir()):
            limits = [(name, budget.limit) for name, budget in self._budgets.items() if budget is not None]
            connection.executemany("INSERT INTO spent VALUES (?, 0, ?)", limits)
            _log.warning("%s was damaged: its budgets count as spent for one period", self._path)

    def _restore(self, account: _Account, now_ns: int) -> None:
        """Fill the account's window from the file; the rest of a lease that was not given back counts as spent."""
        lease = self._connection.execute(
            "SELECT amount, until_ns FROM lease WHERE resource = ?", (account.resource,)
        ).fetchone()
        if lease is not None and lease[0] > 0:
            account.unwritten[min(lease[1], now_ns) // _MINUTE_NS] = lease[0]
        if account.window is None:
            return
        first = (now_ns - account.window.period_ns) // _MINUTE_NS - 1
        rows = self._connection.execute(
            "SELECT minute, amount FROM spent WHERE resource = ? AND minute >= ? ORDER BY minute",
            (account.resource, first),
        ).fetchall()
        for minute, amount in sorted(rows + list(account.unwritten.items())):
            account.window.charge(amount, min((minute + 1) * _MINUTE_NS - 1, now_ns))

    def _try_spend(self, account: _Account, amount: int, counter: str | None) -> bool:
        amount = operator.index(amount)  # a numpy integer cannot be stored
        if amount < 0:
            raise ValueError(f"expected an amount of at least 0; got {amount}")
        with self._lock:
            now_ns = self._clock.now_ns()
            if account.window is not None:
                if not account.window.fits(amount, now_ns):
                    return False
                if (amount > account.lease or now_ns >= account.lease_until_ns) and not self._extend(account, amount):
                    return False
                account.lease -= amount
                account.window.charge(amount, now_ns)
            minute = now_ns // _MINUTE_NS
            account.unwritten[minute] = account.unwritten.get(minute, 0) + amount
            if counter is not None:
                self._counters[counter] += amount
            return True

    def _extend(self, account: _Account, amount: int) -> bool:
        """Make a lease that covers `amount` durable."""
        before = account.lease, account.lease_until_ns
        account.lease = account.lease_for(amount)
        account.lease_until_ns = self._clock.now_ns() + _LEASE_NS
        if not self._commit():
            account.lease, account.lease_until_ns = before
            return False
        return True

    def _wait_s(self, account: _Account, amount: int) -> float:
        with self._lock:
            wait_ns = account.window.wait_ns(amount, self._clock.now_ns()) if account.window is not None else 0
            if wait_ns is None:
                return math.inf
            return max(wait_ns / 1e9, _FAULT_WAIT_S if self._fault else 0.0)

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
                for account in self._accounts:
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
                self._open()
            return False
        for account in self._accounts:
            account.unwritten.clear()
        self._fault = None
        return True

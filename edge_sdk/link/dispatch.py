"""Which frame leaves next, and whether the budgets pay for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Resource
from edge_sdk.link.retries import Retries
from edge_sdk.link.transport import OpensForReports, Transport
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.store.spool import Spool, SpoolItem
from edge_sdk.wire.cost import frame_bytes

_LOOK_AT_MOST = 8
_REPORT = "report"  # no frame's id
_CALL_BYTES = 300  # headers of a call: its path, the token
LONGEST_HOLD_S = 60.0
"""Most seconds until the budgets are asked again."""
SAVING = "the frames that wait are not worth the budget at present"
"""The link's message while frames wait for a lower price."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A budget that has no room for a frame now.

    Attributes:
        resource: what the budget limits.
        wait_s: seconds until it has room; infinity: never.
    """

    resource: Resource
    wait_s: float

    def sentence(self) -> str:
        """The hold in words, for a person."""
        if self.wait_s == float("inf"):
            return f"one frame costs more than the whole {self.resource} budget"
        return f"the {self.resource} budget has room again in {self.wait_s:.0f} s"


@dataclass(frozen=True, slots=True)
class Choice:
    """What one look at the frames that wait has found.

    Attributes:
        item: the frame that leaves next; None: none may.
        rest_s: seconds until the first of those that failed may leave again; None: none rests.
        dear: frames wait that do not rest: where there is no item, they are not worth their price.
    """

    item: SpoolItem | None = None
    rest_s: float | None = None
    dear: bool = False


class Dispatch:
    """Chooses frames and charges the ledger for them. For one thread.

    Args:
        spool: the frames that wait, in their order of worth.
        ledger: the budgets.
        account: knows what is on its way, and charges the bytes themselves.
        transport: that of the server in use; knows what a frame and a connection cost on the wire.
        worth: whether a frame is worth its price now.
        retries: which frames have failed, and rest.

    Attributes:
        transport: that of the server in use.
    """

    def __init__(
        self,
        spool: Spool,
        ledger: Ledger,
        account: WireAccount,
        transport: Transport,
        worth: Callable[[SpoolItem], bool],
        retries: Retries,
    ) -> None:
        self._spool = spool
        self._ledger = ledger
        self._account = account
        self.transport = transport
        self._worth = worth
        self.retries = retries
        self._paid: set[str] = set()  # frames that were charged as frames and cloud compute, and are not settled yet

    @property
    def waiting(self) -> int:
        """Frames in the spool."""
        return len(self._spool)

    def choose(self, busy: Set[str] = frozenset()) -> Choice:
        """Look for the first frame in the spool's order that may leave and is worth its price.

        Where none of the first eight is, the rests are those of this look: what ended since then is not passed over.

        Args:
            busy: ids of frames that are in flight; they are not chosen.
        """
        rests = self.retries.rests()
        rest_s, dear = min(rests.values(), default=None), len(rests) < len(self._spool)
        passed_over = rests.keys() | busy
        for _ in range(_LOOK_AT_MOST):
            item = self._spool.next(passed_over)
            if item is None or self._worth(item):
                return Choice(item, rest_s, dear)
            passed_over.add(item.frame_id)
        return Choice(None, rest_s, dear)

    def hold_opening(self, first: SpoolItem) -> Hold | None:
        """The budget that has no room for a new connection and its first frame; None: all have room."""
        self._account.forget_promises()
        return self.hold_openings(first, (self.transport,))

    def hold_openings(self, first: SpoolItem | None, transports: Sequence[Transport]) -> Hold | None:
        """As `hold_opening`, for connections of several transports one after the other, beside what is on its way."""
        frames = (0 if first is None else one.frame_bytes(first) for one in transports)
        return self._hold_bytes(sum(one.opening_bytes for one in transports) + max(frames))

    def pay(self, item: SpoolItem, macs: int) -> Hold | None:
        """Charge one frame that is about to leave. Its bytes are promised now and charged by the relay as they pass.

        A frame that is sent again costs its bytes again, but counts once as a frame and as cloud compute.

        Args:
            item: the frame.
            macs: multiply-accumulates of the big model for this frame.

        Returns:
            the budget that has no room; nothing was charged then. None: the frame may leave.
        """
        n_bytes = self.transport.frame_bytes(item)
        if (hold := self._hold_bytes(n_bytes)) is not None:
            return hold
        if item.frame_id not in self._paid:
            for resource, amount in ((Resource.FRAMES, 1), (Resource.CLOUD, macs)):
                if wait_s := self._ledger.wait_s(**{resource: amount}):
                    return Hold(resource, wait_s)
            if not self._ledger.try_spend(frames=1, cloud=macs):
                return Hold(Resource.FRAMES, 1.0)  # the ledger cannot be written now
            self._paid.add(item.frame_id)
        self._account.promise(item.frame_id, n_bytes)
        return None

    def hold_report(self, n_bytes: int, *, opening: bool = False) -> Hold | None:
        """The upload budget where it has no room for a report of `n_bytes`, and for its connection; None: it has."""
        if opening:
            self._account.forget_promises()
        return self._hold_bytes(self.report_bytes(n_bytes) + (self.report_opening_bytes if opening else 0))

    def promise_report(self, n_bytes: int) -> None:
        """Keep room for a report that is about to leave; the relay charges its bytes as they pass."""
        self._account.promise(_REPORT, self.report_bytes(n_bytes))

    def report_ended(self) -> None:
        """The report has its reply, or will have none."""
        self._account.drop(_REPORT)

    @staticmethod
    def report_bytes(n_bytes: int) -> int:
        """What a report of `n_bytes` costs on an open connection, estimated from above."""
        return frame_bytes(n_bytes + _CALL_BYTES)

    @property
    def report_opening_bytes(self) -> int:
        """What opening a connection for reports alone costs, estimated from above."""
        transport = self.transport
        return transport.report_opening_bytes if isinstance(transport, OpensForReports) else transport.opening_bytes

    def replied(self, frame_id: str) -> None:
        """Note that a frame has a reply: its bytes, and those of earlier frames, have passed the relay."""
        self._account.fulfil(frame_id)

    def settled(self, frame_id: str) -> None:
        """Note that a frame is settled and will not be sent again."""
        self._paid.discard(frame_id)

    def _hold_bytes(self, n_bytes: int) -> Hold | None:
        self._account.reconcile()
        wait_s = self._account.room_for(n_bytes)
        return Hold(Resource.UPLOAD, wait_s) if wait_s > 0 else None

"""Which frame leaves next, and whether the budgets pay for it."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Resource
from edge_sdk.link.transport import Transport
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.store.spool import Spool, SpoolItem

_LOOK_AT_MOST = 8
LONGEST_HOLD_S = 60.0
"""After this long the budgets are asked again, whatever they said."""
SAVING = "the frames that wait are not worth the budget at present"
"""What to tell of frames that wait for a lower price."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A budget does not pay yet.

    Attributes:
        resource: of the budget.
        wait_s: seconds until it has room; infinity: it never will.
    """

    resource: Resource
    wait_s: float

    def sentence(self) -> str:
        """What to tell a person."""
        if self.wait_s == float("inf"):
            return f"one frame costs more than the whole {self.resource} budget"
        return f"the {self.resource} budget has room again in {self.wait_s:.0f} s"


class Dispatch:
    """Chooses frames and charges the ledger for them. For one thread.

    Args:
        spool: the frames that wait, in their order of worth.
        ledger: the budgets.
        account: knows what is on its way, and charges the bytes themselves.
        transport: knows what a frame and a connection cost on the wire.
        worth: whether a frame is worth its price now.
    """

    def __init__(
        self,
        spool: Spool,
        ledger: Ledger,
        account: WireAccount,
        transport: Transport,
        worth: Callable[[SpoolItem], bool],
    ) -> None:
        self._spool = spool
        self._ledger = ledger
        self._account = account
        self._transport = transport
        self._worth = worth
        self._paid: set[str] = set()  # frames that were charged as frames and cloud compute, and are not settled yet

    @property
    def waiting(self) -> int:
        """Frames in the spool."""
        return len(self._spool)

    def choose(self, busy: Set[str] = frozenset()) -> SpoolItem | None:
        """The first frame in the spool's order that is worth its price; None: none of the first eight is.

        Args:
            busy: frames that are under way already.
        """
        passed_over: set[str] = set()
        while len(passed_over) < _LOOK_AT_MOST and (item := self._spool.next(busy | passed_over)) is not None:
            if self._worth(item):
                return item
            passed_over.add(item.frame_id)
        return None

    def hold_opening(self, first: SpoolItem) -> Hold | None:
        """What keeps a new connection, and the first frame on it, from being paid for; None: nothing does."""
        self._account.forget_promises()
        return self._hold_bytes(self._transport.opening_bytes + self._transport.frame_bytes(first))

    def pay(self, item: SpoolItem, macs: int) -> Hold | None:
        """Charge one frame that leaves now; its bytes are promised, and charged by the relay as they pass.

        A frame that is sent again is not charged as a frame and as compute twice.

        Args:
            item: the frame.
            macs: multiply-accumulates of the big model for one frame.

        Returns:
            the budget that does not pay, in which case nothing was charged; else None.
        """
        n_bytes = self._transport.frame_bytes(item)
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

    def replied(self, frame_id: str) -> None:
        """A reply on a frame has come: its bytes, and those of the frames before it, have passed."""
        self._account.fulfil(frame_id)

    def settled(self, frame_id: str) -> None:
        """A frame has its last word, and will not be sent again."""
        self._paid.discard(frame_id)

    def _hold_bytes(self, n_bytes: int) -> Hold | None:
        self._account.reconcile()
        wait_s = self._account.room_for(n_bytes)
        return Hold(Resource.UPLOAD, wait_s) if wait_s > 0 else None

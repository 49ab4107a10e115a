"""What the link's bytes cost: charged before they leave, corrected by what the kernel and the interface report.

Three amounts must fit into the upload budget together: bytes that pass now, bytes of frames that gRPC was given and
that are still on their way here (*promised*), and a *reserve* for what may have to be repeated or acknowledged.
"""

from __future__ import annotations

from collections import OrderedDict

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Resource
from edge_sdk.durable.clock import current_boot_id
from edge_sdk.link.meter import END_BYTES, interface_bytes

_WINDOW = 65_536
_WINDOW_SHARE = 16
_FIRST_SEGMENT_BYTES = 1_600
_INTERFACE_NOTE = "interface"


class WireAccount:
    """Charges the ledger for the bytes of all connections. Not thread-safe.

    Args:
        ledger: charged for each byte.
        interface: network interface whose counter is reconciled with the ledger. None: only the SDK's bytes count.
        joules_per_byte: energy charged with each byte.

    Attributes:
        segment_bytes: size of a segment on the latest connection, headers included.
    """

    def __init__(self, ledger: Ledger, *, interface: str | None = None, joules_per_byte: float = 0.0) -> None:
        self._ledger = ledger
        self._interface = interface
        self._energy = joules_per_byte * 1e6
        self._counted = 0  # bytes charged since the last look at the interface, less what has left since
        self._seen: int | None = None
        self._promised: OrderedDict[str, int] = OrderedDict()
        self.segment_bytes = _FIRST_SEGMENT_BYTES

    @property
    def reserve(self) -> int:
        """Bytes of the upload budget to keep free for acknowledgements and retransmissions; 0: no budget."""
        return 0 if self._limit is None else 2 * min(self.segment_bytes, self.window) + END_BYTES

    def room_for(self, n_bytes: int) -> float:
        """Seconds until `n_bytes`, the promised bytes and the reserve fit the budget. 0: now; infinity: never."""
        return self._ledger.wait_s(upload=sum(self._promised.values()) + n_bytes + self.reserve)

    def promise(self, frame_id: str, n_bytes: int) -> None:
        """Keep room for the `n_bytes` of a frame that was handed to gRPC and has not reached the relay yet."""
        self._promised[frame_id] = n_bytes

    def fulfil(self, frame_id: str) -> None:
        """Drop the promises of an answered frame and of all before it: their bytes have passed, in order."""
        while frame_id in self._promised:
            self._promised.popitem(last=False)

    def drop(self, name: str) -> None:
        """Drop one promise: its bytes have passed, or will not come."""
        self._promised.pop(name, None)

    def forget_promises(self) -> None:
        """Drop all promises: the connection that the frames were written to has ended."""
        self._promised.clear()

    def passed(self, n_bytes: int) -> None:
        """Take `n_bytes` that were paid for off the promises, oldest first."""
        while n_bytes > 0 and self._promised:
            first = next(iter(self._promised))
            taken = min(n_bytes, self._promised[first])
            n_bytes -= taken
            self._promised[first] -= taken
            if self._promised[first]:
                return
            del self._promised[first]

    def reconcile(self) -> None:
        """Charge what the interface has sent beyond the bytes charged here. Without an interface, do nothing."""
        if self._interface is None or (sent := interface_bytes(self._interface)) is None:
            return
        boot = current_boot_id()
        if self._seen is None:  # what has left since an earlier run of this boot counts too
            known = (self._ledger.recall(_INTERFACE_NOTE) or b"").decode().rpartition(" ")
            self._seen = int(known[2]) if known[0] == boot and known[2].isdigit() else sent
        unseen = sent - self._seen - self._counted if sent >= self._seen else 0
        if unseen > 0:
            self._ledger.charge(upload=unseen)
        self._counted = min(_WINDOW, max(0, -unseen))  # paid for, still in the machine
        self._seen = sent
        self._ledger.remember(_INTERFACE_NOTE, f"{boot} {sent}".encode())

    @property
    def window(self) -> int:
        """Most unacknowledged bytes on one connection: 1/16 of the budget, from 2 KiB to 64 KiB."""
        limit = self._limit
        return _WINDOW if limit is None else max(2_048, min(_WINDOW, limit // _WINDOW_SHARE))

    @property
    def limited(self) -> bool:
        """Whether there is an upload budget now."""
        return self._limit is not None

    @property
    def _limit(self) -> int | None:
        return self._ledger.limit(Resource.UPLOAD)  # asked each time: budgets may change while the link runs

    def spend(self, n_bytes: int, beyond: int) -> bool:
        """Charge `n_bytes` if the budget then still has room for `beyond` more; False: nothing was charged."""
        if n_bytes <= 0:
            return True
        self.reconcile()
        if self._ledger.wait_s(upload=n_bytes + beyond) > 0:
            return False
        if not self._ledger.try_spend(upload=n_bytes, **self._joules(n_bytes)):
            return False
        self._counted += n_bytes
        return True

    def charge(self, n_bytes: int) -> None:
        """Charge `n_bytes` that have left already, whether they fit or not."""
        if n_bytes > 0:
            self._ledger.charge(upload=n_bytes, **self._joules(n_bytes))
            self._counted += n_bytes

    def wait_s(self, n_bytes: int) -> float:
        """Seconds until the budgets have room for `n_bytes`. 0: now; infinity: never."""
        return self._ledger.wait_s(upload=n_bytes, **self._joules(n_bytes))

    def _joules(self, n_bytes: int) -> dict[str, int]:
        return {"energy": round(n_bytes * self._energy)} if self._energy else {}

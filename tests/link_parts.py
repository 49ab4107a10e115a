"""A device's side of the link for tests: spool, ledger, handler and uplink."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import grpc
import numpy as np

from edge_sdk.budget.ledger import Ledger
from edge_sdk.config import UplinkSettings
from edge_sdk.link.transport import Reply
from edge_sdk.link.uplink import Uplink
from edge_sdk.security.certificates import Authority
from edge_sdk.store.frames import SpoolItem
from edge_sdk.store.spool import Spool
from edge_sdk.store.store import Store
from edge_sdk.types import LinkState, new_frame_id

FAST = UplinkSettings(connect_timeout_s=30, reply_timeout_s=60, backoff_s=0.01, max_backoff_s=0.05)
ONCE = UplinkSettings(connect_timeout_s=60, reply_timeout_s=60, backoff_s=1000, max_backoff_s=1000)
"""No second try within a test."""


def item(gain: float = 0.5, size: int = 2000) -> SpoolItem:
    probabilities = np.array([0.5, 0.5], np.float32)
    return SpoolItem(new_frame_id(), bytes(size), probabilities, gain, datetime.now(UTC), "test")


def tls(authority: Authority, host: str = "127.0.0.1", *, mutual: bool = False) -> grpc.ServerCredentials:
    """A server's credentials for `host`, of this authority."""
    pair, ca = authority.issue_server([host], replace=True), authority.files.cert.read_bytes() if mutual else None
    return grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.cert.read_bytes())], ca, mutual)


class Handler:
    """Collects replies, takes frames out of the spool, and lets a test wait for a condition."""

    def __init__(self, spool: Spool | None = None) -> None:
        self.spool = spool
        self.replies: list[str] = []
        self.refusals: list[tuple[str, str]] = []
        self.given_up: list[tuple[str, str]] = []
        self.changed = threading.Condition()

    def answered(self, item: SpoolItem, reply: Reply) -> None:
        self._settle(item)
        with self.changed:
            self.replies.append(item.frame_id)
            self.changed.notify_all()

    def refused(self, item: SpoolItem, message: str) -> None:
        self._settle(item)
        with self.changed:
            self.refusals.append((item.frame_id, message))
            self.changed.notify_all()

    def gave_up(self, item: SpoolItem, message: str) -> None:
        self._settle(item)
        with self.changed:
            self.given_up.append((item.frame_id, message))
            self.changed.notify_all()

    def _settle(self, item: SpoolItem) -> None:
        if self.spool is not None:
            self.spool.ack(item.frame_id)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition on what was collected."""
        with self.changed:
            self.changed.wait_for(condition)


class Device:
    """Spool, ledger, handler and uplink of one device."""

    def __init__(self, folder: Path, target: str | tuple[str, ...], **options: object) -> None:
        self.store = Store(folder)
        self.spool = self.store.spool
        self.handler = Handler(self.spool)
        self.ledger = Ledger(folder / "ledger.db", budgets=options.pop("budgets", ()))  # type: ignore[arg-type]
        settings = options.pop("settings", FAST)
        security = options.pop("security", None)
        transport = options.pop("transport", None)
        labels = options.pop("labels", ("a", "b"))
        self.told: list[tuple[LinkState, str]] = []
        self.state_changed = threading.Condition()
        self.uplink = Uplink(
            target,
            self.spool,
            self.ledger,
            labels,  # type: ignore[arg-type]
            self.handler,
            settings,  # type: ignore[arg-type]
            security,  # type: ignore[arg-type]
            transport=transport,  # type: ignore[arg-type]
            on_state=self._tell,
        )

    def _tell(self, state: LinkState, message: str) -> None:
        with self.state_changed:
            self.told.append((state, message))
            self.state_changed.notify_all()

    @property
    def states(self) -> list[LinkState]:
        """The link's states so far."""
        return [state for state, _ in self.told]

    def until_state(self, state: LinkState, *words: str) -> str:
        """Wait until the link has been in a state with all words in its message, however shortly; the message."""
        with self.state_changed:
            self.state_changed.wait_for(lambda: self._messages(state, words))
            return self._messages(state, words)[0]

    def _messages(self, state: LinkState, words: tuple[str, ...]) -> list[str]:
        return [said for one, said in self.told if one is state and all(word in said for word in words)]

    def until_empty(self) -> None:
        self.handler.until(lambda: len(self.spool) == 0)

    def close(self) -> None:
        self.uplink.close()
        self.store.close()
        self.ledger.close()

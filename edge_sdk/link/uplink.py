"""The way to the cloud, on a thread of its own: when to connect, what the link's state is, when to try again.

The uplink opens a connection when a frame waits that is worth its price and the budgets pay for, and hands it to a
`Session`, which sends frames and takes replies. Its bytes pass a `Relay`, which charges the ledger *before* they leave.
A frame leaves the spool together with its answer, so a crash at any moment means a frame sent twice (the server knows
its id), never a frame lost. Being offline is a state, not an error: the next try comes by itself, after a wait that
doubles.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from edge_sdk.budget.ledger import Ledger
from edge_sdk.config import UplinkSettings, check_address
from edge_sdk.durable.forks import Owner, keep
from edge_sdk.errors import ConfigError
from edge_sdk.link.descriptors import full_table
from edge_sdk.link.dispatch import LONGEST_HOLD_S, SAVING, Dispatch
from edge_sdk.link.grpc_transport import GrpcTransport
from edge_sdk.link.relay import Relay
from edge_sdk.link.reports import Reports, ReportSource
from edge_sdk.link.retries import Retries
from edge_sdk.link.session import ReplyHandler, Session
from edge_sdk.link.transport import LONGEST_NAME, Connection, OpensForReports, ServerInfo, Transport
from edge_sdk.link.wakeup import Wakeup
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.security.credentials import Denied, Security
from edge_sdk.security.proxy import HttpProxy
from edge_sdk.store.spool import Spool, SpoolItem
from edge_sdk.terminal.line import one_line
from edge_sdk.types import LinkState

__all__ = ["ReplyHandler", "Uplink"]

_log = logging.getLogger(__name__)

_PRICE_CHECK_S = 5.0
_LOOK_AGAIN_S = 1.0
_LONGEST_MESSAGE = 600
_PATIENCE_S = 4.0
_QUIET = frozenset({LinkState.ONLINE, LinkState.CONNECTING})


class Uplink:
    """Sends what waits in the spool, within the ledger's budgets.

    Args:
        target: the server, `host:port`.
        spool: the frames that wait.
        ledger: charged before anything leaves.
        labels: the little model's labels; a server that does not know them all is not used (`LinkState.MISMATCH`).
        handler: gets the replies.
        settings: time-outs, waits, window.
        security: certificates and token; None: a token from the environment alone, and no encryption.
        worth: True where a frame is worth its price now. None: all frames are.
        joules_per_byte: energy charged with each byte.
        transport: carries the frames; None: gRPC.
        on_state: called on each change of `state` or `message`, on the uplink's thread.
        reports: what is to be reported; None: nothing is.

    Attributes:
        state: of the way to the cloud.
        message: the reason for `state`; empty while frames flow.

    Raises:
        ConfigError: `target` is not an address, or `security` is not sufficient for it.
    """

    def __init__(
        self,
        target: str,
        spool: Spool,
        ledger: Ledger,
        labels: tuple[str, ...],
        handler: ReplyHandler,
        settings: UplinkSettings | None = None,
        security: Security | None = None,
        *,
        worth: Callable[[SpoolItem], bool] | None = None,
        joules_per_byte: float = 0.0,
        transport: Transport | None = None,
        on_state: Callable[[LinkState, str], None] | None = None,
        reports: ReportSource | None = None,
    ) -> None:
        self.target = check_address(target)
        self.state = LinkState.CONNECTING
        self.message = ""
        self._settings = settings = settings or UplinkSettings()
        security = security or Security()
        security.check(self.target)
        self._transport = transport or GrpcTransport(
            self.target,
            security,
            connect_timeout_s=settings.connect_timeout_s,
            reply_timeout_s=settings.reply_timeout_s,
        )
        self._spool = spool
        self._ledger = ledger
        self._labels = labels
        self._handler = handler
        self._worth = worth or (lambda item: True)
        self._joules_per_byte = joules_per_byte
        self._on_state = on_state
        self._source = reports
        self._owner = Owner("the link")
        keep(self)
        self._loop = asyncio.new_event_loop()
        self._wakeup, self._report_wakeup = Wakeup(self._loop), Wakeup(self._loop)
        self._thread = threading.Thread(target=self._run, name="edge-sdk uplink", daemon=True)

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._spool.add_listener(self._wakeup.wake)
        self._thread.start()

    def wake_for_report(self) -> None:
        """A report has become due. May be called from any thread."""
        self._report_wakeup.wake()
        self._wakeup.wake()

    def close(self, grace_s: float = 2.0) -> None:
        """End the link. Frames on their way get `grace_s` seconds to be answered; the rest stay in the spool."""
        if not self._owner.is_here:
            return
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
                self._loop.call_soon_threadsafe(self._end, grace_s)
            self._thread.join()
        self.state = LinkState.OFF

    def _end(self, grace_s: float) -> None:
        self._wakeup.end()
        self._loop.call_later(grace_s, self._main.cancel)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._main = self._loop.create_task(self._serve())
        try:
            self._loop.run_until_complete(self._main)
        except asyncio.CancelledError:
            pass
        except Exception:
            _log.exception("the uplink ended; frames stay in the spool")
            self._set(LinkState.OFFLINE, "the uplink ended with an internal error (see the log)")
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def _set(self, state: LinkState, message: str = "") -> None:
        message = one_line(message, _LONGEST_MESSAGE)  # it may hold what the server says
        if (state, message) == (self.state, self.message):
            return
        level = logging.INFO if state in _QUIET else logging.WARNING
        _log.log(level, "link to %s: %s%s", self.target, state.value, f": {message}" if message else "")
        self.state, self.message = state, message
        if self._on_state:
            self._on_state(state, message)

    async def _serve(self) -> None:
        settings = self._settings
        account = WireAccount(self._ledger, interface=settings.interface, joules_per_byte=self._joules_per_byte)
        proxy = None if settings.proxy is None else HttpProxy.parse(settings.proxy)
        relay = Relay(self.target, account, timeout_s=settings.reply_timeout_s, proxy=proxy)
        retries = Retries(self._spool, settings)
        dispatch = Dispatch(self._spool, self._ledger, account, self._transport, self._worth, retries)
        reports = None if self._source is None else Reports(self._source, dispatch, self._ledger)
        while (full := full_table()) and not self._wakeup.closing:
            self._set(LinkState.OFFLINE, str(full))
            await self._wakeup.pause(settings.backoff_s)
        async with relay:
            backoff_s = settings.backoff_s
            while not self._wakeup.closing:
                if not await self._ready_to_connect(relay, dispatch, reports):
                    continue
                backoff_s = await self._connect(relay, dispatch, backoff_s, reports)

    async def _ready_to_connect(self, relay: Relay, dispatch: Dispatch, reports: Reports | None) -> bool:
        """True: a frame waits that is worth its price, and the budgets have room.

        Else wait a while, or report what is due, and return False.
        """
        first = dispatch.choose()
        if first is None:
            rest_s = dispatch.retries.rest_s
            if dispatch.waiting and (full := full_table()):  # the frames cannot be read now
                self._set(LinkState.OFFLINE, str(full))
                rest_s = min(_PRICE_CHECK_S, rest_s or _PRICE_CHECK_S)
            elif dispatch.waiting and dispatch.dear:
                self._set(LinkState.SAVING, SAVING)
                rest_s = min(_PRICE_CHECK_S, rest_s or _PRICE_CHECK_S)
            elif dispatch.waiting:
                self._set(LinkState.RETRYING, dispatch.retries.sentence())
            wait_s = rest_s if dispatch.waiting else None
            if reports is not None:
                due_s = reports.wait_s
                if due_s <= 0 and await self._report(relay, reports):
                    return False
                wait_s = min(max(due_s, _LOOK_AGAIN_S), LONGEST_HOLD_S if wait_s is None else wait_s)
            await self._wakeup.wait(wait_s)
            return False
        if (hold := dispatch.hold_opening(first)) is not None:
            self._set(LinkState.BUDGET, hold.sentence())
            await self._wakeup.pause(min(hold.wait_s, LONGEST_HOLD_S))
            return False
        return True

    async def _report(self, relay: Relay, reports: Reports) -> bool:
        """Open a connection for a report alone; False: this transport does not, or there is nothing to tell."""
        transport = self._transport
        if not isinstance(transport, OpensForReports):
            return False
        try:
            if not await reports.alone(lambda: transport.connect_for_reports(relay)):
                return False
            self._set(LinkState.ONLINE)
        except (Denied, ConfigError) as error:
            self._set(LinkState.DENIED, str(error))
        except OSError as error:
            if isinstance(error, TimeoutError):
                relay.unanswered()
            self._set(LinkState.OFFLINE, str(error) or type(error).__name__)
        except Exception as error:  # whatever fails of reports, frames go on
            _log.exception("a report could not be made")
            assert self._source is not None
            self._source.failed(f"{type(error).__name__}: {error}")
        return True

    async def _connect(self, relay: Relay, dispatch: Dispatch, backoff_s: float, reports: Reports | None) -> float:
        """Run one connection and, if it failed, wait `backoff_s`. Returns the next failure's wait in seconds."""
        settings = replace(self._settings, idle_s=min(self._settings.idle_s, relay.longest_idle_s))
        self._set(LinkState.CONNECTING)
        slow = self._loop.call_later(_PATIENCE_S, self._say_slow, relay)
        try:
            async with self._transport.connect(relay) as connection, self._riding(connection, reports):
                slow.cancel()
                known = set(connection.server.labels)
                if missing := [label for label in self._labels if one_line(label, LONGEST_NAME) not in known]:
                    self._set(LinkState.MISMATCH, _mismatch(self.target, connection.server, missing))
                    await self._wakeup.pause(settings.max_backoff_s)
                else:
                    self._set(LinkState.ONLINE)
                    session = Session(connection, dispatch, self._handler, settings, self._wakeup, self._set)
                    try:
                        if not await session.run():
                            return settings.backoff_s
                    finally:
                        backoff_s = settings.backoff_s if session.answered else backoff_s
        except (Denied, ConfigError) as error:
            self._set(LinkState.DENIED, str(error))
            backoff_s = settings.max_backoff_s  # a person must act
        except (TimeoutError, OSError) as error:
            if isinstance(error, TimeoutError):
                relay.unanswered()
            self._set(LinkState.OFFLINE, str(error) or type(error).__name__)
        finally:
            slow.cancel()
        await self._wakeup.pause(backoff_s * random.uniform(0.75, 1.25))
        return min(backoff_s * 2, settings.max_backoff_s)

    @contextlib.asynccontextmanager
    async def _riding(self, connection: Connection, reports: Reports | None) -> AsyncIterator[None]:
        """Reports go over a connection while the block lasts; what fails of them leaves the frames alone."""
        if reports is None:
            yield
            return
        riding = asyncio.create_task(reports.ride(connection, self._report_wakeup))
        try:
            yield
        finally:
            riding.cancel()
            (ended,) = await asyncio.gather(riding, return_exceptions=True)
            if isinstance(ended, Exception):
                _log.error("reports ended on this connection", exc_info=ended)

    def _say_slow(self, relay: Relay) -> None:
        """Give the state a reason while a try to connect takes longer than a person waits; the try goes on."""
        doing = relay.doing or f"waiting for {self.target}"
        self._set(LinkState.OFFLINE, relay.trouble or f"{doing} ({_PATIENCE_S:g} s so far)")


def _mismatch(target: str, server: ServerInfo, missing: list[str]) -> str:
    return (
        f"the server at {target} ({server.model}) answers with {len(server.labels)} labels, but not with "
        f"{', '.join(missing[:8])}{' ...' if len(missing) > 8 else ''}: start cloud-server with a --label-map that "
        f"leads to the bundle's labels, or use the bundle that fits this server"
    )

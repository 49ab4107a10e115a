"""The way to the cloud, on a thread of its own: when to connect, what the link's state is, when to try again.

The uplink opens a connection when a frame waits that is worth its price and the budgets pay for, and hands it to a
`Session`, which sends frames and takes replies. Its bytes pass a `Relay`, which charges the ledger *before* they leave.
A frame leaves the spool together with its answer, so a crash at any moment means a frame sent twice (the server knows
its id), never a frame lost. Being offline is a state, not an error: the next try comes by itself, after a wait that
doubles. Where several servers are named, `Servers` says which one is tried; each has a relay of its own, and all are
charged to one account.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial

from edge_sdk.budget.ledger import Ledger
from edge_sdk.config import UplinkSettings
from edge_sdk.durable.forks import Owner, keep
from edge_sdk.errors import ConfigError
from edge_sdk.link.descriptors import full_table
from edge_sdk.link.dispatch import LONGEST_HOLD_S, SAVING, Dispatch
from edge_sdk.link.relay import Relay
from edge_sdk.link.reports import Reports, ReportSource
from edge_sdk.link.retries import Retries
from edge_sdk.link.routes import Routes, mismatch
from edge_sdk.link.session import ReplyHandler, Session
from edge_sdk.link.transport import Connection, OpensForReports, Transport
from edge_sdk.link.wakeup import Wakeup
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.security.credentials import Denied, Security
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
        target: the server, `host:port`; or several, the one to be used first at the front.
        spool: the frames that wait.
        ledger: charged before anything leaves.
        labels: the little model's labels; a server that does not know them all is not used (`LinkState.MISMATCH`).
        handler: gets the replies.
        settings: time-outs, waits, window.
        security: certificates and token, for all servers; None: a token from the environment alone, and no encryption.
        worth: True where a frame is worth its price now. None: all frames are.
        joules_per_byte: energy charged with each byte.
        transport: carries the frames, to each server; None: gRPC.
        on_state: called on each change of `state` or `message`, on the uplink's thread.
        reports: what is to be reported; None: nothing is.
        model: the bundle's name, by which a server with several models chooses; "": none is named.

    Attributes:
        state: of the way to the cloud.
        message: the reason for `state`; empty while frames flow to the first server.

    Raises:
        ConfigError: a target is not an address, or `security` is not sufficient for it.
    """

    def __init__(
        self,
        target: str | Sequence[str],
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
        model: str = "",
    ) -> None:
        self.state = LinkState.CONNECTING
        self.message = ""
        self._settings = settings = settings or UplinkSettings()
        self._account = WireAccount(ledger, interface=settings.interface, joules_per_byte=joules_per_byte)
        self._routes = Routes(target, self._account, settings, security or Security(), transport, model)
        self._spool = spool
        self._ledger = ledger
        self._labels = labels
        self._handler = handler
        self._worth = worth or (lambda item: True)
        self._on_state = on_state
        self._source = reports
        self._owner = Owner("the link")
        keep(self)
        self._loop = asyncio.new_event_loop()
        self._wakeup, self._report_wakeup = Wakeup(self._loop), Wakeup(self._loop)
        self._thread = threading.Thread(target=self._run, name="edge-sdk uplink", daemon=True)

    @property
    def target(self) -> str:
        """The server in use, or that was tried last."""
        return self._routes.target

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
        if state is LinkState.ONLINE and not message:
            message = self._routes.in_place_of()
        message = one_line(message, _LONGEST_MESSAGE)  # it may hold what the server says
        if (state, message) == (self.state, self.message):
            return
        level = logging.INFO if state in _QUIET else logging.WARNING
        _log.log(level, "link to %s: %s%s", self.target, state.value, f": {message}" if message else "")
        self.state, self.message = state, message
        if self._on_state:
            self._on_state(state, message)

    async def _serve(self) -> None:
        settings, routes = self._settings, self._routes
        retries = Retries(self._spool, settings)
        dispatch = Dispatch(self._spool, self._ledger, self._account, routes.current.transport, self._worth, retries)
        reports = None if self._source is None else Reports(self._source, dispatch, self._ledger)
        while (full := full_table()) and not self._wakeup.closing:
            self._set(LinkState.OFFLINE, str(full))
            await self._wakeup.pause(settings.backoff_s)
        async with contextlib.AsyncExitStack() as relays:
            await routes.open(relays)
            while not self._wakeup.closing:
                if await self._ready_to_connect(dispatch, reports):
                    await self._connect(dispatch, reports)
                if (wait_s := routes.servers.wait_s) > 0:
                    await self._wakeup.pause(wait_s)

    async def _ready_to_connect(self, dispatch: Dispatch, reports: Reports | None) -> bool:
        """True: a frame waits that is worth its price, and the budgets have room for a way to the server now in use.

        Else wait a while, or report what is due, and return False.
        """
        choice = dispatch.choose()
        if (first := choice.item) is None:
            rest_s = choice.rest_s
            if dispatch.waiting and (full := full_table()):  # the frames cannot be read now
                self._set(LinkState.OFFLINE, str(full))
                rest_s = min(_PRICE_CHECK_S, rest_s or _PRICE_CHECK_S)
            elif dispatch.waiting and choice.dear:
                self._set(LinkState.SAVING, SAVING)
                rest_s = min(_PRICE_CHECK_S, rest_s or _PRICE_CHECK_S)
            elif dispatch.waiting:
                self._set(LinkState.RETRYING, dispatch.retries.sentence())
            wait_s = rest_s if dispatch.waiting else None
            if reports is not None:
                due_s = reports.wait_s
                if due_s <= 0 and await self._report(dispatch, reports):
                    return False
                wait_s = min(max(due_s, _LOOK_AGAIN_S), LONGEST_HOLD_S if wait_s is None else wait_s)
            await self._wakeup.wait(wait_s)
            return False
        self._routes.choose(dispatch, first)
        if (hold := dispatch.hold_opening(first)) is not None:
            self._set(LinkState.BUDGET, hold.sentence())
            await self._wakeup.pause(min(hold.wait_s, LONGEST_HOLD_S))
            return False
        return True

    async def _report(self, dispatch: Dispatch, reports: Reports) -> bool:
        """Open a connection for a report alone; False: this transport does not, or there is nothing to tell."""
        routes = self._routes
        route = routes.choose(dispatch, None, pays_twice=reports.pays_twice)
        transport, relay = route.transport, route.relay
        if not isinstance(transport, OpensForReports):
            return False
        state, message = LinkState.OFFLINE, ""
        try:
            if not await reports.alone(lambda: transport.connect_for_reports(relay)):
                return False
            self._works()
        except (Denied, ConfigError) as error:
            state, message = LinkState.DENIED, str(error)
        except OSError as error:
            if isinstance(error, TimeoutError):
                relay.unanswered()
            message = str(error) or type(error).__name__
        except Exception as error:  # whatever fails of reports, frames go on
            _log.exception("a report could not be made")
            assert self._source is not None
            self._source.failed(f"{type(error).__name__}: {error}")
        if message:
            if not routes.alone:  # with one server, frames go by their own tries alone
                routes.rest(for_long=state is LinkState.DENIED)
            self._set(*routes.failed(state, message))
        return True

    def _works(self) -> None:
        self._routes.works()
        self._set(LinkState.ONLINE)

    async def _connect(self, dispatch: Dispatch, reports: Reports | None) -> None:
        """Run one connection to the server in use, and tell `Servers` what came of it."""
        routes = self._routes
        route = routes.current
        settings = replace(self._settings, idle_s=min(self._settings.idle_s, route.relay.longest_idle_s))
        self._set(LinkState.CONNECTING)
        slow = asyncio.create_task(self._say_slow(route.relay))
        for_long = False
        try:
            async with route.transport.connect(route.relay) as connection, self._riding(connection, reports):
                slow.cancel()
                if said := mismatch(route.target, connection.server, self._labels):
                    self._set(*routes.failed(LinkState.MISMATCH, said))
                    for_long = not routes.alone
                    if routes.alone:  # its reports go on meanwhile
                        await self._wakeup.pause(settings.max_backoff_s)
                else:
                    self._works()
                    leaves = None if routes.alone else partial(routes.leaves, dispatch)
                    session = Session(connection, dispatch, self._handler, settings, self._wakeup, self._set, leaves)
                    try:
                        if not await session.run():
                            return routes.answered()
                    finally:
                        if session.answered:
                            routes.answered()
                    routes.failed(LinkState.OFFLINE, "the server ended the stream")
        except (Denied, ConfigError) as error:
            self._set(*routes.failed(LinkState.DENIED, str(error)))
            for_long = True  # a person must act
        except (TimeoutError, OSError) as error:
            if isinstance(error, TimeoutError):
                route.relay.unanswered()
            self._set(*routes.failed(LinkState.OFFLINE, str(error) or type(error).__name__))
        finally:
            slow.cancel()
        routes.rest(for_long=for_long)

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

    async def _say_slow(self, relay: Relay) -> None:
        """Give the state a reason while a try to connect takes longer than a person waits; the try goes on.

        A further one where the try has come further since, as to a server that is connected to and says nothing.
        """
        said = ""
        for looks in itertools.count(1):
            await asyncio.sleep(_PATIENCE_S)
            doing = relay.trouble or relay.doing or f"waiting for {self.target}"
            if doing != said:
                said = doing
                self._set(LinkState.OFFLINE, relay.trouble or f"{doing} ({looks * _PATIENCE_S:g} s so far)")

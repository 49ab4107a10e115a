"""The ways to a device's servers: address, transport and relay of each, which one is in use, and why others are not."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from edge_sdk.config import UplinkSettings, read_servers
from edge_sdk.errors import ConfigError
from edge_sdk.link.dispatch import Dispatch
from edge_sdk.link.grpc_transport import GrpcTransport
from edge_sdk.link.relay import Relay
from edge_sdk.link.servers import Servers
from edge_sdk.link.transport import LONGEST_NAME, ServerInfo, Transport
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.security.credentials import Security
from edge_sdk.security.proxy import HttpProxy
from edge_sdk.store.spool import SpoolItem
from edge_sdk.terminal.line import one_line
from edge_sdk.types import LinkState

_LONGEST_TROUBLE = 200


@dataclass(slots=True)
class Route:
    """The way to one server.

    Attributes:
        target: the server, `host:port`.
        transport: carries frames there.
        relay: charges every byte that goes there.
        state: the link's state after its latest try, where that failed.
        trouble: why it failed; empty: it did not.
    """

    target: str
    transport: Transport
    relay: Relay
    state: LinkState = LinkState.ONLINE
    trouble: str = ""

    @property
    def sentence(self) -> str:
        """The trouble in one short line that names the server."""
        said = one_line(self.trouble, _LONGEST_TROUBLE)
        return said if self.target in said else f"{self.target}: {said}"


class Routes:
    """All of them; one account is charged for all. For one thread, but for `target`.

    Args:
        targets: the server, or several, the one to be used first at the front.
        account: charged for each byte.
        settings: times, and the proxy.
        security: certificates and token, the same for all.
        transport: carries frames to each, dialling what its `Way` says; None: gRPC.
        model: that a server with several is asked for; "": none is named.

    Attributes:
        servers: says which is tried next; what came of a try of frames is told there.

    Raises:
        ConfigError: a target is not an address, or `security` is not sufficient for it.
    """

    def __init__(
        self,
        targets: str | Sequence[str],
        account: WireAccount,
        settings: UplinkSettings,
        security: Security,
        transport: Transport | None = None,
        model: str = "",
    ) -> None:
        self._targets = read_servers(targets)
        if not self._targets:
            raise ConfigError("expected a server as host:port; got none")
        proxy = None if settings.proxy is None else HttpProxy.parse(settings.proxy)
        times = {"connect_timeout_s": settings.connect_timeout_s, "reply_timeout_s": settings.reply_timeout_s}
        self._all = list[Route]()
        for target in self._targets:
            security.check(target)
            relay = Relay(target, account, timeout_s=settings.reply_timeout_s, proxy=proxy)
            ours = transport or GrpcTransport(target, security, trace=settings.trace, model=model, **times)
            self._all.append(Route(target, ours, relay))
        self._place = 0
        self.servers = Servers(len(self._all), settings)

    @property
    def target(self) -> str:
        """The server in use, or that was tried last."""
        return self._targets[self._place]

    @property
    def current(self) -> Route:
        """The way to it."""
        return self._all[self._place]

    @property
    def alone(self) -> bool:
        """There is one server."""
        return len(self._all) == 1

    async def open(self, stack: AsyncExitStack) -> None:
        """Open the relays until `stack` ends; nothing is sent."""
        for route in self._all:
            await stack.enter_async_context(route.relay)

    def choose(self, dispatch: Dispatch, first: SpoolItem | None, *, pays_twice: bool | None = None) -> Route:
        """The server to be tried next; it is the one in use from now on.

        Args:
            dispatch: knows the budgets; it goes by that server's transport from now on.
            first: the frame that is to leave.
            pays_twice: whether the budgets pay for a look and for the way back; None: `dispatch` is asked.
        """
        self._place = self._next(dispatch, first, pays_twice)
        dispatch.transport = self.current.transport
        return self.current

    def leaves(self, dispatch: Dispatch, item: SpoolItem) -> bool:
        """Whether it is time to look at an earlier server: its rest is over, and the budgets pay for the way back."""
        return self._next(dispatch, item, None) < self._place

    def works(self) -> None:
        """The server in use has opened a connection."""
        self.servers.opened(self._place)
        self.current.state, self.current.trouble = LinkState.ONLINE, ""

    def answered(self) -> None:
        """The server in use has answered, or was left in peace."""
        self.servers.answered(self._place)

    def rest(self, *, for_long: bool = False) -> None:
        """Let the server in use rest after a failure; `for_long`: a person must act before it can work."""
        self.servers.failed(self._place, for_long=for_long)

    def failed(self, state: LinkState, message: str) -> tuple[LinkState, str]:
        """Note why the server in use failed; what that makes of the whole link, as state and message.

        A person need not act while another server may work, so the state is theirs where all failed alike.
        """
        self.current.state, self.current.trouble = state, message
        if self.alone:
            return state, message
        alike = all(route.state is state for route in self._all)
        said = "; ".join(route.sentence for route in self._all if route.trouble)
        return state if alike else LinkState.OFFLINE, said

    def in_place_of(self) -> str:
        """Which server is in use, where it is not the first, and why; empty: it is the first."""
        if not self._place:
            return ""
        earlier = (route.sentence for route in self._all[: self._place] if route.trouble)
        return f"{self.target} is used: {'; '.join(earlier)}"

    def _next(self, dispatch: Dispatch, first: SpoolItem | None, pays_twice: bool | None) -> int:
        def pays(*places: int) -> bool:
            transports = [self._all[place].transport for place in places]
            return dispatch.hold_openings(first, transports) is None if pays_twice is None else pays_twice

        return self.servers.choose(pays)


def mismatch(target: str, server: ServerInfo, labels: Sequence[str]) -> str:
    """Why a server cannot be used whose labels are not the device's; empty: it knows them all."""
    known = set(server.labels)
    missing = [label for label in labels if one_line(label, LONGEST_NAME) not in known]
    if not missing:
        return ""
    return (
        f"the server at {target} ({server.model}) answers with {len(server.labels)} labels, but not with "
        f"{', '.join(missing[:8])}{' ...' if len(missing) > 8 else ''}: start cloud-server with a --label-map that "
        f"leads to the bundle's labels, or use the bundle that fits this server"
    )

"""The HTTP server: uvicorn in one thread with an event loop of its own, apart from that of the devices."""

from __future__ import annotations

import asyncio
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING

from cloud_server.http.connection import HEAD_BYTES, HEAD_S, Connection
from cloud_server.listening import addresses_of, bare_host, explain
from edge_sdk.errors import ConfigError
from edge_sdk.security.place import authority

if TYPE_CHECKING:
    import ssl

    from starlette.types import ASGIApp

_IDLE_S = 15
"""Seconds for which a connection without a request stays open."""
_END_S = 1
"""Seconds at the end for replies that are being written."""
_BACKLOG = 256


class Endpoint:
    """Serves from its construction until `close`.

    Args:
        host: address to listen on.
        port: 0 takes a free one.
        app: answers requests.
        tls: encrypts; None: requests and replies travel in the clear.

    Attributes:
        address: "host:port", in brackets where the host is IPv6.

    Raises:
        ConfigError: it cannot listen there; the message says why.
    """

    def __init__(self, host: str, port: int, app: ASGIApp, tls: ssl.SSLContext | None = None) -> None:
        import uvicorn

        host = bare_host(host)
        self._socket = _listen(host, port)
        self.address = authority(host, self._socket.getsockname()[1])
        config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            loop="asyncio",
            log_config=None,
            log_level="error",  # a client's faults are no news
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            h11_max_incomplete_event_size=HEAD_BYTES,
            timeout_keep_alive=_IDLE_S,
            timeout_graceful_shutdown=_END_S,
        )
        config.load()
        config.ssl = tls
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        if self._server.config.ssl is not None:  # uvicorn has no option for how long a handshake may take
            loop.create_server = partial(loop.create_server, ssl_handshake_timeout=HEAD_S)  # type: ignore[method-assign]
        await self._server.serve(sockets=[self._socket])

    def close(self) -> None:
        """Stop listening; a reply that takes longer than a second to write is cut off."""
        self._server.should_exit = True
        self._thread.join()


def _listen(host: str, port: int) -> socket.socket:
    address = addresses_of(host, port)[0]
    try:
        it = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"{explain(host, port, error)} (--http)") from error
    try:
        it.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        it.bind((address, port))
        it.listen(_BACKLOG)
    except OSError as error:
        it.close()
        raise ConfigError(f"{explain(host, port, error)} (--http)") from error
    return it

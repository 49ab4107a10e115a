"""A small HTTP server in a thread: `/metrics` for Prometheus, `/healthz` for probes, and what else it is given."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

from cloud_server.listening import addresses_of, bare_host, explain
from edge_sdk.errors import ConfigError
from edge_sdk.security.place import authority

_log = logging.getLogger(__name__)


class Endpoint:
    """Serves from its construction until `close`.

    Args:
        host: address to listen on.
        port: 0 takes a free one.
        registry: the metrics.
        is_serving: whether `/healthz` says 200 "serving", or 503 "not serving".
        open_inference: answers `/v2` and the paths below it; None: there are none.

    Attributes:
        address: "host:port", in brackets where the host is IPv6.

    Raises:
        ConfigError: it cannot listen there; the message says why.
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        is_serving: Callable[[], bool],
        open_inference: WSGIApplication | None = None,
    ) -> None:
        metrics = make_wsgi_app(registry)

        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            path = str(environ.get("PATH_INFO", ""))
            if open_inference is not None and f"{path}/".startswith("/v2/"):
                return open_inference(environ, start_response)
            if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
                status, text = "405 Method Not Allowed", "GET only"
            elif path == "/metrics":
                found: Iterable[bytes] = metrics(environ, start_response)
                return found
            elif path == "/healthz":
                status, text = ("200 OK", "serving") if is_serving() else ("503 Service Unavailable", "not serving")
            else:
                status, text = "404 Not Found", "there are /metrics and /healthz"
            start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
            return [f"{text}\n".encode()]

        host = bare_host(host)
        address = addresses_of(host, port)[0]
        try:
            self._server = (_Server6 if ":" in address else _Server)((address, port), _Handler)
        except OSError as error:
            raise ConfigError(f"{explain(host, port, error)} (--http-host, --http-port)") from error
        self._server.set_app(app)
        self.address = authority(host, self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; what is being read is cut off with the process."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = True

    def server_bind(self) -> None:
        """Bind without the look-up of this machine's name that the base class makes: DNS may hang."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no news."""
        _log.debug("an HTTP client left", exc_info=True)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds for a client to say what it wants
    protocol_version = "HTTP/1.1"  # lets clients ask whether to go on (Expect); each connection is of one request

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are logged at level debug alone."""
        _log.debug("%s %r", self.client_address[0], format % args)

"""The HTTP form of the protocol, a part of the server's HTTP endpoint: the same tokens and limits as over gRPC.

The HTTP thread reads and writes; whoever calls, and what is answered, is decided on the devices' event loop.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from cloud_server.access.authenticator import Authenticator, Caller, TooManyStreams, Unauthenticated, address_of
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.failures import failure_of, outcome_of, tell_failure
from cloud_server.api.request import BadRequest, NotServed
from cloud_server.fleet.stats import Stats
from cloud_server.http.body import drop_body
from cloud_server.open_inference.json_form import plain, read_request, write_response
from cloud_server.open_inference.repository import Repository
from cloud_server.open_inference.served_model import EXTENSIONS, SERVER
from edge_sdk import __version__
from edge_sdk.errors import EdgeError

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

T = TypeVar("T")
Reply = tuple[HTTPStatus, bytes, int | None]

REQUESTS, REQUESTS_OF_ONE = 32, 8
"""Requests that are read or answered at a time, of all callers and of one."""
BODY_S = 60.0
"""Seconds in which a body must have come."""
_JSON_SIZE = "Inference-Header-Content-Length"
_MODEL = re.compile(
    r"/v2/models/(?P<name>[^/]+)(/versions/(?P<version>[^/]+))?(/(?P<what>ready|config|stats|infer))?/?"
)
_STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


class _Refused(EdgeError):
    """A request that is refused before its body is read.

    Args:
        status: of the reply.
        message: for the client.
    """

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class HttpForm:
    """An ASGI application for the paths below `/v2`; made on the devices' event loop, called on that of HTTP.

    Args:
        repository: has the models.
        authenticator: knows the tokens.
        stats: counts refusals.
        refusals: logs who is refused.
        is_serving: whether the server as a whole answers.
        is_open: whether it takes requests, whichever models answer.
        max_bytes: of a body.
    """

    def __init__(
        self,
        repository: Repository,
        authenticator: Authenticator,
        stats: Stats,
        refusals: RefusalLog,
        is_serving: Callable[[], bool],
        is_open: Callable[[], bool],
        max_bytes: int,
    ) -> None:
        self._repository, self._is_open = repository, is_open
        self._authenticator, self._stats, self._refusals = authenticator, stats, refusals
        self._is_serving, self._max_bytes = is_serving, max_bytes
        self._loop = asyncio.get_running_loop()
        self._open: Counter[str] = Counter()
        self._nothing_open = asyncio.Event()
        self._nothing_open.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        client = scope["client"]
        caller: Caller | None = None
        was_read = False

        async def read() -> Message:
            nonlocal was_read
            message = await receive()
            was_read = not message.get("more_body", False)
            return message

        try:
            try:
                caller = await self._on_loop(self._enter(headers.get("authorization"), client[0] if client else ""))
                status, body, json_size = await self._answer(scope, headers, read, caller)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                status, body, json_size = _told(_Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the server is going down"))
            except Exception as error:
                status, body, json_size = _told(error)
                if "expect" not in headers and not was_read:  # who waits to be asked sends none
                    await drop_body(receive, 2 * self._max_bytes)
            told = [("content-type", "application/json" if json_size is None else "application/octet-stream")]
            told.append(("content-length", str(len(body))))
            if json_size is not None:
                told.append((_JSON_SIZE.lower(), str(json_size)))
            if status is HTTPStatus.UNAUTHORIZED:
                told.append(("www-authenticate", "Bearer"))
            encoded = [(name.encode(), value.encode()) for name, value in told]
            await send({"type": "http.response.start", "status": status.value, "headers": encoded})
            await send({"type": "http.response.body", "body": body})
        finally:
            self._written(caller)

    async def _on_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    async def _enter(self, authorization: str | None, address: str) -> Caller:
        """The caller, counted among those that are served now."""
        named = address_of(f"{'ipv6' if ':' in address else 'ipv4'}:{address}:0")
        metadata = [] if authorization is None else [("authorization", authorization)]
        try:
            caller = self._authenticator.token_of(metadata) or Caller(f"address {named}", is_proven=False)
            for taken, most, whose in (
                (self._open[caller.name], REQUESTS_OF_ONE, "one caller"),
                (self._open.total(), REQUESTS, "all callers"),
            ):
                if taken >= most:
                    raise TooManyStreams(f"expected at most {most} requests of {whose} at a time; got another")
        except EdgeError as error:
            self._stats.refusals += 1
            shown = f" ({error.shown})" if isinstance(error, Unauthenticated) else ""
            self._refusals.tell((f"address {named}", type(error).__name__), f"a request from {named}{shown}", error)
            raise
        self._open[caller.name] += 1
        self._nothing_open.clear()
        return caller

    def _written(self, caller: Caller | None) -> None:
        if caller is not None:
            with suppress(RuntimeError):  # the loop has ended, and no one counts
                self._loop.call_soon_threadsafe(self._leave, caller)

    def _leave(self, caller: Caller) -> None:
        self._open[caller.name] -= 1
        self._open += Counter()  # drops names without requests
        if not self._open:
            self._nothing_open.set()

    async def finished(self) -> None:
        """Return once the replies to all requests of now have been written."""
        await self._nothing_open.wait()

    async def _answer(self, scope: Scope, headers: dict[str, str], receive: Receive, caller: Caller) -> Reply:
        path, method = scope["path"], scope["method"]
        match = _MODEL.fullmatch(path)
        is_infer = match is not None and match["what"] == "infer"
        wanted = "POST" if is_infer or path == "/v2/repository/index" else "GET"
        if method != wanted:
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"expected {wanted} for this path; got {method[:16]}")
        if match is not None and path != "/v2/models/stats":
            name, version = match["name"], match["version"] or ""
            if not is_infer:
                return await self._on_loop(self._tell_model(name, version, match["what"]))
            body, json_size = await self._body(headers, receive)
            return await self._on_loop(self._infer(name, version, body, json_size, caller))
        return await self._on_loop(self._tell_server(path))

    async def _tell_server(self, path: str) -> Reply:
        status = HTTPStatus.OK
        told: Any = {}
        if path in ("/v2", "/v2/"):
            told = {"name": SERVER, "version": __version__, "extensions": EXTENSIONS}
        elif path == "/v2/health/live":
            told = {"live": True}
        elif path == "/v2/health/ready":
            is_ready = self._is_serving()
            told, status = {"ready": is_ready}, _readiness(is_ready)
        elif path == "/v2/models/stats":
            told = {"model_stats": [plain(one) for one in self._repository.statistics()]}
        elif path == "/v2/repository/index":
            told = [plain(one) for one in self._repository.index(is_open=self._is_open())]
        else:
            raise NotServed("expected a path of the protocol, such as /v2/models/NAME/infer; got another")
        return status, json.dumps(told).encode(), None

    async def _tell_model(self, name: str, version: str, what: str | None) -> Reply:
        repository, status = self._repository, HTTPStatus.OK
        told: Any
        if what == "ready":
            is_ready = repository.find(name, version).is_ready and self._is_open()
            told, status = {"name": name, "ready": is_ready}, _readiness(is_ready)
        elif what == "config":
            told = plain(repository.config(name, version))
        elif what == "stats":
            told = {"model_stats": [plain(one) for one in repository.statistics(name, version)]}
        else:
            told = plain(repository.metadata(name, version))
        return status, json.dumps(told).encode(), None

    async def _infer(self, name: str, version: str, body: bytes, json_size: int | None, caller: Caller) -> Reply:
        try:
            self._repository.find(name, version)  # before its body is parsed
            request, binary = await asyncio.to_thread(read_request, body, json_size)
            del body
            request.model_name, request.model_version = name, version
            response = await self._repository.infer(request, caller)
        except Exception as error:
            tell_failure(self._refusals, caller, error)
            raise
        return HTTPStatus.OK, *write_response(response, binary)

    async def _body(self, headers: dict[str, str], receive: Receive) -> tuple[bytes, int | None]:
        if headers.get("transfer-encoding"):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "expected Content-Length; got Transfer-Encoding")
        if headers.get("content-encoding", "identity") != "identity":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected a body that is not compressed; got another")
        size = _number(headers.get("content-length"), "Content-Length")
        if size is None:
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "expected Content-Length; got none")
        if size > self._max_bytes:
            raise _Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {self._max_bytes:,} bytes; got {size:,}"
            )
        json_size = _number(headers.get(_JSON_SIZE.lower()), _JSON_SIZE)
        parts, has_more = bytearray(), True
        async with asyncio.timeout(BODY_S):
            while has_more:
                message = await receive()
                if message["type"] != "http.request":
                    raise BadRequest(f"expected {size:,} bytes as Content-Length says; got {len(parts):,}")
                parts += message.get("body", b"")
                has_more = message.get("more_body", False)
        return bytes(parts), json_size


def _readiness(is_ready: bool) -> HTTPStatus:
    return HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE


def _told(error: Exception) -> Reply:
    """The reply for an error; only the message of an expected one is sent."""
    if isinstance(error, _Refused):
        status, message = error.status, str(error)
    elif isinstance(error, TimeoutError | OSError):
        status, message = HTTPStatus.REQUEST_TIMEOUT, "expected the whole body; it did not come in time"
    else:
        status = _STATUSES.get(outcome_of(error).status, HTTPStatus.INTERNAL_SERVER_ERROR)
        message = failure_of(error).message
    return status, json.dumps({"error": message}).encode(), None


def _number(text: str | None, name: str) -> int | None:
    if text is None or text == "":
        return None
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise BadRequest(f"expected a number of bytes in {name}; got {text[:16]!r}")
    return int(text)

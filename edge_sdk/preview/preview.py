"""The preview of a running device: what is asked for, and what is answered."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import tzinfo
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.fleet.health import HealthReader
from edge_sdk.pipeline.classifier import EdgeClassifier
from edge_sdk.preview import page
from edge_sdk.preview.access import FILE, Access, own_names, shown_host, token_of
from edge_sdk.preview.gauges import gauges, meters
from edge_sdk.preview.live import Live
from edge_sdk.preview.page import State
from edge_sdk.preview.server import Reply, Request, Server
from edge_sdk.preview.settings import PreviewSettings
from edge_sdk.preview.visits import Visits
from edge_sdk.terminal.line import one_line
from edge_sdk.types import Answer, Frame

_log = logging.getLogger(__name__)

_KEY = re.compile(r"/visits/([0-9a-f]{32})", re.ASCII)
_SILENT_S = 5.0
_BETWEEN = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"
_STREAM = "multipart/x-mixed-replace; boundary=frame"


class Preview:
    """Serves a page while its block runs. Nothing that goes wrong with it stops the device.

    Args:
        edge: the device.
        settings: where it is served, and how much of it.
        title: the device's name.
        zone: in which times are told; None: the machine's.
        away: why the camera gives no frames; "" where it does.
        asleep: until when the camera sleeps; "" where it does not.
        health: reads how the device is; None: as reports do.
    """

    def __init__(
        self,
        edge: EdgeClassifier,
        settings: PreviewSettings,
        *,
        title: str = "edge-sdk",
        zone: tzinfo | None = None,
        away: Callable[[], str] = lambda: "",
        asleep: Callable[[], str] = lambda: "",
        health: HealthReader | None = None,
    ) -> None:
        self._edge, self._settings, self._title, self._zone = edge, settings, title, zone
        self._away, self._asleep = away, asleep
        self._health = health or _reader(edge)
        self._visits = Visits(edge)
        self._live = Live(edge.shown, settings, needs_answer=lambda: edge.hides, on_drawn=self._visits.drawn)
        self._access: Access | None = None
        self._server: Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it is served, without the token; "" as long as it is not."""
        return f"http://{shown_host(self._settings.host)}:{self._port}/" if self._port else ""

    def __enter__(self) -> Self:
        if self._settings.http is not None:
            self._server = Server(self._settings.host, self._settings.port, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.close()
        if self._server is not None:
            self._server.close()

    def over(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The camera's frames, each shown once the loop is done with it."""
        return self._live.over(frames)

    def answered(self, frame: Frame, answer: Answer) -> None:
        """Take the device's word on a frame."""
        self._live.answered(frame, answer)

    def listening(self, port: int) -> None:
        """It is served now: the token is there from here on, and the log says where to look."""
        self._port = port
        known = [*own_names(), *self._settings.names, self._settings.host]
        token, shown = "", ""
        if self._settings.needs_token:
            path = Path(self._settings.token_file or self._edge.state_dir / FILE)
            try:
                token, is_new = token_of(path)
            except ConfigError as error:
                _log.error("there is no preview: %s", error)
                return
            shown = f" (its token is in {path})"
            if is_new:
                shown = f"?token={token} (the token is shown this once; it is in {path})"
        self._access = Access(token, known, port)
        _log.info("preview: %s%s", self.url, shown)

    def get(self, request: Request, send: Callable[[Reply], None]) -> None:
        """Answer a request."""
        access = self._access
        if access is None:
            send(_plain(HTTPStatus.SERVICE_UNAVAILABLE, "The preview has no token: the log says why."))
        elif not access.knows_host(request.headers.get("Host")):
            said = "This device is not known by that name: name it in preview.names, or use its address."
            send(_plain(HTTPStatus.MISDIRECTED_REQUEST, said))
        elif request.headers.get("Sec-Fetch-Site") == "cross-site" and request.path != "/":
            send(_plain(HTTPStatus.FORBIDDEN, "Other sites may not use this."))
        elif request.path in page.FILES:
            send(Reply(page.file(request.path), page.FILES[request.path]))
        elif request.path == "/" and "token" in request.query and access.needs_token:
            if access.is_token(request.query["token"].strip()):
                send(Reply(page.opened(self._title).encode(), headers={"Set-Cookie": access.cookie}))
            else:
                send(self._door(wrong=True))
        elif not access.admits(request.headers):
            send(self._door(wrong=False))
        else:
            self._get(request.path, request.query.get("viewer", ""), send)

    def _get(self, path: str, viewer: str, send: Callable[[Reply], None]) -> None:
        if path == "/":
            side = self._settings.side
            parts = self._parts(viewer)
            send(Reply(page.page(self._title, parts, (side, side * 3 // 4), hides=self._edge.hides).encode()))
        elif path == "/now":
            send(Reply("\n".join(self._parts(viewer).values()).encode()))
        elif path == "/live":
            with self._live.viewing(viewer) as pictures:
                if pictures is None:
                    send(
                        _plain(
                            HTTPStatus.SERVICE_UNAVAILABLE, "Too many are looking: preview.viewers says how many may."
                        )
                    )
                else:
                    send(Reply((_BETWEEN % (len(jpeg), jpeg) for jpeg in pictures), _STREAM))
        elif match := _KEY.fullmatch(path):
            picture = self._picture(match[1])
            if picture is None:
                send(_plain(HTTPStatus.NOT_FOUND, "There is no picture of this visit."))
            else:
                send(Reply(picture, "image/webp" if picture[8:12] == b"WEBP" else "image/jpeg"))
        else:
            send(_plain(HTTPStatus.NOT_FOUND, "There is no such page."))

    def _parts(self, viewer: str) -> dict[str, str]:
        """The parts of the page that change."""
        edge, zone = self._edge, self._zone
        try:
            visits = self._visits.latest()
        except StorageError as error:
            _log.warning("the preview cannot tell of visits: %s", error)
            visits = []
        found = gauges(self._health.read(), edge.link, edge.link_message, edge.waiting, zone, edge.server)
        return {
            "state": page.state(self._state(), looking=self._live.is_seen_by(viewer)),
            "said": page.said(self._live.answer, zone),
            "visits": page.visits(visits, zone, no_cloud=self._visits.waits_for_nobody()),
            "budgets": page.budgets(meters(edge.usage)),
            "health": page.health(found),
        }

    def _picture(self, key: str) -> bytes | None:
        try:
            return self._visits.picture(key)
        except StorageError:
            return None

    def _state(self) -> State:
        if away := self._away():
            return State("away", f"The camera is away: {one_line(away, 160)}")
        if asleep := self._asleep():
            return State("asleep", f"Asleep {asleep}")
        silent_s = self._live.silent_s
        if silent_s is None:
            return State("waiting", "Waiting for the camera")
        if silent_s > _SILENT_S:
            return State("waiting", f"No picture for {silent_s:.0f} s")
        return State("live", "Live")

    def _door(self, *, wrong: bool) -> Reply:
        body = page.door(self._title, wrong).encode()
        return Reply(body, status=HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})


def _reader(edge: EdgeClassifier) -> HealthReader:
    from edge_sdk.durable.clock import SystemClock
    from edge_sdk.duty.supply import KernelSupply, measures_of

    manifest = edge.bundle.manifest
    return HealthReader(
        edge.state_dir, f"{manifest.name} {manifest.version}", SystemClock().wall_s, measures_of(KernelSupply())
    )


def _plain(status: HTTPStatus, text: str) -> Reply:
    return Reply(f"{text}\n".encode(), "text/plain; charset=utf-8", status)

"""What the page is made of: what it reads and changes, its templates, and lists that several addresses show."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from cloud_server.fleet.archive_index import ArchiveIndex
from cloud_server.fleet.database.users import Role
from cloud_server.fleet.expected import Expected, expected
from cloud_server.fleet.fleet import Fleet
from cloud_server.fleet.report_pages import Place
from cloud_server.fleet.report_queries import FrameRow, ReportQueries
from cloud_server.fleet.tallies import Tallies
from cloud_server.http.page.access import Access, Proxy
from cloud_server.http.page.device_keys import Keys
from cloud_server.http.page.fleet_view import DeviceView, FleetView, moment
from edge_sdk.errors import ConfigError, EdgeError

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class PageParts:
    """What the page reads and changes.

    Attributes:
        fleet: people, labels, cards, settings, tokens, and where the reports are.
        tallies: audits and events by device.
        archive: folder of the frame archive; None: there are no pictures.
        tokens: the tokens file; None: there is none.
        issues_tokens: devices that have a token of the fleet's database are let in.
        proxy: signs people in; None: passwords do.
    """

    fleet: Fleet
    tallies: Tallies
    archive: Path | None = None
    tokens: Path | None = None
    issues_tokens: bool = False
    proxy: Proxy | None = None


class Page:
    """Renders; used in any thread.

    Args:
        parts: what it reads and changes.
    """

    def __init__(self, parts: PageParts) -> None:
        self.parts = parts
        self.access = Access(parts.fleet.users, parts.proxy)
        self.keys = Keys(parts.fleet.tokens if parts.issues_tokens else None, parts.tokens)
        self.view = FleetView()
        self._reports: ReportQueries | None = None
        self.index = None if parts.archive is None else ArchiveIndex(parts.archive)
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.filters.update(moment=moment, q=lambda text: quote(str(text), safe=""))

    def reports(self) -> ReportQueries | None:
        """The file of reports; None before the first one."""
        if self._reports is None:
            with suppress(EdgeError):
                rows = self.parts.fleet.rows()
                self._reports = None if rows is None else ReportQueries(rows)
        return self._reports

    def render(self, request: Request, name: str, /, *, status: int = 200, **values: Any) -> Response:
        """A template for whoever asks."""
        person = values.pop("person", None) or self.access.person(request)
        shared = {
            "person": person,
            "form_key": self.access.form_key(request),
            "path": request.url.path,
            "by_proxy": self.access.proxy is not None,
            "may_label": person is not None and person.role.allows(Role.LABEL),
            "may_operate": person is not None and person.role.allows(Role.OPERATE),
        }
        return HTMLResponse(self._templates.get_template(name).render({**shared, **values}), status)

    def devices(self) -> list[DeviceView]:
        """All devices, those in trouble first."""
        reports = self.reports()
        if reports is None:
            return []
        tallies, cards = self.parts.tallies.read(), self.parts.fleet.cards.all()
        labelled = self.parts.fleet.labelled_audits.read()
        views = [
            self.view.of(row, tallies.get(row.device), cards.get(row.device), labelled.get(row.device, ()))
            for row in reports.devices()
        ]
        return sorted(views, key=lambda one: one.rank)

    def device(self, name: str) -> DeviceView | None:
        """One device; None: it has not reported."""
        reports = self.reports()
        row = None if reports is None else reports.device(name)
        if row is None:
            return None
        fleet = self.parts.fleet
        labelled = fleet.labelled_audits.read().get(name, ())
        return self.view.of(row, self.parts.tallies.read().get(name), fleet.cards.get(name), labelled)

    def expected(self) -> list[Expected]:
        """Devices that people expect, of which no report is kept."""
        reports = self.reports()
        tokens = set[str]()
        with suppress(ConfigError):  # of a tokens file that cannot be read, the page of tokens and the log tell
            tokens = {one.name for one in self.keys.known()}
        return expected(self.parts.fleet, tokens, reports.names() if reports else ())

    def frames(
        self,
        limit: int,
        *,
        device: str = "",
        only_cloud: bool = True,
        only_audits: bool = False,
        before: Place | None = None,
        after: Place | None = None,
    ) -> list[FrameRow]:
        """The latest frames, as `ReportQueries.latest`."""
        reports = self.reports()
        if self.index is not None:
            self.index.look()
        if reports is None:
            return []
        which = {"only_cloud": only_cloud, "only_audits": only_audits}
        return reports.latest(limit, device=device, **which, before=before, after=after)

    def shown(self, frames: list[FrameRow]) -> list[dict[str, Any]]:
        """Frames with their pictures and people's labels, those of one visit once: the one with a picture first."""
        labels = self.parts.fleet.labels.of((one.device, one.frame_id) for one in frames)
        visits: dict[tuple[str, str], dict[str, Any]] = {}
        for frame in frames:
            key = frame.device, frame.event_id
            picture = None if self.index is None else self.index.find(frame.frame_id, frame.device)
            known = visits.get(key)
            if known is None or (known["picture"] is None and picture is not None):
                label = labels.get((frame.device, frame.frame_id))
                count = 1 if known is None else known["count"] + 1
                visits[key] = {"frame": frame, "picture": picture, "label": label, "count": count}
            else:
                known["count"] += 1
        return sorted(visits.values(), key=lambda one: one["frame"].captured_at, reverse=True)

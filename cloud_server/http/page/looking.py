"""What everybody who is signed in may look at: devices, events, pictures."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response

from cloud_server.fleet.database.cards import Card
from cloud_server.fleet.database.users import Role
from cloud_server.fleet.expected import forget
from cloud_server.fleet.report_pages import Place
from cloud_server.http.page.drawing import DAY_MS, HOUR_MS, curve, fleet_map
from cloud_server.http.page.fleet_view import curves_of, dots_of
from cloud_server.http.page.forms import Text, seen, tried
from cloud_server.http.page.page import Page
from cloud_server.http.page.settings_form import words_of

_EVENTS = 60
"""Frames of which the latest visits are shown."""
_DEVICES = 100
"""Devices on one page of the list."""
_SPANS = {"day": 1, "week": 7, "month": 31, "year": 366}


def add_looking(router: APIRouter, page: Page) -> None:
    """Put these addresses into a router."""
    access, cards = page.access, page.parts.fleet.cards

    @router.get("/")
    def devices(request: Request, after: str = "") -> Response:
        access.need(request, Role.LOOK)
        views = page.devices()
        known = next((one.rank for one in views if one.name == after), (False, ""))
        shown = [one for one in views if one.rank > known][: _DEVICES + 1]
        is_last, shown = len(shown) <= _DEVICES, shown[:_DEVICES]
        dots = dots_of(views)
        links = {dot.name: f"/devices/{quote(dot.name, safe='')}" for dot in dots}
        drawn = fleet_map(dots, links) if dots else None
        return page.render(
            request,
            "devices.html",
            devices=shown,
            count=len(views),
            map=drawn,
            placed=len(dots),
            after=after,
            is_last=is_last,
            expected=page.expected() if is_last else [],
        )

    @router.get("/devices/{name:path}")
    def device(request: Request, name: str, span: str = "week") -> Response:
        access.need(request, Role.LOOK)
        view = page.device(name)
        reports = page.reports()
        if view is None or reports is None:
            found = next((one for one in page.expected() if one.name == name), None)
            if found is None:
                raise HTTPException(404, f"no device {name[:80]} has reported, and nobody expects one of that name")
            return page.render(request, "expected.html", device=found, card=found.card or Card(name))
        until_ms = round(page.view.now_s() * 1000)
        since_ms = until_ms - _SPANS.get(span, 7) * DAY_MS
        began_ms = max(since_ms, min(view.first_ms, until_ms - HOUR_MS))  # of a device that began within the span
        curves = [
            (title, curve([(max(at, began_ms), value) for at, value in points], began_ms, until_ms, title, unit))
            for title, unit, points in curves_of(reports.history(name, since_ms))
        ]
        events = page.shown(page.frames(12, device=name))
        tally = page.parts.tallies.read().get(name)
        counts = sorted(tally.events.items(), key=lambda one: -one[1])[:12] if tally else []
        held = view.said[0].held
        waits = page.parts.fleet.settings.on_the_way(name, held.version) if held.takes else None
        return page.render(
            request,
            "device.html",
            on_the_way=None if waits is None else words_of(waits),
            device=view,
            curves=curves,
            events=events,
            counts=counts,
            span=span,
            spans=_SPANS,
            card=cards.get(name),
        )

    @router.post("/card")
    def card(
        request: Request,
        key: Text,
        device: Text,
        latitude: Text = "",
        longitude: Text = "",
        group: Text = "",
        note: Text = "",
        since: Text = "",
    ) -> Response:
        access.check_form(request, key)
        person = access.need(request, Role.OPERATE)
        try:
            degrees = [float(text.replace(",", ".")) if text.strip() else None for text in (latitude, longitude)]
        except ValueError:
            raise HTTPException(422, "expected degrees as numbers, such as 46.5 and 9.8") from None
        given = Card(device, degrees[0], degrees[1], group.strip(), note.strip())
        tried(lambda: cards.put(given, person.name, seen(since)))
        return RedirectResponse(f"/devices/{quote(device, safe='')}", 303)

    @router.post("/forget")
    def forgotten(request: Request, key: Text, device: Text) -> Response:
        access.check_form(request, key)
        person = access.need(request, Role.OPERATE)
        if page.device(device) is not None:
            raise HTTPException(409, f"{device[:80]} has reported meanwhile: it is no longer a device that is expected")
        tried(lambda: forget(page.parts.fleet, device, person.name))
        return RedirectResponse("/", 303)

    @router.get("/events")
    def events(
        request: Request, device: str = "", which: str = "cloud", before: str = "", after: str = "", until: str = ""
    ) -> Response:
        access.need(request, Role.LOOK)
        earlier = tried(lambda: Place.parse(before)) if before else _end_of(until) if until else None
        later = tried(lambda: Place.parse(after)) if after else None
        if earlier is None and later is None:  # a clock that runs far ahead does not stand before all others
            earlier = Place(round(page.view.now_s() * 1000) + DAY_MS, 0)
        frames = page.frames(_EVENTS + 1, device=device, only_cloud=which != "all", before=earlier, after=later)
        has_more, frames = len(frames) > _EVENTS, frames[-_EVENTS:] if later else frames[:_EVENTS]
        found = page.shown(frames)
        reports = page.reports()
        names = reports.names() if reports else []
        has_archive = page.index is not None
        values: dict[str, Any] = {
            "events": found,
            "device": device,
            "which": which,
            "names": names,
            "has_archive": has_archive,
            "older": frames[-1].place if frames and (has_more or later) else None,
            "newer": frames[0].place if frames and (has_more if later else before or until) else None,
            "until": until,
        }
        return page.render(request, "events.html", **values)

    @router.get("/pictures/{frame_id}")
    def picture(request: Request, frame_id: str, device: str) -> Response:
        access.need(request, Role.LOOK)
        found = None if page.index is None else page.index.find(frame_id, device)
        if found is None:
            raise HTTPException(404, "the archive has no such picture")
        return FileResponse(found.path, headers={"Cache-Control": "private, max-age=3600"})


def _end_of(day: str) -> Place:
    """Before which the frames of a day (UTC) and of all before it stand."""
    try:
        after = datetime.combine(date.fromisoformat(day) + timedelta(days=1), datetime.min.time(), UTC)
    except (ValueError, OverflowError):
        raise HTTPException(422, "expected a day, such as 2026-11-28") from None
    return Place(round(after.timestamp() * 1000), 0)

"""What everybody who is signed in may look at: devices, events, pictures."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response

from cloud_server.fleet.database.cards import Card
from cloud_server.fleet.database.users import Role
from cloud_server.http.page.drawing import DAY_MS, curve, fleet_map
from cloud_server.http.page.fleet_view import curves_of, dots_of
from cloud_server.http.page.forms import Text, tried
from cloud_server.http.page.page import Page

_EVENTS = 60
"""Frames of which the latest visits are shown."""
_SPANS = {"day": 1, "week": 7, "month": 31, "year": 366}


def add_looking(router: APIRouter, page: Page) -> None:
    """Put these addresses into a router."""
    access, cards = page.access, page.parts.fleet.cards

    @router.get("/")
    def devices(request: Request) -> Response:
        access.need(request, Role.LOOK)
        views = page.devices()
        dots = dots_of(views)
        links = {dot.name: f"/devices/{quote(dot.name, safe='')}" for dot in dots}
        drawn = fleet_map(dots, links) if dots else None
        return page.render(request, "devices.html", devices=views, map=drawn, placed=len(dots))

    @router.get("/devices/{name:path}")
    def device(request: Request, name: str, span: str = "week") -> Response:
        access.need(request, Role.LOOK)
        view = next((one for one in page.devices() if one.name == name), None)
        reports = page.reports()
        if view is None or reports is None:
            raise HTTPException(404, f"no device {name[:80]} has reported")
        until_ms = round(page.view._clock() * 1000)
        since_ms = until_ms - _SPANS.get(span, 7) * DAY_MS
        curves = [
            (title, curve([(max(at, since_ms), value) for at, value in points], since_ms, until_ms, title, unit))
            for title, unit, points in curves_of(reports.history(name, since_ms))
        ]
        events = page.shown(page.frames(12, device=name))
        tally = page.parts.tallies.read().get(name)
        counts = sorted(tally.events.items(), key=lambda one: -one[1])[:12] if tally else []
        return page.render(
            request,
            "device.html",
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
    ) -> Response:
        access.check_form(request, key)
        person = access.need(request, Role.OPERATE)
        try:
            degrees = [float(text.replace(",", ".")) if text.strip() else None for text in (latitude, longitude)]
        except ValueError:
            raise HTTPException(422, "expected degrees as numbers, such as 46.5 and 9.8") from None
        given = Card(device, degrees[0], degrees[1], group.strip(), note.strip())
        tried(lambda: cards.put(given, person.name))
        return RedirectResponse(f"/devices/{quote(device, safe='')}", 303)

    @router.get("/events")
    def events(request: Request, device: str = "", which: str = "cloud") -> Response:
        access.need(request, Role.LOOK)
        found = page.shown(page.frames(_EVENTS, device=device, only_cloud=which != "all"))
        reports = page.reports()
        names = [row.device for row in reports.devices()] if reports else []
        has_archive = page.index is not None
        values: dict[str, Any] = {
            "events": found,
            "device": device,
            "which": which,
            "names": names,
            "has_archive": has_archive,
        }
        return page.render(request, "events.html", **values)

    @router.get("/pictures/{frame_id}")
    def picture(request: Request, frame_id: str, device: str) -> Response:
        access.need(request, Role.LOOK)
        found = None if page.index is None else page.index.find(frame_id, device)
        if found is None:
            raise HTTPException(404, "the archive has no such picture")
        return FileResponse(found.path, headers={"Cache-Control": "private, max-age=3600"})

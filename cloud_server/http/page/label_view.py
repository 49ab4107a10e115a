"""The view for people who say what pictures show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from cloud_server.fleet.database.users import Role
from cloud_server.fleet.label_files import labels_table
from cloud_server.fleet.report_pages import Place
from cloud_server.fleet.report_queries import FrameRow
from cloud_server.http.page import labelling
from cloud_server.http.page.drawing import DAY_MS
from cloud_server.http.page.forms import Text, tried
from cloud_server.http.page.page import Page

_ASKED, _AUDITS, _AHEAD = 2000, 500, 100
"""People are asked about the latest audits and other frames that the cloud answered. Those of devices whose clock runs
ahead stand before all others: some of them, so that they are not all that is asked.
"""


def said_by_all(counts: Mapping[tuple[str, str], int]) -> Counter[str]:
    """How often each class was said, of counts by class and by who said it."""
    found = Counter[str]()
    for (label, _), count in counts.items():
        found[label] += count
    return found


def add_labelling(router: APIRouter, page: Page) -> None:
    """Put these addresses into a router."""
    access, kept = page.access, page.parts.fleet.labels

    desks = labelling.Desks(lambda: page.view.now_s())

    def candidates(device: str) -> list[FrameRow]:
        now = Place(round(page.view.now_s() * 1000) + DAY_MS, 0)
        audits = page.frames(_AUDITS, device=device, only_audits=True, before=now)
        ahead = page.frames(_AHEAD, device=device, after=now)
        return [*audits, *page.frames(_ASKED, device=device, before=now), *ahead]

    def has_picture(frame_id: str) -> bool:
        return page.index is not None and page.index.has(frame_id)

    @router.get("/label")
    def label(request: Request, device: str = "", said: str = "") -> Response:
        person = access.need(request, Role.LABEL)
        counts = kept.counts()
        frames = candidates(device)
        asked = labelling.waiting(frames, kept.of((one.device, one.frame_id) for one in frames), has_picture)
        asked = desks.order(person.name, asked)
        frame = asked[0] if asked else None
        mine = sum(count for (_, by), count in counts.items() if by == person.name)
        values: dict[str, Any] = {"frame": frame, "left": len(asked), "mine": mine, "device": device, "said": said[:80]}
        if frame is not None and page.index is not None:
            values |= {
                "picture": page.index.find(frame.frame_id, frame.device),
                "why": labelling.why(frame),
                "choices": labelling.choices(frame, frames, said_by_all(counts)),
                "next": asked[1] if len(asked) > 1 else None,
            }
        return page.render(
            request, "label.html", has_archive=page.index is not None, total=sum(counts.values()), **values
        )

    @router.post("/label")
    def labelled(
        request: Request, key: Text, device: Text, frame_id: Text, answer: Text = "", other: Text = "", only: Text = ""
    ) -> Response:
        access.check_form(request, key)
        person = access.need(request, Role.LABEL)
        chosen = (other.strip() or answer).strip()[:200]
        reports = page.reports()
        if not chosen or not chosen.isprintable() or reports is None or reports.frame(device, frame_id) is None:
            raise HTTPException(422, "expected a class for a frame that was reported; choose one, or type it")
        tried(lambda: kept.add(device, frame_id, chosen, person.name))
        said = "no class fits" if chosen == labelling.NO_CLASS else chosen
        return RedirectResponse(f"/label?{urlencode({'device': only, 'said': said})}", 303)

    @router.post("/label/undo")
    def undo(request: Request, key: Text, only: Text = "") -> Response:
        access.check_form(request, key)
        person = access.need(request, Role.LABEL)
        kept.take_back(person.name)
        return RedirectResponse(f"/label?{urlencode({'device': only})}", 303)

    @router.get("/labels.csv")
    def table(request: Request) -> Response:
        access.need(request, Role.LOOK)
        text = labels_table(kept.all())
        name = {"Content-Disposition": 'attachment; filename="labels.csv"'}
        return Response(text, media_type="text/csv; charset=utf-8", headers=name)

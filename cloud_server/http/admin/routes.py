"""The routes of the admin API, each with the role that it needs: look, label or operate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ParamSpec, TypeVar

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteException

from cloud_server.fleet.database.cards import Card
from cloud_server.fleet.exit_accuracy import exit_accuracy
from cloud_server.fleet.fleet import Fleet
from cloud_server.fleet.labelled_audits import LabelledAudit
from cloud_server.fleet.report_pages import Place, ReportPages
from cloud_server.http.admin import forms
from cloud_server.http.admin.access import Desk, Labeller, Looker, Operator, TheDesk
from cloud_server.http.admin.problems import REFUSALS, ProblemRoute, refused
from edge_sdk import __version__
from edge_sdk.errors import ConfigError
from edge_sdk.fleet.report_file import DeviceRow, ReportFile

P = ParamSpec("P")
T = TypeVar("T")
PREFIX = "/api/v1"
After = Annotated[int, Query(ge=0, le=(1 << 62), description="The number of the last row that is known.")]
Limit = Annotated[int, Query(ge=1, le=forms.MOST)]
OfDevice = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$", description="Of this device alone.")]
Newest = Annotated[bool, Query(description="The newest first, by their time; the header Link names the next page.")]
Before = Annotated[
    str,
    Query(max_length=40, pattern=r"^(-?[0-9]{1,16}\.[0-9]{1,18})?$", description="Where a page ended, by its Link."),
]
BeforeDevice = Annotated[
    str, Query(max_length=240, pattern=r"^([0-9]{1,16}\.[^\x00]+)?$", description="Where a page ended, by its Link.")
]
SomeDevices = Annotated[
    int | None, Query(ge=1, le=forms.MOST, description="At most so many; the header Link names the next page.")
]
Device = Annotated[str, Path(max_length=200, pattern=r"^[^\x00]+$")]
FrameId = Annotated[str, Path(max_length=64, pattern=r"^[^\x00]+$")]
Target = Annotated[str, Path(min_length=1, max_length=200, description='A device, "group:NAME", or "*" for all.')]
UserName = Annotated[str, Path(min_length=1, max_length=64)]

ROUTES = APIRouter(prefix=PREFIX, route_class=ProblemRoute, responses=REFUSALS)


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows a caller asks for.

    Attributes:
        request: the call.
        response: gets the header `Link`.
        after: the number of the last row that is known.
        limit: most rows.
        device: of this device alone; "": of all.
        newest: the newest first, by their time.
        before: where the page before ended; "": there is none.
    """

    request: Request
    response: Response
    after: int
    limit: int
    device: str
    newest: bool
    before: str

    def of(
        self,
        in_order: Callable[[int, int, str], list[dict[str, Any]]],
        newest: Callable[[int, str, Place | None], list[dict[str, Any]]],
        at: str,
    ) -> list[dict[str, Any]]:
        """The rows; of a page by time the header names the one that follows.

        Args:
            in_order: gives them as they came, as `ReportPages.answers`.
            newest: gives them by their time, as `ReportPages.newest_answers`.
            at: the column of their time.
        """
        if not (self.newest or self.before):
            return in_order(self.after, self.limit, self.device)
        rows = newest(self.limit, self.device, Place.parse(self.before) if self.before else None)
        if len(rows) == self.limit:
            _link(self.request, self.response, str(Place(rows[-1][at], rows[-1]["number"])))
        return rows


def _page(
    request: Request,
    response: Response,
    after: After = 0,
    limit: Limit = forms.PAGE,
    device: OfDevice = "",
    newest: Newest = False,
    before: Before = "",
) -> Page:
    return Page(request, response, after, limit, device, newest, before)


ThePage = Annotated[Page, Depends(_page)]


def mount_admin(app: FastAPI, fleet: Fleet, is_serving: Callable[[], bool]) -> None:
    """Put the API into an application.

    Args:
        app: gets it, and its state `admin`.
        fleet: what is asked and changed.
        is_serving: whether the server answers devices.
    """
    app.add_exception_handler(StarletteException, refused)
    app.state.admin = Desk(fleet, is_serving)
    app.include_router(ROUTES)


@ROUTES.get("/openapi.json", include_in_schema=False)
def description() -> JSONResponse:
    """The description of this API (OpenAPI 3.1); it needs no key."""
    return JSONResponse(get_openapi(title="cloud-server", version=__version__, routes=ROUTES.routes))


@ROUTES.get("/health")
def health(desk: TheDesk, user: Looker) -> forms.HealthReply:
    """Whether the server answers devices."""
    return forms.HealthReply(serving=desk.is_serving(), database=desk.fleet.name)


@ROUTES.get("/devices")
def devices(
    request: Request,
    response: Response,
    desk: TheDesk,
    user: Looker,
    limit: SomeDevices = None,
    before: BeforeDevice = "",
) -> list[forms.DeviceReply]:
    """Devices that reported, the one with the latest report first: all, or page by page."""
    rows = desk.fleet.rows()
    if rows is None:
        return []
    cards = desk.fleet.cards.all()
    at_ms, _, name = before.partition(".")
    found = ReportFile(rows).devices(limit, after=(int(at_ms), name) if before else None)
    if limit is not None and len(found) == limit:
        _link(request, response, f"{found[-1].last_ms}.{found[-1].device}")
    labelled = desk.fleet.labelled_audits.read()
    return [_device(row, cards.get(row.device), labelled.get(row.device, ())) for row in found]


@ROUTES.get("/devices/{device:path}/card")
def card(desk: TheDesk, user: Looker, device: Device) -> forms.CardReply:
    """Where a device stands, its group and a note; empty where nobody said."""
    return _card(desk.fleet.cards.get(device), _has_reported(desk, device))


@ROUTES.put("/devices/{device:path}/card")
def put_card(desk: TheDesk, user: Operator, device: Device, form: forms.CardChange) -> forms.CardReply:
    """Say where a device stands, its group and a note, in place of what was said before; also before it reports."""
    said = Card(device, form.latitude, form.longitude, form.group, form.note)
    return _card(desk.fleet.cards.put(said, user.name, form.since_ms), _has_reported(desk, device))


@ROUTES.delete("/devices/{device:path}/card", status_code=204)
def remove_card(desk: TheDesk, user: Operator, device: Device) -> None:
    """Forget what was said of a device."""
    desk.fleet.cards.remove(device)


@ROUTES.get("/answers")
def answers(desk: TheDesk, user: Looker, page: ThePage) -> list[forms.AnswerReply]:
    """Final answers in the order in which they came; ask again with the last one's number for those that follow.

    With `newest` or `before` by the time of capture, the newest first: the header `Link` names the next page.
    """
    pages = _pages(desk)
    rows = [] if pages is None else page.of(pages.answers, pages.newest_answers, "captured_ms")
    people = desk.fleet.labels.of((row["device"], row["frame_id"]) for row in rows)
    replies = []
    for row in rows:
        word = people.get((row["device"], row["frame_id"]))
        replies.append(forms.AnswerReply(**_told(row), person_label=None if word is None else word.label))
    return replies


@ROUTES.get("/events")
def events(desk: TheDesk, user: Looker, page: ThePage) -> list[forms.EventReply]:
    """Visits that have ended, as answers; with `newest` or `before` by the time they began."""
    pages = _pages(desk)
    rows = [] if pages is None else page.of(pages.events, pages.newest_events, "began_ms")
    return [forms.EventReply(**_told(row)) for row in rows]


@ROUTES.get("/labels")
def labels(desk: TheDesk, user: Looker, device: OfDevice = "") -> list[forms.LabelReply]:
    """What people say of frames; of each frame the latest word."""
    return [forms.LabelReply.model_validate(one) for one in desk.fleet.labels.all(device)]


@ROUTES.put("/labels/{device:path}/{frame_id}")
def put_label(
    desk: TheDesk, user: Labeller, device: Device, frame_id: FrameId, form: forms.LabelForm
) -> forms.LabelReply:
    """Say what a frame shows; null takes back what was said."""
    return forms.LabelReply.model_validate(desk.fleet.labels.add(device, frame_id, form.label, user.name))


@ROUTES.get("/settings")
def changes(desk: TheDesk, user: Looker, limit: Limit = forms.PAGE) -> list[forms.ChangeReply]:
    """Who changed which settings when, the latest first."""
    return [forms.ChangeReply.model_validate(one) for one in desk.fleet.settings.history("", limit)]


@ROUTES.get("/settings/{target:path}")
def settings(desk: TheDesk, user: Looker, target: Target) -> forms.SettingsReply:
    """What is wanted of a device, a group or all, by its own name."""
    return forms.SettingsReply.model_validate(desk.fleet.settings.latest(target))


@ROUTES.put("/settings/{target:path}")
def put_settings(desk: TheDesk, user: Operator, target: Target, form: forms.SettingsForm) -> forms.ChangeReply:
    """Want these settings, in place of all that the target had; {}: none of its own."""
    change = desk.fleet.settings.put(target, form.settings, user.name, form.since_ms)
    return forms.ChangeReply.model_validate(change)


@ROUTES.get("/tokens")
def tokens(desk: TheDesk, user: Operator) -> list[forms.TokenReply]:
    """Tokens of devices that were issued here, those that were revoked too."""
    return [
        forms.TokenReply(**{name: value for name, value in asdict(one).items() if name != "token_hash"})
        for one in desk.fleet.tokens.all()
    ]


@ROUTES.post("/tokens", status_code=201)
def issue_token(desk: TheDesk, user: Operator, form: forms.TokenForm) -> forms.NewToken:
    """A new token for a device; it is shown this once."""
    return forms.NewToken(
        device=form.device, token=desk.fleet.tokens.issue(form.device, user.name, replace=form.replace)
    )


@ROUTES.delete("/tokens/{device}", status_code=204)
def revoke_token(desk: TheDesk, user: Operator, device: Device) -> None:
    """End a device's token: its next frame is refused."""
    _or_404(desk.fleet.tokens.revoke, device, user.name)


@ROUTES.get("/users")
def users(desk: TheDesk, user: Operator) -> list[forms.UserReply]:
    """All users."""
    return [forms.UserReply.model_validate(one) for one in desk.fleet.users.all()]


@ROUTES.post("/users", status_code=201)
def add_user(desk: TheDesk, user: Operator, form: forms.UserForm) -> forms.UserReply:
    """Make a user."""
    return forms.UserReply.model_validate(desk.fleet.users.add(form.name, form.role, form.password, user.name))


@ROUTES.patch("/users/{name}", status_code=204)
def change_user(desk: TheDesk, user: Operator, name: UserName, form: forms.UserChange) -> None:
    """Give a user another role or password."""
    if desk.fleet.users.get(name) is None:
        raise HTTPException(404, f"there is no user {name!r}")
    if form.role is None and form.password is None:
        raise ConfigError("expected a role or a password to change; got neither")
    desk.fleet.users.change(name, role=form.role, password=form.password)


@ROUTES.delete("/users/{name}", status_code=204)
def remove_user(desk: TheDesk, user: Operator, name: UserName) -> None:
    """Remove a user, its sessions and its keys; what it said stays."""
    if desk.fleet.users.get(name) is None:
        raise HTTPException(404, f"there is no user {name!r}")
    desk.fleet.users.remove(name)


@ROUTES.get("/keys")
def keys(desk: TheDesk, user: Operator) -> list[forms.KeyReply]:
    """Keys of programs."""
    return [forms.KeyReply.model_validate(one) for one in desk.fleet.users.all_keys()]


@ROUTES.post("/keys", status_code=201)
def add_key(desk: TheDesk, user: Operator, form: forms.KeyForm) -> forms.NewKey:
    """A key for a program that acts as a user; it is shown this once."""
    return forms.NewKey(user=form.user, key=_or_404(desk.fleet.users.new_key, form.user, form.note))


@ROUTES.delete("/keys/{key_id}", status_code=204)
def remove_key(desk: TheDesk, user: Operator, key_id: Annotated[str, Path(max_length=64)]) -> None:
    """End a key."""
    _or_404(desk.fleet.users.remove_key, key_id)


def _or_404(work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """What cannot be done here since there is no such thing is a 404."""
    try:
        return work(*args, **options)
    except ConfigError as error:
        raise HTTPException(404, str(error)) from None


def _link(request: Request, response: Response, before: str) -> None:
    """Name the page that follows (RFC 8288)."""
    there = request.url.include_query_params(before=before)
    response.headers["Link"] = f'<{there.path}?{there.query}>; rel="next"'


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """A row as it is told."""
    told = {name: value for name, value in row.items() if name != "utc_offset"}
    return {**told, "audit": bool(row["audit"]), "utc_offset_min": row["utc_offset"]}


def _pages(desk: Desk) -> ReportPages | None:
    rows = desk.fleet.rows()
    return None if rows is None else ReportPages(rows)


def _has_reported(desk: Desk, device: str) -> bool:
    rows = desk.fleet.rows()
    return rows is not None and ReportFile(rows).device(device) is not None


def _card(card: Card, reported: bool) -> forms.CardReply:
    return forms.CardReply(**asdict(card), reported=reported)


def _device(row: DeviceRow, its: Card | None, labelled: tuple[LabelledAudit, ...]) -> forms.DeviceReply:
    usage, health, audits = row.status.usage, row.status.health, row.status.audits
    return forms.DeviceReply(
        device=row.device,
        first_ms=row.first_ms,
        last_ms=row.last_ms,
        frames=usage.frames,
        exits=usage.exits,
        exit_ratio=usage.exit_ratio if usage.frames else None,
        offloads=usage.offloads,
        bytes_sent=usage.bytes_sent,
        bytes_received=usage.bytes_received,
        waiting=row.status.waiting,
        answers=row.answers,
        sdk=health.sdk,
        bundle=health.bundle,
        celsius=health.celsius,
        throttled=health.throttled,
        disk_free=health.disk_free,
        clock_unset=health.clock_unset,
        measures=dict(health.own),
        settings_version=row.status.held.version,
        audits=None if audits is None else forms.AuditsReply.model_validate(exit_accuracy(audits, labelled)),
        card=None if its is None else _card(its, True),
    )

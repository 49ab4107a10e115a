"""What only operators may change: settings and tokens of devices."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from cloud_server.fleet.database.opening import Overtaken
from cloud_server.fleet.database.setting_changes import GROUP
from cloud_server.fleet.database.users import Role
from cloud_server.http.page.forms import Text, seen, tried
from cloud_server.http.page.page import Page
from cloud_server.http.page.settings_form import fields_of, wanted_of, words_of
from edge_sdk.errors import EdgeError
from edge_sdk.fleet.signed import EVERY_DEVICE
from edge_sdk.terminal.line import one_line

_log = logging.getLogger(__name__)


def add_operating(router: APIRouter, page: Page) -> None:
    """Put these addresses into a router."""
    access, changes = page.access, page.parts.fleet.settings
    keys = page.keys

    def settings_page(request: Request, target: str, status: int = 200, **more: Any) -> Response:
        groups = sorted({card.group for card in page.parts.fleet.cards.all().values() if card.group})
        names = [view.name for view in page.devices()]
        targets = [(EVERY_DEVICE, "all devices"), *((GROUP + one, f"group {one}") for one in groups)]
        targets += [(name, name) for name in sorted(names)]
        if target not in dict(targets):
            targets.append((target, target))
        history = [
            (one, dict(targets).get(one.target, one.target), words_of(one.settings)) for one in changes.history()
        ]
        values = {"target": target, "targets": targets, "can_sign": changes.can_sign, "history": history}
        latest = changes.latest(target)
        values |= {"fields": fields_of(latest.settings), "since": latest.changed_ms, "above": words_above(target)}
        return page.render(request, "settings.html", status=status, **(values | more))

    def words_above(target: str) -> str:
        """What a target gets of all devices, and a device of its group, in words; "": nothing."""
        group = page.parts.fleet.cards.get(target).group
        above = [] if target == EVERY_DEVICE else [EVERY_DEVICE, *([GROUP + group] if group else [])]
        wanted: dict[str, Any] = {}
        for one in above:
            wanted |= changes.of(one)
        return words_of(wanted) if wanted else ""

    @router.get("/settings")
    def settings(request: Request, target: str = EVERY_DEVICE) -> Response:
        access.need(request, Role.OPERATE)
        return settings_page(request, target[:100])

    @router.post("/settings")
    def set_settings(
        request: Request,
        key: Text,
        target: Text,
        threshold: Text = "",
        audit: Text = "",
        upload: Text = "",
        compute: Text = "",
        cloud: Text = "",
        never_upload: Text = "",
        since: Text = "",
    ) -> Response:
        access.check_form(request, key)
        person = access.need(request, Role.OPERATE)
        fields = {"threshold": threshold, "audit": audit, "upload": upload, "compute": compute, "cloud": cloud}
        fields["never_upload"] = never_upload
        try:
            changes.put(target, wanted_of(fields, changes.of(target)), person.name, seen(since))
        except Overtaken as error:
            why = f"{error}. What you typed stands below, what holds now in the list: sign again to put yours over it"
            return settings_page(request, target[:100], 409, why=why, fields=fields)
        except EdgeError as error:
            more = {"since": since} if since else {}
            return settings_page(request, target[:100], 422, why=str(error), fields=fields, **more)
        return RedirectResponse(f"/settings?{urlencode({'target': target})}", 303)

    def tokens_page(request: Request, status: int = 200, **more: Any) -> Response:
        values = {"names": tried(keys.known), "can_issue": keys.can_issue, **more}
        return page.render(request, "tokens.html", status=status, **values)

    @router.get("/tokens")
    def all_tokens(request: Request) -> Response:
        access.need(request, Role.OPERATE)
        return tokens_page(request)

    @router.post("/tokens")
    def issue(request: Request, key: Text, device: Text) -> Response:
        access.check_form(request, key)
        person = access.need(request, Role.OPERATE)
        device = device.strip()
        try:
            token = keys.issue(device, person.name)
        except EdgeError as error:
            return tokens_page(request, 422, why=str(error))
        _log.info("%s issued a token to %s", person.name, device)
        return tokens_page(request, device=device, token=token)

    @router.post("/tokens/revoke")
    def revoke(request: Request, key: Text, device: Text) -> Response:
        access.check_form(request, key)
        person = access.need(request, Role.OPERATE)
        tried(lambda: keys.revoke(device, person.name))
        _log.info("%s revoked the token of %s", person.name, one_line(device, 64))
        return RedirectResponse("/tokens", 303)

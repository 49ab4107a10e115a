"""The page and its parts as HTML. Every text that comes from elsewhere is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from edge_sdk.preview.gauges import Gauge, Meter
from edge_sdk.preview.live import words
from edge_sdk.preview.visits import Visit
from edge_sdk.types import Answer

_FOLDER = Path(__file__).parent
FILES = {
    "/page.css": "text/css; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
    "/icon.svg": "image/svg+xml",
}
"""What is served as it is, and its content types."""
_HINT = "Wave at it to see one."
_PRIVATE = "A privacy rule holds: only what the little model has looked at is shown, so a still scene changes seldom."
_NEARLY_SPENT = 0.9
_DOOR = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>$title</title><link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/page.css">$more</head>
<body><form action="/" method="get"><h1>$title</h1>$text</form></body></html>
"""


@dataclass(frozen=True, slots=True)
class State:
    """How the camera is.

    Attributes:
        kind: "live", "waiting", "asleep" or "away".
        text: one line.
    """

    kind: str
    text: str


@cache
def file(path: str) -> bytes:
    """One of `FILES`."""
    return (_FOLDER / path.removeprefix("/")).read_bytes()


def page(title: str, parts: dict[str, str], size: tuple[int, int], *, hides: bool) -> str:
    """The whole page.

    Args:
        title: the device's name.
        parts: as `state`, `said`, `visits`, `budgets` and `health` make them, by these names.
        size: of the live picture, which a browser keeps free for it.
        hides: some pictures are not shown.
    """
    template = Template(file("/page.html").decode())
    width, height = size
    hint = _PRIVATE if hides else _HINT
    return template.substitute(parts, title=escape(title), width=width, height=height, hint=escape(hint))


def state(now: State, *, looking: bool = True) -> str:
    """How the camera is.

    Args:
        now: that.
        looking: who asks gets the live picture; a page that does not asks for it again.
    """
    says = "yes" if looking else "no"
    return f'<p id="state" class="state {now.kind}" data-looking="{says}" role="status">{escape(now.text)}</p>'


def said(answer: Answer | None, zone: tzinfo | None) -> str:
    """The device's latest word."""
    if answer is None:
        return '<p id="said">Nothing was looked at yet.</p>'
    return f'<p id="said">Last look: <strong>{escape(words(answer))}</strong>, {_when(answer.captured_at, zone)}</p>'


def visits(found: Sequence[Visit], zone: tzinfo | None, *, no_cloud: bool) -> str:
    """The latest visits.

    Args:
        found: the newest first.
        zone: in which times are told; None: the machine's.
        no_cloud: no cloud is named.
    """
    if not found:
        return '<p id="visits" class="none">None yet: nothing has moved in front of the camera.</p>'
    items = "".join(_visit(one, zone, no_cloud) for one in found)
    return f'<ol id="visits">{items}</ol>'


def budgets(found: Sequence[Meter]) -> str:
    """The budgets."""
    if not found:
        return '<p id="budgets" class="none">None is set.</p>'
    rows = "".join(map(_budget, found))
    return f'<div id="budgets" class="budgets">{rows}</div>'


def health(found: Sequence[Gauge]) -> str:
    """How the device is."""
    rows = "".join(map(_gauge, found))
    return f'<dl id="health">{rows}</dl>'


def door(title: str, wrong: bool) -> str:
    """What one sees who has no token."""
    sorry = "<p><b>This is not the token.</b></p>" if wrong else ""
    text = (
        f"{sorry}<p>This camera asks for its token. The log has the whole link from the first start "
        "(<code>journalctl -u edge-sdk | grep preview</code>), and the file that the log names has the token.</p>"
        '<label>Token <input name="token" type="password" autocomplete="off" autocapitalize="off" spellcheck="false" '
        "required autofocus></label><button>Look</button>"
    )
    return Template(_DOOR).substitute(title=escape(title), text=text, more="")


def opened(title: str) -> str:
    """What one sees for a moment who has come with a token: it leaves the address bar."""
    more = '<meta http-equiv="refresh" content="0;url=/">'
    return Template(_DOOR).substitute(title=escape(title), text='<p><a href="/">Go on</a></p>', more=more)


def _budget(one: Meter) -> str:
    full = ' class="full"' if one.share >= _NEARLY_SPENT else ""
    return (
        f"<div><p><b>{escape(one.name)}</b><span>{escape(one.text)}</span></p>"
        f'<progress max="1" value="{one.share:.3f}"{full} aria-label="{escape(one.name)}: spent">{one.share:.0%}'
        f"</progress><p><span>{one.share:.0%} spent</span><span>{escape(one.left)}</span></p></div>"
    )


def _gauge(one: Gauge) -> str:
    row, sign = ('<div class="warns">', "⚠ ") if one.warns else ("<div>", "")
    return f"{row}<dt>{escape(one.name)}</dt><dd>{sign}{escape(one.text)}</dd></div>"


def _visit(visit: Visit, zone: tzinfo | None, no_cloud: bool) -> str:
    label = visit.label or "no answer"
    if visit.private:
        picture = '<span class="no-picture">not shown: never stored</span>'
    elif visit.has_picture:
        picture = f'<img src="/visits/{visit.key}?{visit.best[-6:]}" alt="{escape(label)}" loading="lazy">'
    else:
        picture = '<span class="no-picture">no picture kept</span>'
    device = f'<span class="device">device: {escape(visit.device or "no answer")} {visit.device_confidence:.0%}</span>'
    if visit.cloud:
        device += f' · <span class="cloud">cloud: {escape(visit.cloud)}</span>'
    elif visit.waits:
        device += f' · <span class="waits">{"waits: no cloud is named" if no_cloud else "the cloud is asked"}</span>'
    span = f" in {visit.length_s:.0f} s" if visit.length_s >= 1 else ""
    many = f"{visit.frames} frame{'' if visit.frames == 1 else 's'}{span}"
    when = f'{_when(visit.began_at, zone)}<span class="whole">{many}</span>'
    return (
        f'<li>{picture}<div><p class="what"><strong>{escape(label)}</strong> {visit.confidence:.0%}</p>'
        f'<p>{device}</p><p class="when">{when}</p></div></li>'
    )


def _when(moment: datetime, zone: tzinfo | None) -> str:
    """A time for people; of another day with its date."""
    local, now = moment.astimezone(zone), datetime.now().astimezone(zone)
    is_near = local.date() == now.date() or abs(now - local) < timedelta(hours=3)
    text = f"{local:%H:%M:%S}" if is_near else f"{local:%d %b %Y, %H:%M}"
    return f'<time class="whole" datetime="{escape(moment.isoformat())}">{text}</time>'

"""A contact sheet of a run: the best frame of each event, as pictures for the summary and as a page.

The page is one file: pictures, styles and the few lines of script are in it, so it can be mailed or put on a card.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from html import escape
from pathlib import Path
from string import Template

import cv2
import numpy as np

from edge_sdk.errors import StorageError
from edge_sdk.images.encode import encode
from edge_sdk.images.read import decode_image
from edge_sdk.images.rendition import Upload
from edge_sdk.model.nothing import says_nothing
from edge_sdk.report.display import frames_text
from edge_sdk.types import Answer, Event, Frame, Image, Origin

MOST_EVENTS = 2_000
"""Events on one sheet; of more, the latest."""
_RECENT = 500
_THUMB = Upload(max_side=320, quality=80)
_BOX = (255, 214, 10)
_PAGE = Template((Path(__file__).parent / "contact_sheet.html").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One event on the sheet.

    Attributes:
        event: as it was last told.
        picture: JPEG of its best frame, at most 320 pixels on a side, the region that moved boxed.
        truth: the best frame's true label, where the camera knows it.
    """

    event: Event
    picture: bytes
    truth: str | None

    @property
    def image(self) -> Image:
        """The picture, `uint8 (H, W, 3)` RGB."""
        return decode_image(self.picture).image


class ContactSheet:
    """Collects the best frame of each event of a run. For one thread."""

    def __init__(self) -> None:
        self._recent: dict[str, tuple[bytes, str | None]] = {}
        self._tiles: dict[str, Tile] = {}

    def __len__(self) -> int:
        return len(self._tiles)

    def see(self, frame: Frame, answer: Answer) -> None:
        """A frame that may come to stand for its event: its picture is kept for a while, small and encoded."""
        event = answer.event
        if event is not None and event.best_frame_id != frame.frame_id:
            return
        self._recent[frame.frame_id] = encode(_boxed(frame), _THUMB), frame.truth
        if len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]

    def hear(self, event: Event) -> None:
        """A word on an event, the first or a later one; an event whose best frame was not seen changes nothing."""
        known, seen = self._tiles.get(event.event_id), self._recent.pop(event.best_frame_id, None)
        if known is not None:
            self._tiles[event.event_id] = replace(known, event=event)
        elif seen is not None:
            self._tiles[event.event_id] = Tile(event, *seen)
            if len(self._tiles) > MOST_EVENTS:
                del self._tiles[next(iter(self._tiles))]

    def tiles(self) -> list[Tile]:
        """One for each event, in the order of their beginning."""
        return sorted(self._tiles.values(), key=lambda tile: tile.event.began_at)

    def chosen(self, count: int) -> list[Tile]:
        """At most `count` tiles that show the run best: of each label in turn the surest, empty ones last."""
        lines: dict[str, list[Tile]] = {}
        for tile in sorted(self._tiles.values(), key=lambda tile: -tile.event.confidence):
            lines.setdefault(tile.event.label, []).append(tile)
        order = sorted(lines, key=lambda label: (says_nothing(label), -len(lines[label])))
        picked: list[Tile] = []
        while len(picked) < count and any(lines.values()):
            for label in order:
                if lines[label] and len(picked) < count and (not says_nothing(label) or not _any_left(lines)):
                    picked.append(lines[label].pop(0))
        return sorted(picked, key=lambda tile: tile.event.began_at)

    def write(self, path: Path, title: str) -> None:
        """Write the page.

        Args:
            path: the HTML file.
            title: its head.

        Raises:
            StorageError: the file cannot be written.
        """
        tiles = self.tiles()
        counts = Counter(tile.event.label for tile in tiles)
        content = _PAGE.substitute(
            title=escape(title),
            sum=escape(_sum(tiles)),
            chips="\n".join(_chip(label, count) for label, count in counts.most_common()),
            cards="\n".join(map(_card, tiles)) or "<p>No event yet: nothing moved in front of the camera.</p>",
        )
        try:
            path.write_text(content, encoding="utf-8")
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error}") from error


def _any_left(lines: dict[str, list[Tile]]) -> bool:
    return any(tiles for label, tiles in lines.items() if not says_nothing(label))


def _boxed(frame: Frame) -> Image:
    if frame.region is None or frame.region.held:
        return frame.image
    image, box = np.array(frame.image), frame.region
    width = max(1, max(image.shape[:2]) // 160)
    cv2.rectangle(image, (box.x, box.y), (box.x + box.width - 1, box.y + box.height - 1), _BOX, width)
    return image


def _sum(tiles: Sequence[Tile]) -> str:
    cloud = sum(tile.event.origin is Origin.CLOUD for tile in tiles)
    waits = sum(not tile.event.stands for tile in tiles)
    frames = sum(tile.event.frames for tile in tiles)
    text = f"{len(tiles)} events of {frames} frames; the cloud answered {cloud}"
    return text + (f", {waits} wait for it" if waits else "")


def _chip(label: str, count: int) -> str:
    name = escape(label)
    return f'<button type="button" data-label="{name}" aria-pressed="false">{name} <b>{count}</b></button>'


def _card(tile: Tile) -> str:
    event = tile.event
    said = str(event.origin) if event.stands else "waits"
    wrong = tile.truth is not None and tile.truth != event.label
    truth = f'<span class="truth">shows {escape(tile.truth or "")}</span>' if wrong else ""
    also = "".join(f" + {escape(label)} {chance:.0%}" for label, chance in event.also)
    picture = base64.b64encode(tile.picture).decode()
    return (
        f'<figure id="{escape(event.event_id)}" data-label="{escape(event.label)}">'
        f'<img loading="lazy" alt="{escape(event.label)}" src="data:image/jpeg;base64,{picture}">'
        f"<figcaption><strong>{escape(event.label)}</strong> {event.confidence:.0%}{also}"
        f'<span class="who {said}">{said}</span>{truth}'
        f"<small>{escape(when(event))} &middot; {frames_text(event.frames)}</small>"
        f"<small>{escape(event.source)}</small>"
        f'<small class="id" title="id of the event">{escape(event.event_id)}</small></figcaption></figure>'
    )


def when(event: Event) -> str:
    """When an event was, for people: "2026-06-03 07:12:05 to 07:12:11"."""
    began, ended = event.began_at, event.ended_at
    if ended - began < timedelta(seconds=1):
        return f"{began:%Y-%m-%d %H:%M:%S}"
    return f"{began:%Y-%m-%d %H:%M:%S} to {ended:%H:%M:%S}"

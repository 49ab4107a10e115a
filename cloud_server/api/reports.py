"""The call `Report`: what a device tells of itself is checked, brought to one line where it is text, and kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from cloud_server.api.request import BadRequest
from cloud_server.fleet.report_store import Report
from cloud_server.fleet.seams import Reports, SettingsSource
from edge_sdk.errors import StorageError
from edge_sdk.fleet.answers import unpack_answers
from edge_sdk.fleet.audits import unpack_audits
from edge_sdk.fleet.columns import MalformedReport
from edge_sdk.fleet.events import unpack_events
from edge_sdk.fleet.report_file import Status
from edge_sdk.fleet.signed import read_signed
from edge_sdk.fleet.status import unpack_health, unpack_held, unpack_usage
from edge_sdk.fleet.words import LONGEST_WORD, MOST_WORDS
from edge_sdk.terminal.line import one_line
from edge_sdk.wire import offload_pb2 as wire

_log = logging.getLogger(__name__)

MOST_BYTES = 256 << 10
"""Bytes of one report."""
_MOST_WORDS = 2 * MOST_WORDS  # a device begins a fresh list when it is half full
_MOST_MS = (1 << 53) - 1


class ReportDesk:
    """Takes reports, and hands out settings. Used on one event loop.

    Args:
        store: keeps the reports.
        settings: have settings; of several, those of the highest version are handed out.
    """

    def __init__(self, store: Reports, *settings: SettingsSource) -> None:
        self._store, self._settings = store, settings
        self._is_off = False

    async def take(self, request: wire.ReportRequest, device: str) -> wire.ReportReply:
        """The reply to a report of a device.

        Raises:
            BadRequest: it is not as the wire says; nothing of it is kept.
            StorageError: it cannot be kept now. Why is for the log: a device is not told where reports are kept.
        """
        try:
            reply = await self._take(request, device)
        except StorageError as error:
            if not self._is_off:
                _log.error("reports are not kept for now, devices send them again: %s", error)
            self._is_off = True
            raise StorageError("the server cannot keep reports now: send it again later") from error
        if self._is_off:
            self._is_off = False
            _log.info("reports are kept again")
        return reply

    async def _take(self, request: wire.ReportRequest, device: str) -> wire.ReportReply:
        _check_size(request)
        news = [one_line(word, LONGEST_WORD) for word in request.words]
        words = await self._store.words(device, request.word_list, request.first_word, news)
        if request.first_word + len(news) > len(words):
            return wire.ReportReply(words_known=len(words))
        report = _checked(request, words)
        await self._store.keep(device, report)
        held, settings = report.status.held, None
        if self._settings and held.takes:
            settings = await self._store.apart(partial(self._newest, device, held.version))
        return wire.ReportReply(taken=True, words_known=len(words), settings=settings or b"")

    def _newest(self, device: str, above: int) -> bytes | None:
        found = []
        for source in self._settings:
            try:
                content = source.newest(device, above)
            except StorageError as error:
                _log.warning("settings for %s cannot be read now: %s", device, error)
            else:
                found += [] if content is None else [content]
        return max(found, key=lambda content: read_signed(content).body.version, default=None)

    def latest(self) -> list[tuple[str, float, Status]]:
        """Devices that reported last, as `ReportStore.latest`."""
        return self._store.latest()

    async def close(self) -> None:
        """Release the store."""
        await self._store.close()


def _check_size(request: wire.ReportRequest) -> None:
    if (size := request.ByteSize()) > MOST_BYTES:
        raise BadRequest(f"expected a report of at most {MOST_BYTES:,} bytes; got {size:,}")
    if request.first_word + len(request.words) > _MOST_WORDS:
        raise BadRequest(f"expected a list of at most {_MOST_WORDS} words; got more")


def _checked(request: wire.ReportRequest, words: Sequence[str]) -> Report:
    try:
        usage, waiting = unpack_usage(request.usage)
        status = Status(
            sent_ms=min(request.sent_ms, _MOST_MS),
            usage=usage,
            waiting=waiting,
            health=unpack_health(request.health, words),
            held=unpack_held(request.settings),
            audits=unpack_audits(request.audits, words) if request.HasField("audits") else None,
        )
        return Report(status, unpack_answers(request.answers, words), unpack_events(request.events, words))
    except MalformedReport as error:
        raise BadRequest(str(error)) from error

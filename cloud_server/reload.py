"""What is renewed while the server runs: each part by itself, and the log says of each what came of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from edge_sdk.errors import EdgeError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """A part that can be renewed.

    Attributes:
        name: in the log, such as "label map map.json".
        renew: reads it again; returns what is new in words, empty where nothing is; raises `EdgeError` where it cannot
            be used, and then the part is as before.
    """

    name: str
    renew: Callable[[], Awaitable[str]]


class Reload:
    """Renews parts one after another; used on the event loop.

    Args:
        parts: gives them, in their order; each is renewed before the next is asked for.
    """

    def __init__(self, parts: Callable[[], Iterable[Part]]) -> None:
        self._parts = parts
        self._turn = asyncio.Lock()

    async def __call__(self) -> bool:
        """Renew all parts; returns whether all could be."""
        async with self._turn:
            outcomes = [(part.name, await self._renew(part)) for part in self._parts()]
        if not outcomes:
            _log.info("nothing to reload: there are no --config, --tokens, --tls-cert, --label-map or --limits")
        if same := [name for name, came in outcomes if came == ""]:
            _log.info("reloaded, unchanged: %s", ", ".join(same))
        return all(came is not None for _, came in outcomes)

    async def _renew(self, part: Part) -> str | None:
        try:
            came = await part.renew()
        except (EdgeError, OSError) as error:
            _log.error("the %s could not be reloaded, the old one stays: %s", part.name, error)
            return None
        except Exception:
            _log.exception("the %s could not be reloaded, the old one stays", part.name)
            return None
        if came:
            _log.info("reloaded the %s: %s", part.name, came)
        return came

"""Which of several models answers a device: by the name that it asks for, and of one name by shares of devices.

A device stays with the version it has: a hash of its name and the model's says where it stands between 0 and 1, and the
shares cut that line. A share that grows takes devices over and gives none back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One version of a model.

    Attributes:
        name: that devices ask for: their bundle's.
        share: of the devices that ask for it, in (0, 1]; None: all that no share takes.
        value: what answers them.
    """

    name: str
    share: float | None
    value: T


class Registry(Generic[T]):
    """The models of a server, the first of which answers devices that ask for none, or for one that is not there.

    Args:
        entries: of each name exactly one without a share; `cloud_server.models_file` checks that.
    """

    def __init__(self, entries: Iterable[Entry[T]]) -> None:
        self._all = list(entries)
        self._by_name: dict[str, list[Entry[T]]] = {}
        for entry in self._all:
            self._by_name.setdefault(entry.name, []).append(entry)

    def __iter__(self) -> Iterator[Entry[T]]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def first(self) -> T:
        """What answers devices that ask for none."""
        return self._rest(self._all[0].name).value

    def of(self, name: str, device: str) -> T:
        """What answers a device.

        Args:
            name: the model that it asks for; "": none, or one that is not there: the first.
            device: its name.
        """
        known = self._by_name.get(name) or self._by_name[self._all[0].name]
        place = place_of(known[0].name, device)
        for entry in known:
            if entry.share is not None:
                if place < entry.share:
                    return entry.value
                place -= entry.share
        return self._rest(known[0].name).value

    def _rest(self, name: str) -> Entry[T]:
        return next(entry for entry in self._by_name[name] if entry.share is None)


def place_of(name: str, device: str) -> float:
    """Where a device stands among those that ask for a model, in [0, 1): the same each time, even over all devices."""
    digest = hashlib.blake2b(f"{name}\n{device}".encode(errors="replace"), digest_size=8, person=b"edge-sdk canary")
    return int.from_bytes(digest.digest(), "big") / 2**64

"""The models that standard clients may ask for, by name and version, as they are at each request.

A name has a version "1": the one that answers devices which no share takes. Its other versions, and that one too, go by
the version that `Describe` tells of weights and label map. Who names no version is answered by "1".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cloud_server.access.authenticator import Caller
from cloud_server.api.request import NotServed
from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.open_inference.inference import Inference
from cloud_server.open_inference.served_model import SHOWN, VERSION

_NAMES_TOLD = 20


@dataclass(frozen=True, slots=True)
class Offer:
    """One version of a model.

    Attributes:
        inference: answers requests to it.
        is_main: no share of devices is set for it.
        version: of weights and label map; "": not told.
        is_ready: whether it answers now.
    """

    inference: Inference
    is_main: bool
    version: str
    is_ready: bool

    @property
    def shown_version(self) -> str:
        """The version by which it goes."""
        return VERSION if self.is_main else self.version

    @property
    def name(self) -> str:
        """Of the model."""
        return self.inference.served.name


class Repository:
    """Finds models; used on one event loop.

    Args:
        offers: gives the models of now, in their order.
    """

    def __init__(self, offers: Callable[[], Iterable[Offer]]) -> None:
        self._offers = offers

    def find(self, name: str, version: str) -> Offer:
        """The model that a client asks for.

        Args:
            name: of the model.
            version: of it; "": "1".

        Raises:
            NotServed: there is none.
        """
        found = self._named(name)
        for offer in found:
            if version == offer.shown_version or (not version and offer.is_main):
                return offer
        for offer in found:
            if version and version == offer.version:
                return offer
        known = " or ".join(repr(one) for one in self.versions(name))
        raise NotServed(f"expected version {known} of {name!r}, or none; got {version[:SHOWN]!r}")

    def versions(self, name: str) -> list[str]:
        """The versions of a model.

        Raises:
            NotServed: there is no model of this name.
        """
        shown = [offer.shown_version for offer in sorted(self._named(name), key=lambda offer: not offer.is_main)]
        return list(dict.fromkeys(shown))

    def metadata(self, name: str, version: str) -> oip.ModelMetadataResponse:
        """The reply to `ModelMetadata`.

        Raises:
            NotServed: there is no such model.
        """
        offer = self.find(name, version)
        return offer.inference.served.metadata(self.versions(name), offer.version)

    def config(self, name: str, version: str) -> oip.ModelConfig:
        """The reply to `ModelConfig`.

        Raises:
            NotServed: there is no such model.
        """
        offer = self.find(name, version)
        return offer.inference.served.config(offer.version)

    def statistics(self, name: str = "", version: str = "") -> list[oip.ModelStatistics]:
        """Counts of a version; of all versions of a model where none is named; of all models.

        Raises:
            NotServed: there is no such model.
        """
        found = [self.find(name, version)] if version else self._named(name) if name else list(self._offers())
        return [offer.inference.statistics(offer.shown_version) for offer in found]

    def index(self, *, is_open: bool, ready_alone: bool = False) -> list[oip.RepositoryIndexResponse.ModelIndex]:
        """The models that this server has.

        Args:
            is_open: whether the server takes requests.
            ready_alone: only those that answer now.
        """
        told = oip.RepositoryIndexResponse.ModelIndex
        return [
            told(name=offer.name, version=offer.shown_version, state="READY" if is_ready else "UNAVAILABLE")
            for offer in self._offers()
            if (is_ready := offer.is_ready and is_open) or not ready_alone
        ]

    async def infer(self, request: oip.ModelInferRequest, caller: Caller) -> oip.ModelInferResponse:
        """The response to one request.

        Raises:
            NotServed: it asks for a model that is not there.
            EdgeError: as `Inference.infer`.
        """
        offer = self.find(request.model_name, request.model_version)
        answering = offer.inference.infer(request, caller, request.model_version or offer.shown_version)
        del request  # its pictures are held by who works on them
        return await answering

    def _named(self, name: str) -> list[Offer]:
        offers = list(self._offers())
        found = [offer for offer in offers if offer.name == name]
        if not found:
            names = list(dict.fromkeys(repr(offer.name) for offer in offers))
            more = f" and {len(names) - _NAMES_TOLD} more" if names[_NAMES_TOLD:] else ""
            told = " or ".join(names[:_NAMES_TOLD]) + more
            raise NotServed(f"expected the model {told}, which this server has; got {name[:SHOWN]!r}")
        return found

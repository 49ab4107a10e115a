"""What the models of a server share: its settings and parts, and the processor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloud_server import parts
from cloud_server.access.authenticator import Authenticator
from cloud_server.access.rates import RateLimiter
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.offload import OffloadService
from cloud_server.api.reports import ReportDesk
from cloud_server.api.windows import Windows
from cloud_server.config import ServerConfig
from cloud_server.fleet.frame_archive import FrameArchive
from cloud_server.fleet.seams import Replies
from cloud_server.fleet.stats import Stats
from cloud_server.model.batching import Batcher, Little
from cloud_server.model.big import BigModel
from cloud_server.model.ticket import Rows, Run
from cloud_server.tracing import Traces
from edge_sdk.networks.label_map import LabelMap
from edge_sdk.types import Image

if TYPE_CHECKING:
    from cloud_server.fleet.fleet import Fleet


@dataclass(frozen=True, slots=True)
class Common:
    """What the models of a server share.

    Attributes:
        config: the server's settings.
        fleet: its database; None: there is none.
        authenticator: lets calls in.
        limiter: how fast a device may send.
        stats: counts what happens.
        refusals: logs who is refused.
        traces: records what happens to each frame.
        tell_dates: called with a device's name and its certificate.
        reports: takes what devices tell of themselves; None: nothing does.
        windows: frames of one device in flight.
        shared_replies: gives the replies that are shared with other servers, from a model's version and how many are
            kept; None: the settings say where replies are.
        clock: seconds, monotonic.
    """

    config: ServerConfig
    fleet: Fleet | None
    authenticator: Authenticator
    limiter: RateLimiter
    stats: Stats
    refusals: RefusalLog
    traces: Traces
    tell_dates: Callable[[str, bytes], None]
    reports: ReportDesk | None
    windows: Windows
    shared_replies: Callable[[str, int], Replies] | None = None
    clock: Callable[[], float] = time.monotonic

    @property
    def shares_replies(self) -> bool:
        """Whether other servers have the same replies."""
        return self.shared_replies is not None or (self.fleet is not None and self.fleet.is_shared)

    def reply_cache(self, config: ServerConfig, version: str, labels: LabelMap) -> Replies:
        """The replies of one model.

        Args:
            config: the settings of this model.
            version: of the model and its label map.
            labels: the label map.
        """
        if self.shared_replies is not None:
            return self.shared_replies(version, parts.cached_rows(config, labels))
        return parts.reply_cache(config, version, labels, self.fleet)

    def service(
        self,
        config: ServerConfig,
        model: BigModel,
        batcher: Batcher,
        labels: LabelMap,
        version: str,
        *,
        cache: Replies,
        archive: FrameArchive | None = None,
    ) -> OffloadService:
        """What answers frames by one model.

        Args:
            config: the settings of this model.
            model: the big model.
            batcher: runs it.
            labels: its label map.
            version: changes whenever the model or the label map changes; "": devices are told none.
            cache: the replies given so far.
            archive: keeps its frames; None: nothing does.
        """
        return OffloadService(
            batcher,
            labels,
            parts.describe(config, model, labels, version),
            cache=cache,
            authenticator=self.authenticator,
            limiter=self.limiter,
            stats=self.stats,
            refusals=self.refusals,
            tell_dates=self.tell_dates,
            traces=self.traces,
            archive=archive,
            reports=self.reports,
            windows=self.windows,
        )


def in_turn(run: Run, turn: threading.Lock) -> Run:
    """A model's run, for a processor that it shares with others: one runs at a time.

    Args:
        run: the model's.
        turn: held by the one that runs.
    """

    def run_in_turn(images: Sequence[Image], little: Sequence[Little]) -> Rows:
        with turn:
            return run(images, little)

    return run_in_turn

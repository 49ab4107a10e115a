"""The models of a server: loaded, each with its batches, labels and replies; changed for others while frames come."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cloud_server import parts
from cloud_server.api.offload import OffloadService
from cloud_server.common import Common, in_turn
from cloud_server.config import ServerConfig
from cloud_server.fleet.frame_archive import FrameArchive
from cloud_server.fleet.seams import Replies
from cloud_server.model.batching import Batcher, model_thread
from cloud_server.model.big import BigModel, load_model
from cloud_server.model.registry import Entry, Registry
from cloud_server.model.tuning import warm_up
from cloud_server.models_file import ModelEntry, read_models
from edge_sdk.durable.files import file_version
from edge_sdk.errors import ConfigError, EdgeError
from edge_sdk.networks.label_map import LabelMap
from edge_sdk.networks.model_name import files_of

if TYPE_CHECKING:
    from cloud_server.open_inference.inference import Inference
    from cloud_server.open_inference.repository import Offer

_log = logging.getLogger(__name__)

FOLDER = "models"
"""In the state folder: the replies of each model of a models file, in a folder of its own."""


@dataclass(slots=True, eq=False)
class Served:
    """A model that answers.

    Attributes:
        name: that devices ask for.
        model: the big model.
        batcher: decodes, and runs it.
        service: answers frames by it.
        labels: the label map.
        cache: the replies given so far.
        archive: keeps its frames; None: nothing does.
        source: changes whenever its files or its entry do.
        inference: answers standard clients; None: nothing does.
        max_batch: most frames in one run.
        turn: held by the model that runs, where several share a processor; None: it has one of its own.
    """

    name: str
    model: BigModel
    batcher: Batcher
    service: OffloadService
    labels: LabelMap
    cache: Replies
    archive: FrameArchive | None
    source: object = None
    inference: Inference | None = None
    max_batch: int = 1
    turn: threading.Lock | None = None

    async def start(self) -> None:
        """Warm the model up, and take frames."""
        await self.batcher.start(partial(warm_up, self.model, self.max_batch, self.turn))

    async def stop(self) -> None:
        """End: what still runs is cancelled, the replies that were given are on the disk."""
        await self.service.close()
        await self.batcher.stop()


class Models:
    """The models of a server, the first of which answers who asks for none; used on one event loop.

    Args:
        common: what they share.

    Attributes:
        common: the same.
    """

    def __init__(self, common: Common) -> None:
        self.common = common
        self._registry: Registry[Served] = Registry(())
        self._turn = threading.Lock()
        self._retiring: set[asyncio.Task[None]] = set()
        self._archives: dict[Path, FrameArchive] = {}  # the latest of each folder: a model's successor keeps there too
        self._folders: set[Path] = set()  # once taken, a folder stays so until the process ends

    def __iter__(self) -> Iterator[Served]:
        return (entry.value for entry in self._registry)

    @property
    def first(self) -> Served:
        """The one that answers devices that ask for none."""
        return self._registry.first

    @property
    def waiting(self) -> int:
        """Frames that have come and are not in a batch yet."""
        return sum(served.batcher.waiting for served in self)

    @property
    def cached(self) -> int:
        """Replies in the reply caches."""
        return sum(len(served.cache) for served in self)

    @property
    def archived_bytes(self) -> int | None:
        """Bytes of the disk that frame archives take, each counted once; None: there are none."""
        folders = {one.archive.folder: one.archive.size for one in self if one.archive is not None}
        return sum(folders.values()) if folders else None

    def of(self, name: str, device: str) -> Served:
        """What answers a device that asks for this name."""
        return self._registry.of(name, device)

    def offers(self) -> list[Offer]:
        """The models as standard clients may ask for them."""
        from cloud_server.open_inference.repository import Offer

        return [
            Offer(served.inference, entry.share is None, served.service.version, served.batcher.watch.is_alive)
            for entry in self._registry
            if (served := entry.value).inference is not None
        ]

    async def load(self, given: BigModel | None) -> None:
        """Load all models.

        Args:
            given: a model in place of the one that the settings name.

        Raises:
            ConfigError: one of them cannot be used.
        """
        file = self.common.config.models
        if file is None:
            entry = ModelEntry("", self.common.config.model)
            self._registry = Registry([Entry("", None, await self._make(self.common.config, entry, given))])
            return
        entries = await asyncio.to_thread(self._read_entries, file)
        found: list[Entry[Served]] = []
        try:
            for one in entries:
                found.append(Entry(one.name, one.share, await self._make(self._config_of(one), one)))
        except BaseException:
            for loaded in found:
                await loaded.value.stop()
            raise
        self._registry = Registry(found)
        self._compare_labels()
        if self.common.config.state is not None:
            await asyncio.to_thread(self._forget_others, self.common.config.state / FOLDER)

    def _compare_labels(self) -> None:
        """Tell which canaries lack labels of the model beside them: devices that know one of those send nothing."""
        whole = {entry.name: entry.value for entry in self._registry if entry.share is None}
        for entry in self._registry:
            known = entry.value.labels.labels
            if lacking := [label for label in whole[entry.name].labels.labels if label not in known]:
                _log.warning(
                    "%s, which answers a share of %s, lacks %d labels of %s (%s): devices that know them send it "
                    "nothing; label_map leads to them",
                    entry.value.model.name,
                    entry.name,
                    len(lacking),
                    whole[entry.name].model.name,
                    ", ".join(lacking[:3]) + ", ..." * (len(lacking) > 3),
                )

    def _read_entries(self, file: Path) -> list[ModelEntry]:
        config_file = self.common.config.config_file
        is_alone = config_file is None or file.absolute() != config_file.absolute()
        return read_models(file, alone=is_alone, archive=self.common.config.archive)

    def _forget_others(self, parent: Path) -> None:
        """Remove the replies of models that are no longer there."""
        for folder in parent.iterdir() if parent.is_dir() else ():
            if folder not in self._folders:
                shutil.rmtree(folder, ignore_errors=True)

    async def start(self) -> None:
        """Warm all models up, and take frames."""
        for served in self:
            await served.start()

    async def renew(self) -> str:
        """Read the models file again: what changed is loaded and warmed up beside the old, which then leaves.

        Returns:
            What changed, empty where nothing did.

        Raises:
            ConfigError: the file or a model cannot be used; all is as before.
        """
        assert self.common.config.models is not None
        entries = await asyncio.to_thread(self._read_entries, self.common.config.models)
        left = list(self)  # entries that differ in their share alone have the same source
        fresh: list[Served] = []
        found: list[Entry[Served]] = []
        try:
            for one in entries:
                source = _source_of(one)
                served = next((known for known in left if known.source == source), None)
                if served is not None:
                    left.remove(served)
                else:
                    served = await self._make(self._config_of(one), one)
                    fresh.append(served)
                    await served.start()
                found.append(Entry(one.name, one.share, served))
        except BaseException:
            for served in fresh:
                await served.stop()
            raise
        shares = [(entry.name, entry.share) for entry in self._registry] != [(one.name, one.share) for one in entries]
        self._registry = Registry(found)
        if fresh:
            self._compare_labels()
        for served in left:
            task = asyncio.create_task(self._retire(served), name="retire")
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        if not (fresh or left or shares):
            return ""
        await asyncio.gather(*(served.service.renew() for served in self if shares and served not in fresh))
        return f"{len(found)} models, {len(fresh)} of them loaded, {len(left)} leave"

    async def _retire(self, served: Served) -> None:
        """Let a model answer what it has, and end it."""
        await served.service.renew()
        try:
            async with asyncio.timeout(self.common.config.drain_s):
                if served.inference is not None:  # requests that have found this model, and go to no other
                    await served.inference.finished()
                served.batcher.close()
                await served.batcher.drained()
        except TimeoutError:
            _log.warning("%s left with %d frames unanswered", served.model.name, served.batcher.pending)
        await served.stop()
        _log.info("%s was unloaded", served.model.name)

    async def finished(self) -> None:
        """Return when no model is on its way out."""
        await asyncio.gather(*self._retiring, return_exceptions=True)

    def _folder(self, parent: Path, name: str, version: str, look: str) -> Path:
        """A folder for the replies of a model, which no other has; the same one after a restart."""
        digest = hashlib.sha256(f"{version} {look}".encode()).hexdigest()[:16]
        names = (f"{name}-{digest}" + (f"-{number}" if number else "") for number in itertools.count())
        folder = next(found for one in names if (found := parent / one) not in self._folders)
        self._folders.add(folder)
        return folder

    def _config_of(self, entry: ModelEntry) -> ServerConfig:
        config = self.common.config
        return replace(
            config,
            model=entry.weights,
            label_map=entry.label_map,
            label_group=entry.label_group,
            look=entry.look or config.look,
            engine=entry.engine or config.engine,
            max_batch=entry.max_batch or config.max_batch,
            archive=entry.archive or config.archive,
        )

    async def _make(self, config: ServerConfig, entry: ModelEntry, given: BigModel | None = None) -> Served:
        common, model, thread, source = self.common, given, model_thread(), _source_of(entry)
        try:
            if model is None:
                load = partial(load_model, config.model, config.device, config.threads, config.engine)
                model = await asyncio.get_running_loop().run_in_executor(thread, load)
            labels = await asyncio.to_thread(parts.label_map_of, config, model)
        except BaseException as error:
            thread.shutdown(wait=False, cancel_futures=True)
            if entry.name and isinstance(error, EdgeError):
                raise ConfigError(f"{common.config.models}: {entry.name} of {entry.weights}: {error}") from error
            raise
        turn = self._turn if entry.name and not getattr(model, "on_gpu", False) else None
        needs_version = (
            common.shares_replies or bool(entry.name) or config.state is not None or config.archive is not None
        )
        version = await asyncio.to_thread(parts.version_of, model, labels) if needs_version else ""
        if entry.name and config.state is not None:
            config = replace(config, state=self._folder(config.state / FOLDER, entry.name, version, config.look))
        runs = 0

        def ran(size: int) -> None:
            nonlocal runs
            runs += 1

        run = model.run if turn is None else in_turn(model.run, turn)
        batcher = parts.batcher(config, model, common.stats, thread, ran, run=run, clock=common.clock)
        before = None if config.archive is None else self._archives.get(config.archive.resolve())
        archive = await asyncio.to_thread(parts.frame_archive, config, model, labels, version, before)
        if archive is not None and config.archive is not None:
            self._archives[config.archive.resolve()] = archive
        try:
            cache = await asyncio.to_thread(common.reply_cache, config, version, labels)
        except BaseException:
            if archive is not None:
                archive.close()
            thread.shutdown(wait=False, cancel_futures=True)
            raise
        service = common.service(config, model, batcher, labels, version, cache=cache, archive=archive)
        size = (
            f"{model.input_width}x{model.input_height}, {model.macs / 1e6:.0f} M MACs, {model.parameters / 1e6:.1f} M"
        )
        _log.info("%s on %s: %s parameters, %d labels", model.name, model.device, size, len(labels.labels))
        served = Served(
            entry.name,
            model,
            batcher,
            service,
            labels,
            cache,
            archive,
            source,
            max_batch=config.max_batch,
            turn=turn,
        )
        if config.open_inference:
            served.inference = parts.open_inference(
                config, entry.name, model, batcher, service, common.limiter, common.stats, lambda: runs
            )
        return served


def _source_of(entry: ModelEntry) -> object:
    """Changes whenever the files of an entry, or the entry but for its share, change."""
    paths = [*files_of(entry.weights), *([] if entry.label_map is None else [entry.label_map])]
    return replace(entry, share=None), *((path, file_version(path)) for path in paths)

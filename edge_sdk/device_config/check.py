"""What a config file gets wrong though each value can be read: files that are missing, classes that no bundle has.

Nothing is opened that a running device holds, and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from edge_sdk.config import PowerModel, RemoteSettings, StorageSettings
from edge_sdk.device_config.device import DeviceConfig
from edge_sdk.device_config.keys import nearest
from edge_sdk.device_config.reading import Fault, Reading
from edge_sdk.device_config.sections import AlertsSection, Budgets, Cloud, LittleModelSection
from edge_sdk.errors import EdgeError
from edge_sdk.model.bundle import Bundle, open_bundle
from edge_sdk.model.bundle_detector import check_detector
from edge_sdk.model.policy import Preferences
from edge_sdk.pipeline.assembly import new_exits
from edge_sdk.pipeline.blur import Blur
from edge_sdk.pipeline.settings import Settings
from edge_sdk.security.credentials import Security
from edge_sdk.security.files import read_given


def find_faults(reading: Reading) -> list[Fault]:
    """All faults of a file: those of its reading, and those of what it names, in the order of the file."""
    if any(not fault.key for fault in reading.faults):  # it is no TOML
        return reading.faults
    found = list(reading.faults)
    known = {fault.key.split(".")[0] for fault in found}  # what follows from such a fault is none of its own
    config = DeviceConfig(reading)
    for key, look in _looks(config):
        if key.split(".")[0] in known:
            continue
        try:
            look()
        except EdgeError as error:
            found.append(Fault(reading.where(*key.split(".")), key, str(error).removeprefix(f"expected {key}, ")))
    bundle = _bundle(config)
    if bundle is not None:
        for key, names in _classes(config):
            found += [Fault(reading.where(*key.split(".")), key, text) for text in _unknown(names, bundle.names)]
        if not found:
            try:
                new_exits(Settings(**config.classifier_options() | {"bundle": bundle}), bundle)
            except EdgeError as error:
                found.append(Fault(f"{reading.path}:1", "", str(error)))
    return sorted(found, key=Fault.order)


def _looks(config: DeviceConfig) -> Iterator[tuple[str, Callable[[], object]]]:
    """What to look at, with the key that is to blame where it raises an error."""
    cloud, security = config.part(Cloud), config.part(Security)
    yield "camera.address", lambda: config.camera_address
    yield "duty.schedule", lambda: config.hours
    yield "bundle.path", lambda: open_bundle(config.part(LittleModelSection).path)
    detector = config.part(LittleModelSection).detector
    if detector is not None:
        yield "bundle.detector", lambda: check_detector(open_bundle(detector))
    yield "cloud.proxy_file", config.classifier_options
    for server in cloud.servers:
        yield _security_key(security), partial(security.check, server)
    yield "alerts.mqtt" if config.part(AlertsSection).mqtt else "alerts.webhook", config.channels
    remote: RemoteSettings | None = config.part(RemoteSettings)
    if remote is not None:
        yield "remote.key", lambda: read_given(Path(remote.key), "key of settings")
    if config.part(PowerModel) is None:
        yield "budgets.compute", lambda: Settings(compute_budget=config.part(Budgets).compute)


def _security_key(security: Security) -> str:
    """The key that a fault of the link is most likely of: the first file that is not there."""
    for name in ("ca", "cert", "key", "token_file"):
        path = getattr(security, name)
        if path is not None and not Path(path).is_file():
            return f"security.{name}"
    return "cloud.server" if security.ca is None else "security.token_file" if security.token_file else "security.ca"


def _bundle(config: DeviceConfig) -> Bundle | None:
    try:
        return open_bundle(config.part(LittleModelSection).path)
    except EdgeError:
        return None


def _classes(config: DeviceConfig) -> Iterator[tuple[str, Iterable[str]]]:
    """The classes that each key names."""
    wants, rule = config.part(Preferences), config.part(StorageSettings).archive_rule
    blur: Blur | None = config.part(Blur)
    yield "preferences.never_upload", wants.never_upload
    yield "preferences.weights", wants.weights
    yield "blur.classes", () if blur is None else blur.classes
    yield "storage.archive", () if rule is None else (*rule.never_store, *rule.classes)
    for one in config.part(AlertsSection).rules:
        yield "alerts.rules", one.classes


def _unknown(names: Iterable[str], labels: Sequence[str]) -> Iterator[str]:
    for name in names:
        if name not in labels:
            near = nearest(name, list(labels))
            meant = f"; did you mean {near}?" if near else ""
            yield f"expected classes of the bundle ({', '.join(labels)}); got {name!r}{meant}"

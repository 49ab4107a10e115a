"""Which big model a server on this machine serves for a bundle, and whether its labels fit.

Loads no torch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import msgspec

from cloud_server.local import PACKAGES, ServerStartError, start_local_server
from edge_sdk.errors import ConfigError
from edge_sdk.model.big_reference import LABEL_MAP_CURE, BigReference, fingerprint_of, label_difference
from edge_sdk.model.bundle import Bundle, open_bundle
from edge_sdk.networks.model_name import join_name, split_name
from edge_sdk.security.credentials import local_channel
from edge_sdk.terminal.command import EXTRAS
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

SHIPPED = Path(__file__).parent / "models"
USUAL = "trailcam"
_ELSE = "--big MODEL names another, --cloud HOST:PORT a server elsewhere, and --cloud none keeps to the device"
_DESCRIBE_S = 30.0
_log = logging.getLogger(__name__)


@contextmanager
def local_big(bundle: Bundle, big: str | None = None, label_map: Mapping[str, str] | None = None) -> Iterator[str]:
    """Serve the big model that fits a bundle on this machine, for as long as the block lasts.

    Args:
        bundle: names the big model that it was calibrated with.
        big: another one, as `cloud-server --model` takes it.
        label_map: from the big model's labels to the bundle's; default: the bundle's own for its own big model.

    Yields:
        The server's address, "127.0.0.1:PORT".

    Raises:
        ConfigError: the bundle names no big model, its file is not here, the extra `cloud` is not installed, or the
            big model answers with other labels.
        ServerStartError: the server did not start.
    """
    named = bundle.policy.big
    model = big or model_of(bundle)
    if label_map is None and big is None and named is not None:
        label_map = named.label_map
    if missing := [package for package in PACKAGES if find_spec(package) is None]:
        raise ConfigError(
            f"a cloud server on this machine needs {', '.join(missing)}, which this Python lacks: "
            f"pip install '.[{EXTRAS.get(missing[0], 'cloud')}]' in the checkout; or {_ELSE.partition(', ')[2]}"
        )
    with TemporaryDirectory() as folder:
        options = []
        if label_map:
            file = Path(folder) / "label-map.json"
            file.write_bytes(msgspec.json.encode(label_map))
            options = ["--label-map", str(file)]
        with ExitStack() as stack:
            try:
                address = stack.enter_context(start_local_server(model, *options))
            except ServerStartError as error:
                raise ServerStartError(f"{error}. {_ELSE}") from None
            check_labels(bundle, address)
            yield address


def model_of(bundle: Bundle) -> str:
    """What `cloud-server --model` takes to serve the big model that a bundle was calibrated with.

    A file is looked for where it was at calibration, in the bundle, beside it, and in the working directory.

    Raises:
        ConfigError: the bundle names none, or its file is not here.
    """
    named, who = bundle.policy.big, bundle.manifest.name
    if named is None or not named.model:
        differ = label_difference(bundle.manifest.labels, open_bundle(USUAL).manifest.labels)
        if not differ:
            return USUAL
        known = f"calls it {named.name!r} and does not say where it is" if named else "names none"
        raise ConfigError(
            f"expected the big model that the bundle {who} was calibrated with; its policy.json {known} "
            f"(`edge-sdk calibrate` writes it), and {USUAL}, which ships, has other labels: {differ}. {_ELSE}"
        )
    if (SHIPPED / named.model / "model.safetensors").is_file():
        return named.model
    arch, file = split_name(named.model)
    path = Path(file)
    if not path.is_absolute():  # timm's name
        return named.model
    places = [path, *(folder / path.name for folder in (bundle.path, bundle.path.absolute().parent, Path.cwd()))]
    here = [place for place in places if place.exists()]
    if not here:
        raise ConfigError(
            f"expected the big model that the bundle {who} was calibrated with, {path}; there is no such file here, "
            f"nor a {path.name} in the bundle, beside it or in the working directory: copy it there, or {_ELSE}"
        )
    same = next((place for place in here if _is(named, place)), None)
    if same is None:
        _log.warning(
            "%s is not the file that the bundle %s was calibrated with (it has changed since): the promised accuracy "
            "may not hold; calibrate again",
            here[0],
            who,
        )
    return join_name(arch, same or here[0])


def check_labels(bundle: Bundle, address: str) -> None:
    """Ask a server on this machine for its labels.

    Raises:
        ConfigError: they lack one of the bundle's; the message names the labels that differ.
    """
    with local_channel(address) as channel:
        try:
            served = wire_grpc.OffloadStub(channel).Describe(wire.DescribeRequest(), timeout=_DESCRIBE_S)
        except grpc.RpcError as error:
            raise ConfigError(
                f"the cloud server at {address} does not say what it serves: {error.details()}"
            ) from error
    if set(bundle.manifest.labels) - set(served.labels):
        raise ConfigError(
            f"expected a big model with the labels of the bundle {bundle.manifest.name} "
            f"({', '.join(bundle.manifest.labels[:20])}); {served.model} has others: "
            f"{label_difference(bundle.manifest.labels, served.labels)}. {LABEL_MAP_CURE}; or {_ELSE}"
        )


def _is(named: BigReference, place: Path) -> bool:
    if not named.fingerprint:
        return True
    if place.is_dir():
        return open_bundle(place).manifest.sha256.startswith(named.fingerprint)
    return fingerprint_of(place) == named.fingerprint

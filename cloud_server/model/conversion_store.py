"""Networks converted for OpenVINO, kept in the user's cache folder, so that a later start needs no torch.

A conversion is a folder named by a hash of the weights and of what converted them: `network.xml` and `network.bin`, and
`about.json` with the checksums of both. One that is damaged, or half written, counts as none.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import msgspec
from platformdirs import user_cache_path

from edge_sdk.model.inputs import InputSpec
from edge_sdk.networks.model_name import join_name, split_name

FORMAT = 1
"""Of what is kept, and of how a network is converted: another number finds no earlier conversion."""
NETWORK = "network.xml"
_FILES = (NETWORK, "network.bin")
_ABOUT = "about.json"


class About(msgspec.Struct, frozen=True):
    """What the server needs to know of a converted network.

    Attributes:
        arch: timm's name of the architecture.
        labels: C class names.
        input: its input.
        macs: multiply-accumulates for one frame.
        parameters: number of weights.
        fingerprint: the torch network's, so that replies cached by the one count for the other.
        sha256: of each file.
    """

    arch: str
    labels: tuple[str, ...]
    input: InputSpec
    macs: int
    parameters: int
    fingerprint: str
    sha256: dict[str, str] = {}


def key_of(model: str) -> str:
    """What a model's conversion is named by: changes with its weights, its architecture, OpenVINO, timm and this code.

    Args:
        model: the path of a file of weights, with "ARCH=" before it or not; or a timm name, whose pretrained weights
            stay as they are.

    Raises:
        OSError: the file cannot be read.
    """
    arch, file = split_name(model)
    weights = Path(file)
    digest = hashlib.blake2b(digest_size=16)
    makers = FORMAT, *(version(name) for name in ("openvino", "torch", "timm"))
    if weights.is_file():
        digest.update(repr((*makers, join_name(arch, ""))).encode())
        with weights.open("rb") as source:
            while block := source.read(1 << 20):
                digest.update(block)
    else:
        digest.update(repr((*makers, model, "timm")).encode())
    return digest.hexdigest()


class ConversionStore:
    """Conversions on this machine.

    Args:
        folder: None: in the user's cache folder (`XDG_CACHE_HOME`).
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = user_cache_path("cloud-server", appauthor=False) / "openvino" if folder is None else folder

    def find(self, key: str) -> tuple[Path, About] | None:
        """The network's file and what is known of it; None where there is none that is whole."""
        place = self.folder / key
        try:
            about = msgspec.json.decode((place / _ABOUT).read_bytes(), type=About)
            whole = all(_sha256(place / name) == about.sha256[name] for name in _FILES)
        except (OSError, ValueError, KeyError):  # a JSON that is none is a ValueError
            return None
        return (place / NETWORK, about) if whole else None

    def keep(self, key: str, about: About, write: Callable[[Path], None]) -> tuple[Path, About]:
        """Keep a conversion; whoever reads meanwhile sees none, or the whole of it.

        Args:
            key: its name.
            about: what is known of the network, but for the checksums.
            write: writes `network.xml`, whose path it gets, and `network.bin` beside it.

        Raises:
            OSError: it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=self.folder))
        try:
            write(making / NETWORK)
            about = msgspec.structs.replace(about, sha256={name: _sha256(making / name) for name in _FILES})
            (making / _ABOUT).write_bytes(msgspec.json.encode(about))
            place = self.folder / key
            if place.exists():  # damaged, or another process was quicker
                shutil.rmtree(place, ignore_errors=True)
            try:
                os.rename(making, place)
            except OSError:
                if (other := self.find(key)) is None:
                    raise
                return other
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return place / NETWORK, about


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

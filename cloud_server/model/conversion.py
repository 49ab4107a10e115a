"""From a torch network to one that OpenVINO runs: `python -m cloud_server.model.conversion MODEL` keeps it.

The server does this in a process of its own, so that torch and what converting takes leave no memory behind.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cloud_server.model.conversion_store import About, ConversionStore, key_of
from cloud_server.model.openvino_model import INSTALL, compiled, is_installed
from edge_sdk.errors import ConfigError

if TYPE_CHECKING:
    from cloud_server.model.torch_model import TorchModel

_log = logging.getLogger(__name__)
CLOSE = 1e-4
"""Greatest difference of a probability up to which a converted network counts as the same."""
_SAMPLES = 3
"""Pictures on which both are compared."""


def converted(model: str, store: ConversionStore | None = None) -> tuple[Path, About]:
    """A network converted for OpenVINO, from the store or made now; loads no torch into this process.

    Args:
        model: the path of a file of weights, with "ARCH=" before it or not, or a timm name.
        store: where conversions are kept.

    Returns:
        The converted network's file, and what is known of it.

    Raises:
        ConfigError: OpenVINO is not installed, or the model cannot be converted.
    """
    if not is_installed():
        raise ConfigError(f"expected OpenVINO for --engine openvino; this Python lacks it: {INSTALL}")
    store = ConversionStore() if store is None else store
    try:
        key = key_of(model)
    except OSError as error:
        raise ConfigError(f"cannot read {model}: {error.strerror or error}") from error
    if (found := store.find(key)) is not None:
        return found
    _log.info("converting %s for OpenVINO, once: it takes some seconds", model)
    began = time.monotonic()
    command = [sys.executable, "-P", "-m", "cloud_server.model.conversion", model, str(store.folder)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode or (found := store.find(key)) is None:
        said = done.stderr.strip().splitlines()
        raise ConfigError(f"cannot convert {model} for OpenVINO: {said[-1] if said else 'it ended without a word'}")
    _log.info("converted in %.1f s, kept in %s", time.monotonic() - began, found[0].parent)
    return found


def convert(model: TorchModel, arch: str, keep: ConversionStore, key: str) -> tuple[Path, About]:
    """Convert a loaded network and keep it.

    Raises:
        ConfigError: OpenVINO cannot convert it, or the converted network answers otherwise.
        OSError: it cannot be kept.
    """
    import openvino

    pixels = np.random.default_rng(0).integers(0, 256, (_SAMPLES, model.input_height, model.input_width, 3), np.uint8)
    network = _network_of(model, pixels)
    run = compiled(network, 1, at_once=1)
    got = np.concatenate([run([pixels])[0], run([pixels[:1]])[0]])  # of two sizes: none may be built in
    expected = np.concatenate([model.run(list(part), [None] * len(part))[0] for part in (pixels, pixels[:1])])
    worst = float(np.abs(got - expected).max()) if got.shape == expected.shape else float("inf")
    if not worst <= CLOSE:  # NaN is refused too
        raise ConfigError(f"expected the same answers from OpenVINO; they differ by up to {worst:.2g}")
    about = About(
        arch=arch,
        labels=model.labels,
        input=model.spec,
        macs=model.macs,
        parameters=model.parameters,
        fingerprint=model.fingerprint,
    )
    return keep.keep(key, about, lambda path: openvino.save_model(network, path, compress_to_fp16=False))


def _network_of(model: TorchModel, pixels: Any) -> Any:
    """OpenVINO's form of the network from pixels, `uint8 (N, H, W, 3)`, to probabilities, `float32 (N, C)`."""
    import openvino
    import torch

    shape = [-1, model.input_height, model.input_width, 3]
    try:
        with warnings.catch_warnings():  # OpenVINO traces with torch.jit, which torch would rather have replaced
            warnings.simplefilter("ignore")
            return openvino.convert_model(
                model.whole(), example_input=torch.from_numpy(pixels), input=[(shape, openvino.Type.u8)]
            )
    except Exception as error:  # what it cannot convert it tells in many ways
        raise ConfigError(f"OpenVINO does not convert this network ({type(error).__name__}: {error!s:.200})") from error


def main(model: str, folder: str) -> None:
    """Convert what `cloud-server --model` names and keep it in a folder; a failure is told in one line."""
    from cloud_server.model.big import load_torch
    from cloud_server.model.torch_model import SequenceModel

    try:
        loaded = load_torch(model, "cpu", None)
        if isinstance(loaded, SequenceModel):
            raise ConfigError("expected one network; it is an exit sequence, which torch alone runs: --engine torch")
        convert(loaded, loaded.arch, ConversionStore(Path(folder)), key_of(model))
    except (ConfigError, OSError) as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Pretrained weights from a hub: from its cache, or over the network where the first byte comes within seconds.

The library that downloads tries again for minutes where nothing answers. So one byte of the file is asked for first,
with one limit for all of it: names, proxies, redirects and the host that has the file. A download that has begun may
last.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.timm_library import import_timm
from edge_sdk.networks.weights_file import read_weights

_log = logging.getLogger(__name__)
SECONDS = 8.0
"""Until the first byte of a file has come."""
_USUAL = "pytorch_model.bin"
_SAFE = {_USUAL: "model.safetensors", "open_clip_pytorch_model.bin": "open_clip_model.safetensors"}
_ELSE = (
    "`edge-sdk import --arch {arch} --weights FILE` takes weights that you have, `edge-sdk photos` makes a pair of "
    "ImageNet models without a hub, and a copy of the cache of a machine that has them (HF_HOME) serves too"
)


def pretrained_weights(name: str) -> dict[str, torch.Tensor] | None:
    """Pretrained weights of timm, from the hub's cache or the network.

    Args:
        name: timm's, with or without a tag.

    Returns:
        tensors by the names of the file; None: timm reads this file itself, and it can be had.

    Raises:
        WorkbenchError: timm has none of that name, or they are not in the cache and cannot be fetched: told within ten
            seconds, with what to do.
    """
    config = _config_of(name)
    cached = _cached(config)
    if cached is None and not (source := _source(config)):
        raise WorkbenchError(f"timm has no pretrained weights of {name}{_others(name)}")
    if cached is None:
        cached = _fetch(name, config, source)
    if cached is None or config.get("custom_load"):
        return None
    return read_weights(cached).tensors


def first_byte(url: str, headers: Mapping[str, str] | None = None, *, seconds: float | None = None) -> str:
    """Ask for one byte of a file and throw it away.

    Args:
        url: of the file; redirects are followed.
        headers: sent to its host alone.
        seconds: for all of it; default: `SECONDS`.

    Returns:
        "" where it came, else what came in its place, in words.
    """
    seconds = SECONDS if seconds is None else seconds
    told = [f"nothing answered within {seconds:g} s"]
    # Looking a name up cannot be limited in time: the thread that does it is left behind where it takes too long.
    asking = threading.Thread(target=lambda: told.append(_ask(url, headers or {}, seconds)), daemon=True)
    asking.start()
    asking.join(seconds)
    return told[-1]


def _ask(url: str, headers: Mapping[str, str], seconds: float) -> str:
    request = urllib.request.Request(url, headers={"Range": "bytes=0-0", "User-Agent": "edge-sdk"})
    for key, value in headers.items():
        request.add_unredirected_header(key, value)  # a token is for the hub and not for where it sends us
    try:
        with urllib.request.urlopen(request, timeout=seconds, context=_trust()) as reply:
            kind = reply.headers.get_content_type()
            if kind == "text/html":
                return "a page of HTML came in place of the file: a proxy or a network that wants a login"
            return "" if reply.read(1) else "an empty file came"
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code} {error.reason}"
    except urllib.error.URLError as error:
        return str(error.reason)
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def _trust() -> ssl.SSLContext:
    """The authorities that the hub's own library trusts, and those of the environment."""
    context = ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return context
    if not os.environ.get("SSL_CERT_FILE"):
        context.load_verify_locations(certifi.where())
    return context


def _config_of(name: str) -> dict[str, Any]:
    try:
        config = import_timm().get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError as error:
        raise WorkbenchError(f"timm has no pretrained weights of {name}: {error}{_others(name)}") from error
    return dict(config.to_dict())


def _others(name: str) -> str:
    known = import_timm().list_pretrained(f"{name.split('.', 1)[0]}.*")
    return f"; it has {', '.join(known[:6])}" if known else ""


def _files(config: Mapping[str, Any]) -> Iterator[str]:
    """What the file may be called on the hub, the safe form first, as timm looks for them."""
    name = config.get("hf_hub_filename") or _USUAL
    if name.endswith(".bin"):
        yield _SAFE.get(name, f"{name[:-4]}.safetensors")
    yield name


def _source(config: Mapping[str, Any]) -> str:
    return str(config.get("hf_hub_id") or config.get("url") or "")


def _cached(config: Mapping[str, Any]) -> Path | None:
    if config.get("hf_hub_id"):
        from huggingface_hub import try_to_load_from_cache

        repository, _, revision = config["hf_hub_id"].partition("@")
        for file in _files(config):
            found = try_to_load_from_cache(repository, file, revision=revision or None)
            if isinstance(found, str):
                return Path(found)
    if url := config.get("url"):
        here = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
        return here if here.is_file() else None
    return None


def _fetch(name: str, config: Mapping[str, Any], source: str) -> Path | None:
    """Download a file, with its progress on standard error; None: timm downloads it itself, from elsewhere."""
    from huggingface_hub import constants, get_token, hf_hub_download, hf_hub_url

    if not config.get("hf_hub_id"):
        if told := first_byte(source):
            raise _unreachable(name, source, told)
        return None
    if constants.HF_HUB_OFFLINE:
        raise _unreachable(name, source, "HF_HUB_OFFLINE is set, and its cache has none")
    repository, _, revision = source.partition("@")
    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = told = ""
    for file in _files(config):
        url = hf_hub_url(repository, file, revision=revision or None)
        told = first_byte(url, headers)
        if told.startswith("HTTP 404"):
            continue
        if told:
            break
        try:
            return Path(hf_hub_download(repository, file, revision=revision or None))
        except Exception as error:  # of the library's own kinds, which change with its version
            first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise WorkbenchError(
                f"the download of {name} from {url} broke off: {first}. The same command goes on where it was"
            ) from error
    raise _unreachable(name, url, told)


def _unreachable(name: str, source: str, told: str) -> WorkbenchError:
    arch = name.split(".", 1)[0]
    return WorkbenchError(
        f"cannot fetch the pretrained weights of {name} from {source}: {told}. {_ELSE.format(arch=arch)}"
    )

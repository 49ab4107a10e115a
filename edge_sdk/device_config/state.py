"""Where a device's state lies when nobody names the folder. Loads nothing of the camera, the model or the link."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath

from edge_sdk.config import default_state_dir

SERVICES = Path("/var/lib")
"""Where systemd keeps the state of services; that of `edge-sdk install-service` is in edge-sdk below it."""
DEFAULT_BUNDLE = "trailcam"


def state_folder(named: str | Path | None, bundle: str | Path | None = None) -> Path:
    """The folder that is named, else the bundle's in the user's state, or where there is none that of the service.

    Args:
        named: as the config file or an option has it.
        bundle: folder of the little model, or the name of one that ships; None: the one that is used by default.
    """
    if named is not None:
        return Path(os.path.abspath(os.path.expanduser(named)))
    own = default_state_dir(_name_of(str(bundle or DEFAULT_BUNDLE)))
    of_service = SERVICES / own.parent.name / own.name
    return of_service if not os.path.isdir(own) and os.path.isdir(of_service) else own


def _name_of(bundle: str) -> str:
    """The name that the manifest has, after which the folder is called."""
    try:
        return str(json.loads((Path(bundle) / "manifest.json").read_bytes())["name"])
    except (OSError, ValueError, KeyError, TypeError):  # a bundle that ships, or one that cannot be read
        return PurePosixPath(bundle).name or DEFAULT_BUNDLE

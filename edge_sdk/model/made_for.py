"""Whether a bundle was made for the camera whose frames it gets: the simulated one, or real ones."""

from __future__ import annotations

from edge_sdk.model.bundle import Manifest
from edge_sdk.model.policy import Policy
from edge_sdk.types import View

SIMULATED = "simulated://trailcam"
PHOTOS = "photos"
_SCHEME = "simulated:"


def made_for(*addresses: str) -> str:
    """`Manifest.made_for` of a bundle that was made of the pictures at these addresses; "" where none is known."""
    known = [address for address in addresses if address]
    if any(address.startswith(_SCHEME) for address in known):
        return next(address.partition("?")[0] for address in known if address.startswith(_SCHEME))
    return PHOTOS if known else ""


def made_for_text(manifest: Manifest) -> str:
    """What a bundle is made for, in words."""
    if manifest.made_for.startswith(_SCHEME):
        return f"the simulated camera ({manifest.made_for}); it does not know what real cameras see"
    return "real cameras" if manifest.made_for == PHOTOS else manifest.made_for or "not known"


def doubt(manifest: Manifest, source: str) -> str:
    """One sentence where a bundle was not made for the frames of a source; else "".

    Args:
        manifest: of the bundle; nothing is said where it does not tell what it is made for.
        source: of a frame, or the address of a camera; "" where it is not known.
    """
    simulated = source.startswith(_SCHEME)
    if not source or not manifest.made_for or manifest.made_for.startswith(_SCHEME) == simulated:
        return ""
    if simulated:
        return (
            f"the bundle {manifest.name} was made for real cameras, and these frames are of the simulated one: "
            "its answers mean little here"
        )
    return (
        f"the bundle {manifest.name} was made for the simulated camera and knows rendered pictures alone: on real ones "
        "its answers mean nothing, however sure they are. A model of your own: docs/guides/own-model.md"
    )


def doubt_of_view(manifest: Manifest, policy: Policy, view: str | None) -> str:
    """What to tell a person whose bundle looks at something other than what its rule was calibrated for; else ""."""
    if view in (None, manifest.view) or (view == View.FRAME and policy.regions is not None):
        return ""
    return (
        f"view={view}: the rule of {manifest.name} was calibrated for view={manifest.view}, and promises its accuracy "
        "for that alone; threshold=... sets one of your own"
    )

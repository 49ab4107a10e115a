"""Digests that tie states on disk to networks, pictures and settings."""

from __future__ import annotations

import hashlib

from torch import nn

from edge_sdk.workbench.specialize.samples import Samples


def fingerprint(*facts: object) -> str:
    """A digest of settings, used as a folder's name."""
    return hashlib.sha256("\n".join(map(repr, facts)).encode()).hexdigest()[:16]


def contents(samples: Samples) -> str:
    """A digest of pictures and classes."""
    digest = hashlib.sha256(samples.images.tobytes())
    digest.update(samples.truths.tobytes())
    return digest.hexdigest()


def weights(module: nn.Module) -> str:
    """A digest of a network's weights."""
    digest = hashlib.sha256()
    for value in module.state_dict().values():
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()

"""What tells one architecture from another by its tensors alone: names and shapes, without the classifier's.

The classifier is left out since its shape follows the number of classes, which fine-tuning changes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from math import prod

import msgspec

COUNTED = "num_batches_tracked"
"""The last part of names of batch normalisation's counters, which inference does not use and many files lack."""
_NO_WEIGHTS = re.compile(
    r"(^|\.)(num_batches_tracked|n_averaged|total_ops|total_params|relative_position_index|relative_coords_table|"
    r"attn_mask|position_ids|attention_bias_idxs)$"
)
_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|module|_fsdp_wrapped_module)\.")

Shape = tuple[int, ...]


class Signature(msgspec.Struct, frozen=True, array_like=True):
    """The tensors of a network without its classifier.

    Attributes:
        tensors: how many.
        parameters: elements of all of them.
        names: digest of names and shapes, in any order.
        order: digest of the shapes in their order, whatever the names; ones at the end of a shape do not count.
        classifiers: modules that are left out.
    """

    tensors: int
    parameters: int
    names: str
    order: str
    classifiers: tuple[str, ...]


def signature_of(shapes: Mapping[str, Shape], classifiers: Sequence[str]) -> Signature:
    """The signature of tensors.

    Args:
        shapes: of all tensors by name, in the network's order.
        classifiers: names of the modules that give the classes.
    """
    kept = {
        name: shape for name, shape in shapes.items() if is_weight(name) and name.rpartition(".")[0] not in classifiers
    }
    return Signature(
        tensors=len(kept),
        parameters=sum(map(prod, kept.values())),
        names=_digest(sorted(f"{name} {shape}" for name, shape in kept.items())),
        order=_digest([str(squeezed(shape)) for shape in kept.values()]),
        classifiers=tuple(classifiers),
    )


def squeezed(shape: Sequence[int]) -> Shape:
    """A shape without the ones at its end: a linear layer's and a 1x1 convolution's are then the same."""
    kept = list(shape)
    while kept and kept[-1] == 1:
        kept.pop()
    return tuple(kept)


def is_weight(name: str) -> bool:
    """Whether a tensor of this name counts: no buffer that networks compute, nothing that profilers leave."""
    return not _NO_WEIGHTS.search(name)


def unwrapped(name: str) -> str:
    """A name without what `torch.compile`, data parallel wrappers and FSDP put before its parts."""
    return _WRAPPERS.sub("", name)


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]

"""Which class of ImageNet a folder of photos is of: named by its number, its WordNet id, or in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from edge_sdk.networks.labels import imagenet_labels, imagenet_wnids
from edge_sdk.workbench.labelled import LabelledImage

_MOST = 20


def class_of(folder: str) -> str | None:
    """The class that a folder's name means: "388", "n02510455" or "giant_panda"; None: none."""
    labels = imagenet_labels()
    if re.fullmatch(r"\d{1,3}", folder, re.ASCII):
        return labels[int(folder)]
    if folder in imagenet_wnids():
        return labels[imagenet_wnids().index(folder)]
    words = _words(folder)
    return next((label for label in labels if _words(label) == words), None)


def labels_of(folders: Iterable[str], label_map: Mapping[str, str]) -> dict[str, str]:
    """The label of each folder that has one.

    Args:
        folders: their names.
        label_map: from ImageNet's classes to groups; a folder may be named as a group too. Empty: no groups.
    """
    groups = {_words(group): group for group in label_map.values()}
    found = {}
    for folder in folders:
        fine = class_of(folder)
        label = label_map.get(fine, fine) if fine is not None else None
        if (label := groups.get(_words(folder), label)) is not None:
            found[folder] = label
    return found


def meaning_in(labels: Sequence[str], label_map: Mapping[str, str] | None = None) -> Callable[[str | None], str | None]:
    """What folders mean to a model: the label itself, or for ImageNet's classes and groups of them any of their names.

    Args:
        labels: of the model, after its label map.
        label_map: from ImageNet's classes to groups; None or empty: no groups.

    Returns:
        a function from a folder's name to a label; a name that means no class stays as it is.
    """
    known, mapping = set(labels), dict(label_map or {})
    knows_imagenet = known == set(imagenet_labels()) or bool(mapping.keys() & set(imagenet_labels()))
    found: dict[str, str] = {}

    def label(folder: str | None) -> str | None:
        if folder is None or folder in known or not knows_imagenet:
            return folder
        if folder not in found:
            found[folder] = labels_of((folder,), mapping).get(folder, folder)
        return found[folder]

    return label


def few(labels: Sequence[str]) -> str:
    """Labels for a message: all, or the first twenty of many."""
    return ", ".join(labels[:_MOST]) + (f" ... ({len(labels)} in all)" if len(labels) > _MOST else "")


def relabelled(pictures: Iterable[LabelledImage], labels: Mapping[str, str]) -> Iterator[LabelledImage]:
    """The pictures with the labels of their folders; None where a folder means no class."""
    for picture in pictures:
        yield replace(picture, label=labels.get(picture.label or ""))


def _words(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.strip().lower()))

"""What a network is to look at in the pictures of a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.read import read_image
from edge_sdk.model.bundle import InputSpec
from edge_sdk.types import Image, View
from edge_sdk.workbench.folder_source import FolderSource
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.looks import Finding, looks_at, photo_regions
from edge_sdk.workbench.pseudo_labels import is_archive


class PictureLooks:
    """Reads files, each as the whole picture, the surroundings of its region, or both.

    Regions are those of `photo_regions`. The pictures of a server's archive are seen whole: their bursts are not known.

    Args:
        folder: in which the files lie; class folders, a CSV, or an archive.
        view: what is looked at.
        spec: input of the network, whose proportions the surroundings have.
        finding: how regions are found; None: by bursts.

    Attributes:
        pictures: how many were read.
        near: of how many a region was looked at.

    Raises:
        WorkbenchError: as `photo_regions`; a detector or boxes for an archive.
    """

    def __init__(self, folder: Path, view: View, spec: InputSpec, finding: Finding | None = None) -> None:
        self._view, self._spec = view, spec
        self._source: FolderSource | None = None
        if is_archive(folder):
            if finding is not None:
                raise WorkbenchError(
                    f"expected class folders or a CSV, for a detector or boxes; {folder} is an archive"
                )
        elif view is not View.FRAME:
            source = photo_regions(FolderSource(folder, Split.ALL), finding)
            assert isinstance(source, FolderSource)
            self._source = source
        self.pictures = self.near = 0

    def of(self, path: Path) -> Sequence[Image]:
        """The looks at one picture, none where it cannot be read and that was logged.

        Raises:
            ImageError: it cannot be read.
        """
        if self._source is None:
            self.pictures += 1
            return [read_image(path).image]
        for picture in self._source.read_files([path]):
            self.pictures += 1
            self.near += picture.region is not None
            return [one.image for one in looks_at(picture, self._view, self._spec.width, self._spec.height)]
        return []

    def sentence(self) -> str:
        """In how many pictures a region was looked at; "": none is asked for."""
        if self._view is View.FRAME:
            return ""
        return f"regions: in {self.near} of {self.pictures} pictures; the others are seen whole"

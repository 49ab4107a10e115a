"""Pictures with a word on each, side by side on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge_sdk.types import Image


def write_label(tile: Image, label: str) -> None:
    """Write a word into the upper left corner of a picture, `uint8 (H, W, 3)`, white on black; "?" for non-ASCII."""
    text = label.encode("ascii", "replace").decode()
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    cv2.rectangle(tile, (0, 0), (width + 11, height + 11), (0, 0, 0), cv2.FILLED)
    cv2.putText(tile, text, (6, height + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)


def tile_of(image: Image, label: str, size: tuple[int, int]) -> Image:
    """A picture with its word, as large as fits into `size` (width, height), on black."""
    width, height = size
    share = min(width / image.shape[1], height / image.shape[0])
    across, down = max(1, round(image.shape[1] * share)), max(1, round(image.shape[0] * share))
    tile = np.zeros((height, width, 3), np.uint8)
    left, top = (width - across) // 2, (height - down) // 2
    tile[top : top + down, left : left + across] = cv2.resize(image, (across, down), interpolation=cv2.INTER_AREA)
    write_label(tile, label)
    return tile


def sheet_of(tiles: Sequence[Image], columns: int) -> Image:
    """Tiles of one size, row by row.

    Args:
        tiles: one or more, `uint8 (H, W, 3)`.
        columns: tiles in a row, at most.
    """
    height, width = tiles[0].shape[:2]
    columns = min(columns, len(tiles))
    sheet = np.zeros((-(-len(tiles) // columns) * height, columns * width, 3), np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    return sheet

"""Pictures side by side."""

from __future__ import annotations

import numpy as np

from edge_sdk.images.tiles import sheet_of, tile_of


def test_a_picture_fits_its_tile_and_tiles_fill_rows() -> None:
    tall = np.full((200, 50, 3), 200, np.uint8)
    tile = tile_of(tall, "рысь 93%", (80, 100))
    assert tile.shape == (100, 80, 3)
    assert (tile[50, 40] == 200).all() and (tile[80, :25] == 0).all() and (tile[80, -25:] == 0).all()
    assert tile[:20].max() > 200  # the word
    sheet = sheet_of([tile] * 5, 3)
    assert sheet.shape == (200, 240, 3)
    assert np.array_equal(sheet[100:, 80:160], tile) and not sheet[100:, 160:].any()
    assert sheet_of([tile], 6).shape == tile.shape

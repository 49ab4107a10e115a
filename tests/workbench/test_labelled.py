"""Reading all parts of a source."""

from collections.abc import Iterator

import numpy as np

from edge_sdk.workbench.labelled import LabelledImage, read_all

EMPTY = np.zeros((1, 1, 3), np.uint8)


class Counting:
    """Three parts of two pictures."""

    labels, parts, key = ("a",), 3, "counting"

    def size(self, part: int) -> int:
        return 2

    def read(self, part: int) -> Iterator[LabelledImage]:
        return (LabelledImage(EMPTY, "a", name=f"{part}/{index}") for index in range(2))


def test_parts_are_read_in_order() -> None:
    assert [picture.name for picture in read_all(Counting())] == ["0/0", "0/1", "1/0", "1/1", "2/0", "2/1"]

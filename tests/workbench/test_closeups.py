import numpy as np

from edge_sdk.workbench.closeups import cut_out, find_changes


def test_what_moved_is_found_and_an_unchanged_picture_has_nothing() -> None:
    rng = np.random.default_rng(0)
    place = rng.integers(40, 160, (120, 160, 3)).astype(np.float32)
    images = [np.clip(place + rng.normal(0, 2, place.shape), 0, 255).astype(np.uint8) for _ in range(8)]
    for index in range(5):
        images[index][20 : 20 + 30, 20 * index : 20 * index + 24] = 250
    boxes = find_changes(images)
    for index in range(5):
        box = boxes[index]
        assert box is not None
        assert np.abs(np.array(box) - (20 * index, 20, 24, 30)).max() <= 10
    assert boxes[5:] == [None] * 3


def test_a_cut_out_keeps_the_proportions_and_holds_the_box() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    image[200:240, 300:360] = 255
    for seed in range(50):
        part = cut_out(image, (300, 200, 60, 40), np.random.default_rng(seed))
        assert abs(part.shape[1] / part.shape[0] - 4 / 3) < 0.05
        assert (part > 0).all(axis=2).sum() >= 0.9 * 60 * 40
    for seed in range(50):
        part = cut_out(image, None, np.random.default_rng(seed))
        assert part.shape[0] >= 30 and part.shape[1] >= 40

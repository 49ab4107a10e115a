import numpy as np

from edge_sdk.workbench.augment import Augmentation


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 190, (48, 64, 3), np.uint8)


def test_a_changed_picture_is_a_function_of_the_generator() -> None:
    image = picture()
    before = image.copy()
    some = [Augmentation().apply(image, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(some[0], some[1]) and not np.array_equal(some[0], some[2])
    assert some[0].shape == image.shape and some[0].dtype == np.uint8
    assert np.array_equal(image, before)


def test_noise_falls_on_every_channel_alike() -> None:
    only_noise = Augmentation(1, 0, 0, 0, 0, 0, 0, noise=0.04, blur=0, jpeg=0, cutout=0)
    grey = np.full((96, 128, 3), 120, np.uint8)
    for seed in range(12):
        out = only_noise.apply(grey, np.random.default_rng(seed)).astype(float)
        assert np.abs(out.mean((0, 1)) - 120).max() < 2
        deviation = out.std((0, 1))
        assert deviation.max() < 12 and deviation.max() - deviation.min() < 1


def test_no_strength_is_no_change_but_mirroring() -> None:
    image = picture()
    out = Augmentation(flip=0).weaker(0).apply(image, np.random.default_rng(0))
    assert np.abs(out.astype(int) - image).max() <= 2

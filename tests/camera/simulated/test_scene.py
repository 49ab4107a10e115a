"""Painted sites."""

import numpy as np

from edge_sdk.camera.simulated.scene import KINDS, make_site


def test_a_seed_gives_a_site() -> None:
    one, again, other = make_site(3, 160, 120), make_site(3, 160, 120), make_site(4, 160, 120)
    assert one.kind in KINDS and one.kind == again.kind
    assert np.array_equal(one.colour, again.colour) and np.array_equal(one.depth, again.depth)
    assert not np.array_equal(one.colour, other.colour)


def test_a_site_has_a_depth_at_every_pixel_and_is_nearer_below() -> None:
    for seed in range(6):
        site = make_site(seed, 160, 120)
        assert site.colour.shape == (120, 160, 3) and site.colour.dtype == np.uint8
        assert site.depth.shape == site.leafy.shape == site.dapple.shape == (120, 160)
        assert (site.depth > 0).all() and np.isfinite(site.depth).all()
        assert np.median(site.depth[-10:]) < np.median(site.depth[:10])

import numpy as np
import pytest

from edge_sdk.camera.simulated.arrivals import HABITS, Actor, plan_visit
from edge_sdk.camera.simulated.light import light_at
from edge_sdk.camera.simulated.painter import Place, View, paint
from edge_sdk.camera.simulated.pose import Pose
from edge_sdk.camera.simulated.renderer import Renderer
from edge_sdk.camera.simulated.scene import make_site
from edge_sdk.camera.simulated.texture import generator

_NOON = light_at(12.0, "overcast", 0.0, 8.0)


def _difference(renderer: Renderer, actors: tuple[Actor, ...]) -> tuple[str | None, int]:
    """The label, and how many pixels differ from the same picture with nobody there."""
    taken = renderer.shoot(actors, generator(1), time_s=0.0, wind=0.0)
    empty = renderer.shoot((), generator(1), time_s=0.0, wind=0.0)
    changed = np.abs(taken.image.astype(int) - empty.image.astype(int)).max(axis=2) > 12
    return taken.label, int(changed.sum())


@pytest.mark.parametrize("kind", sorted(HABITS))
def test_label_says_whether_somebody_can_be_seen(kind: str) -> None:
    rng = generator(2, len(kind))
    seen = hidden = 0
    for seed in range(4):
        renderer = Renderer(make_site(seed, 320, 240), _NOON)
        for actors in plan_visit(kind, rng, renderer.site.view, 2.0)[::3]:
            label, pixels = _difference(renderer, actors)
            if label is None:
                hidden += 1
                assert pixels == 0
            else:
                seen += 1
                assert label == kind
                assert pixels >= 20
    assert seen > 0
    assert hidden > 0


def test_nobody_is_seen_beyond_the_edge_or_in_the_dark_distance() -> None:
    site = make_site(3, 320, 240)
    pose = Pose("stand", 0.0)
    outside = Actor("deer", 1, Place(60.0, 8.0, 0.0), pose, 0.0)
    assert _difference(Renderer(site, _NOON), (outside,)) == (None, 0)
    night = light_at(0.0, "clear", 0.0, 7.0)
    distant = Actor("boar", 1, Place(0.0, 70.0, 0.0), pose, 0.0)
    assert _difference(Renderer(site, night), (distant,)) == (None, 0)


def test_trees_hide_what_stands_behind_them() -> None:
    site = make_site(0, 320, 240)
    site.depth[:] = 5.0
    deer = Actor("deer", 1, Place(0.0, 6.0, 0.0), Pose("stand", 0.0), 0.0)
    assert _difference(Renderer(site, _NOON), (deer,))[0] is None
    site.depth[:] = 50.0
    site_without_sprays = type(site)(site.kind, site.view, site.colour, site.depth, site.leafy, site.dapple, ())
    assert _difference(Renderer(site_without_sprays, _NOON), (deer,))[0] == "deer"


@pytest.mark.parametrize("kind", sorted(HABITS))
@pytest.mark.parametrize("heading", [0.0, 0.8, np.pi / 2, np.pi, -np.pi / 2])
def test_every_class_can_be_drawn_from_every_side(kind: str, heading: float) -> None:
    view = View(320, 240, 300.0, 80.0, 1.0)
    for action in ("walk", "run", "stand", "alert", "feed", "fly"):
        actor = Actor(kind, 7, Place(0.0, HABITS[kind].length_m * 3.5, heading), Pose(action, 0.3, 0.5, 0.4), 0.0)
        sprite = paint(actor.solid(), view, actor.place)
        assert sprite is not None
        assert sprite.alpha.shape == sprite.colour.shape[:2]
        assert 20 < sprite.extent_px < 330


def test_far_things_look_smaller() -> None:
    view = View(640, 480, 600.0, 150.0, 1.0)
    sizes = []
    for distance in (4.0, 8.0, 16.0):
        actor = Actor("fox", 3, Place(0.0, distance, 0.0), Pose("stand", 0.0), 0.0)
        sprite = paint(actor.solid(), view, actor.place)
        assert sprite is not None
        sizes.append(sprite.extent_px)
    assert sizes[0] == pytest.approx(2 * sizes[1], rel=0.15)
    assert sizes[1] == pytest.approx(2 * sizes[2], rel=0.15)

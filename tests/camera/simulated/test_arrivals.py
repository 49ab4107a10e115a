"""Who comes, and from where."""

from edge_sdk.camera.simulated.arrivals import HABITS, LABELS, plan_visit
from edge_sdk.camera.simulated.painter import View
from edge_sdk.camera.simulated.texture import generator


def test_visits_come_from_outside_and_leave() -> None:
    view = View(640, 480, 600.0, 150.0, 1.0)
    for seed in range(30):
        kind = sorted(HABITS)[seed % 6]
        visit = plan_visit(kind, generator(4, seed), view, 2.0)
        assert 2 <= len(visit) <= 140
        for end in (visit[0][0], visit[-1][-1]):
            assert abs(end.place.across_m) > 0.3 * view.width / view.focal_px / 2 * end.place.distance_m
        assert {actor.kind for actors in visit for actor in actors} == {kind}
        assert kind in LABELS

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloud_server.model.registry import Entry, Registry, place_of

NAMES = st.sampled_from(["trailcam", "birds"])
DEVICES = [f"cam-{number}" for number in range(4000)]


def registry(*shares: float) -> Registry[str]:
    canaries = [Entry("trailcam", share, f"canary {number}") for number, share in enumerate(shares)]
    return Registry([Entry("trailcam", None, "stable"), *canaries, Entry("birds", None, "birds")])


def test_a_device_gets_what_it_asks_for_and_else_the_first() -> None:
    models = registry()
    assert models.of("birds", "cam-1") == "birds"
    assert models.of("", "cam-1") == models.of("fish", "cam-1") == models.of("trailcam", "cam-1") == "stable"
    assert (models.first, len(models)) == ("stable", 3 - 1)


@given(st.lists(st.floats(0.01, 0.3), max_size=3))
def test_shares_are_kept_over_many_devices(shares: list[float]) -> None:
    models = registry(*shares)
    got = [models.of("trailcam", device) for device in DEVICES]
    for number, share in enumerate(shares):
        assert abs(got.count(f"canary {number}") / len(DEVICES) - share) < 0.04
    assert abs(got.count("stable") / len(DEVICES) - (1 - sum(shares))) < 0.04


@given(st.floats(0.01, 0.98), st.floats(0.01, 0.98))
def test_a_share_that_grows_gives_no_device_back(one: float, other: float) -> None:
    small, large = (registry(share) for share in sorted((one, other)))
    for device in DEVICES[:200]:
        if small.of("trailcam", device) == "canary 0":
            assert large.of("trailcam", device) == "canary 0"


@given(NAMES, st.text(max_size=20))
def test_a_place_is_always_the_same(name: str, device: str) -> None:
    assert 0 <= place_of(name, device) < 1
    assert place_of(name, device) == place_of(name, device)

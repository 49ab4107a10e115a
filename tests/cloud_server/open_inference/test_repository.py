from __future__ import annotations

import pytest
from gated_model import LABELS, GatedModel
from hypothesis import given
from hypothesis import strategies as st

from cloud_server.access.rates import RateLimiter
from cloud_server.api.request import NotServed
from cloud_server.fleet.stats import Stats
from cloud_server.model.batching import Batcher
from cloud_server.open_inference.inference import Inference
from cloud_server.open_inference.repository import Offer, Repository
from cloud_server.open_inference.served_model import ServedModel
from edge_sdk.networks.label_map import make_label_map

LABEL_MAP = make_label_map(LABELS, {})


def offer(name: str, version: str, *, is_main: bool, is_ready: bool = True) -> Offer:
    served = ServedModel(GatedModel(), lambda: LABEL_MAP, 4, name)

    def no_batcher() -> Batcher:
        raise AssertionError("nothing is run")

    inference = Inference(served, no_batcher, lambda: LABEL_MAP, RateLimiter(None, 1), Stats())
    return Offer(inference, is_main, version, is_ready)


@st.composite
def offered(draw: st.DrawFn) -> list[Offer]:
    """Models as a models file may have them: of each name one without a share, at any place."""
    found = []
    for name in draw(st.sets(st.sampled_from("abc"), min_size=1)):
        versions = draw(st.lists(st.sampled_from(["f0", "f1", "f2"]), min_size=1, max_size=3, unique=True))
        main = draw(st.integers(0, len(versions) - 1))
        found += [
            offer(name, version, is_main=number == main, is_ready=draw(st.booleans()))
            for number, version in enumerate(versions)
        ]
    return draw(st.permutations(found))


@given(offered(), st.sampled_from(["a", "b", "c", "d", ""]), st.sampled_from(["", "1", "f0", "f1", "f2", "9"]))
def test_a_model_is_found_by_name_and_version_or_none_is(offers: list[Offer], name: str, version: str) -> None:
    repository = Repository(lambda: offers)
    expected = [
        one for one in offers if one.name == name and (version == one.version or (version in ("", "1") and one.is_main))
    ]
    assert len(expected) <= 1
    if not expected:
        for ask in (repository.find, repository.metadata, repository.config):
            with pytest.raises(NotServed, match="got "):
                ask(name, version)
        return
    (one,) = expected
    assert repository.find(name, version) is one
    told = repository.metadata(name, version)
    assert (told.name, told.properties["version"]) == (name, one.version)
    assert told.versions[0] == "1"
    others = {other.version for other in offers if other.name == name and not other.is_main}
    assert set(told.versions) == {"1"} | others
    for version_told in told.versions:
        assert repository.find(name, version_told).name == name
    assert repository.config(name, version).parameters["version"].string_value == one.version


@given(offered(), st.booleans(), st.booleans())
def test_all_are_listed_and_counted(offers: list[Offer], is_open: bool, ready_alone: bool) -> None:
    repository = Repository(lambda: offers)
    listed = [(one.name, one.version, one.state) for one in repository.index(is_open=is_open, ready_alone=ready_alone)]
    expected = [
        (one.name, "1" if one.is_main else one.version, "READY" if one.is_ready and is_open else "UNAVAILABLE")
        for one in offers
    ]
    assert listed == [one for one in expected if one[2] == "READY" or not ready_alone]
    assert [(one.name, one.version) for one in repository.statistics()] == [one[:2] for one in expected]
    name = offers[0].name
    assert {one.name for one in repository.statistics(name)} == {name}
    assert [one.version for one in repository.statistics(name, "1")] == ["1"]


def test_what_is_not_there_is_told_with_what_is() -> None:
    repository = Repository(lambda: [offer(f"m{number}", "f0", is_main=True) for number in range(25)])
    with pytest.raises(NotServed, match=r"expected the model 'm0' or 'm1' or .* and 5 more, .* got 'x{80}'$"):
        repository.find("x" * 500, "")
    with pytest.raises(NotServed, match=r"expected version '1' of 'm3', or none; got '01'"):
        repository.find("m3", "01")

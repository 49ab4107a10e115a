from __future__ import annotations

from grpc_health.v1 import health_pb2
from hypothesis import given
from hypothesis import strategies as st

from cloud_server.health import Health, statuses
from cloud_server.parts import OFFLOAD

MODELS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=6)


@given(MODELS)
def test_a_name_serves_while_all_its_versions_do_and_the_server_while_its_first_model_does(
    models: list[tuple[str, bool]],
) -> None:
    told = statuses(models)
    assert told[""] == told[OFFLOAD] == models[0][1]
    names = {name for name, _ in models}
    assert told.keys() == {"", OFFLOAD, *(f"model/{name}" for name in names)}
    for name in names:
        assert told[f"model/{name}"] == all(alive for one, alive in models if one == name)


def test_a_server_with_one_model_has_no_service_for_it() -> None:
    assert statuses([("", True)]).keys() == {"", OFFLOAD}


@given(st.lists(MODELS, min_size=1, max_size=5))
async def test_what_is_told_is_how_it_stands_now(states: list[list[tuple[str, bool]]]) -> None:
    health, seen = Health(), set[str]()
    words = health_pb2.HealthCheckResponse
    for models in states:
        await health.tell(models)
        now = statuses(models)
        seen |= now.keys()
        for service in seen:
            said = await health.servicer.Check(health_pb2.HealthCheckRequest(service=service), None)
            expected = words.SERVICE_UNKNOWN
            if service in now:
                expected = words.SERVING if now[service] else words.NOT_SERVING
            assert said.status == expected
    await health.end()
    said = await health.servicer.Check(health_pb2.HealthCheckRequest(), None)
    assert said.status == words.NOT_SERVING

"""The steps of a start that a server and a replica of Ray share."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from gated_model import GatedModel

from cloud_server.access.authenticator import Authenticator
from cloud_server.access.rates import RateLimiter
from cloud_server.access.refusals import RefusalLog
from cloud_server.begin import load_models, offer
from cloud_server.config import ServerConfig
from cloud_server.fleet.stats import Stats
from cloud_server.health import Health
from cloud_server.models import Models
from cloud_server.tracing import NoTraces
from edge_sdk.errors import EdgeError

DEVICES, HEALTH, STANDARD = "edge_sdk.v1.Offload", "grpc.health.v1.Health", "inference.GRPCInferenceService"


class Taken:
    """Takes services as a server does."""

    def __init__(self) -> None:
        self.services: set[str] = set()

    def add_generic_rpc_handlers(self, handlers: tuple[Any, ...]) -> None:
        self.services |= {handler.service_name() for handler in handlers if hasattr(handler, "service_name")}

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        self.services.add(service)


async def loaded(config: ServerConfig, given: Any = None) -> Models:
    return await load_models(
        config,
        fleet=None,
        authenticator=Authenticator(None),
        limiter=RateLimiter(None, 1),
        stats=Stats(),
        refusals=RefusalLog(),
        traces=NoTraces(),
        tell_dates=lambda device, pem: None,
        given=given,
    )


@pytest.mark.parametrize("is_standard", [False, True])
async def test_services_are_offered_with_standard_clients_by_option_alone(tmp_path: Path, is_standard: bool) -> None:
    config = ServerConfig(open_inference=is_standard, reports=tmp_path)
    models = await loaded(config, GatedModel())
    await models.start()
    assert (models.waiting, models.cached, models.common.reports is not None) == (0, 0, True)
    taken = Taken()
    form = offer(models, Health(), taken, is_serving=lambda: True, is_open=lambda: True)
    assert (form is not None) == is_standard
    assert taken.services == {DEVICES, HEALTH, *([STANDARD] if is_standard else [])}
    await models.first.stop()
    assert models.common.reports is not None
    await models.common.reports.close()


async def test_where_a_model_cannot_be_loaded_nothing_is_left_open(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pytest.raises(EdgeError):
        await loaded(ServerConfig(model=str(tmp_path / "none.safetensors"), reports=tmp_path))
    assert [one for one in threading.enumerate() if one not in before and "report" in one.name] == []

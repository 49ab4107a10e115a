"""Health as grpc.health.v1 tells it: the server as a whole by its first model, and each model by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from grpc_health.v1 import health, health_pb2

from cloud_server import parts

_STATUS = health_pb2.HealthCheckResponse


def model_service(name: str) -> str:
    """The name by which health knows a model of a models file."""
    return f"model/{name}"


def statuses(models: Iterable[tuple[str, bool]]) -> dict[str, bool]:
    """Whether each service serves.

    Args:
        models: name and whether it answers, of each model and version; the first is that which answers devices that
            ask for none. A model of which one version does not answer does not serve: some of its devices get none.
    """
    found = list(models)
    is_first_alive = bool(found) and found[0][1]
    told = {"": is_first_alive, parts.OFFLOAD: is_first_alive}
    for name, is_alive in found:
        if name:
            service = model_service(name)
            told[service] = told.get(service, True) and is_alive
    return told


class Health:
    """Tells who asks, and who watches, what serves.

    Attributes:
        servicer: of grpc.health.v1.
    """

    def __init__(self) -> None:
        self.servicer = health.aio.HealthServicer()
        self._told: Mapping[str, bool] = {}

    async def tell(self, models: Iterable[tuple[str, bool]]) -> None:
        """Tell the models as they are now (`statuses`); one that is gone is unknown from now on."""
        now = statuses(models)
        for service in self._told.keys() - now.keys():
            await self.servicer.set(service, _STATUS.SERVICE_UNKNOWN)
        for service, serves in now.items():
            if self._told.get(service) is not serves:
                await self.servicer.set(service, _STATUS.SERVING if serves else _STATUS.NOT_SERVING)
        self._told = now

    async def end(self) -> None:
        """Nothing serves any more."""
        await self.servicer.enter_graceful_shutdown()

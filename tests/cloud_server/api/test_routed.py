from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cloud_server.access.authenticator import Caller, Unauthenticated
from cloud_server.api.routed import RoutedService
from edge_sdk.wire.names import MODEL_HEADER


class Context:
    """Of a call."""

    def __init__(self, *metadata: tuple[str, str | bytes]) -> None:
        self.metadata = metadata

    def invocation_metadata(self) -> Any:
        return self.metadata


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_call_goes_to_what_answers_its_device(is_known: bool) -> None:
    asked = []

    async def describe(request: Any, context: Any) -> str:
        return "told"

    def of(name: str, device: str) -> Any:
        asked.append((name, device))
        return SimpleNamespace(Describe=describe)

    def authenticate(context: Any) -> Caller:
        if not is_known:
            raise Unauthenticated("who?")
        return Caller("token cam-1", is_proven=True)

    service = RoutedService(of, SimpleNamespace(authenticate=authenticate))  # type: ignore[arg-type]
    assert await service.Describe(None, Context((MODEL_HEADER, "birds"))) == "told"  # type: ignore[arg-type]
    assert await service.Describe(None, Context(("other", b"x"))) == "told"  # type: ignore[arg-type]
    device = "cam-1" if is_known else ""
    assert asked == [("birds", device), ("", device)]

"""The HTTP application: metrics, health, the Open Inference Protocol, and what else is mounted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from prometheus_client.exposition import choose_encoder
from starlette.responses import PlainTextResponse, Response

from cloud_server.http.body import Bounds

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from starlette.types import ASGIApp, Receive, Scope, Send


def make_app(
    registry: CollectorRegistry, is_serving: Callable[[], bool], open_inference: ASGIApp | None = None
) -> tuple[FastAPI, ASGIApp]:
    """The application, and what a server runs: the same with its bounds, metrics and standard clients around it.

    Args:
        registry: the metrics.
        is_serving: whether `/healthz` and `/readyz` say 200 "serving", or 503 "not serving".
        open_inference: answers `/v2` and the paths below it; None: there are none.
    """
    # FastAPI's pages of the API's description load scripts from elsewhere: the description alone is served.
    api = FastAPI(title="cloud-server", docs_url=None, redoc_url=None, openapi_url=None)

    @api.get("/healthz", include_in_schema=False)
    @api.head("/healthz", include_in_schema=False)
    @api.get("/readyz", include_in_schema=False)
    @api.head("/readyz", include_in_schema=False)
    async def health(_: Request) -> Response:
        is_up = is_serving()
        return PlainTextResponse("serving\n" if is_up else "not serving\n", 200 if is_up else 503)

    bounded = Bounds(api)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if open_inference is not None and f"{path}/".startswith("/v2/"):
            await open_inference(scope, receive, send)
        elif path == "/metrics":
            if scope["method"] in ("GET", "HEAD"):
                accept = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"), "")
                encode, kind = choose_encoder(accept)
                text = await asyncio.to_thread(encode, registry)  # of many devices it takes a while
                await Response(text, media_type=kind)(scope, receive, send)
            else:
                await PlainTextResponse("GET only\n", 405, {"Allow": "GET, HEAD"})(scope, receive, send)
        else:
            await bounded(scope, receive, send)

    return api, app

"""Ray Serve: one replica, batches of up to 32."""

# mypy: ignore-errors
# ruff: noqa: D101, D102, D103
import os

os.environ.setdefault("RAY_SERVE_THROUGHPUT_OPTIMIZED", "1")
os.environ.setdefault("RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S", "0")  # else its end takes 30 s
os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")  # for busy cores

from ray import serve
from ray_cluster import run_until_told
from shared import BATCH, PORT, WAIT_S, Model
from starlette.responses import Response


@serve.deployment(num_replicas=1, max_ongoing_requests=512, ray_actor_options={"num_cpus": 1})
class Classify:
    def __init__(self):
        self.model = Model()

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=WAIT_S)
    async def answer(self, datas):
        return self.model.answer(datas)

    async def __call__(self, request):
        return Response(await self.answer(await request.body()))


def start():
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(Classify.bind(), route_prefix="/")


if __name__ == "__main__":
    run_until_told(start)

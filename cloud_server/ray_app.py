"""The cloud server on Ray Serve: replicas on many machines behind one gRPC port, and the replies that they share.

    serve run deploy/ray.yaml

Each replica has a model, a batcher and the service of `cloud-server`, unchanged. Ray's proxy takes the calls, `Stream`
included, and chooses the replica with fewer open ones; Ray starts and ends replicas, and replaces those that die. A
frame that was answered by one replica is not run again by another: the reply is in the fleet's PostgreSQL where
`database` names one, else with `KeptReplies`, one actor for all. What a device may ask for (`max_frames_per_s`,
`max_streams`, its window) counts for each replica.
"""

from __future__ import annotations

from typing import Any

from ray import serve

from cloud_server.fleet.reply_cache import ROWS
from cloud_server.ray_options import Options
from cloud_server.ray_replica import Offload
from cloud_server.ray_replies import KeptReplies

__all__ = ["Options", "app"]

_CHECK_S = 1.0


def app(args: Options | dict[str, Any]) -> serve.Application:
    """The application, for `serve run cloud_server.ray_app:app` and config files.

    Args:
        args: the options, or their names and values as Ray read them.

    Raises:
        ConfigError: a name is none, a value is out of range, or the database is none that replicas can share.
    """
    options = Options.of(args)
    options.config()  # refuses here what each replica would refuse
    actor: dict[str, Any] = {"num_cpus": options.cpus, "num_gpus": options.gpus}
    if options.accelerator:
        actor["accelerator_type"] = options.accelerator
    replies = serve.deployment(KeptReplies).options(
        num_replicas=1, max_ongoing_requests=ROWS, ray_actor_options={"num_cpus": 0}
    )
    offload = serve.deployment(Offload).options(
        max_ongoing_requests=options.max_streams,
        autoscaling_config={
            "min_replicas": options.min_replicas,
            "max_replicas": options.max_replicas,
            "initial_replicas": options.min_replicas,
            "target_ongoing_requests": options.streams_per_replica,
            "upscale_delay_s": options.upscale_delay_s,
            "downscale_delay_s": options.downscale_delay_s,
        },
        ray_actor_options=actor,
        graceful_shutdown_timeout_s=options.drain_s,
        graceful_shutdown_wait_loop_s=_CHECK_S,
        health_check_period_s=5.0,
        health_check_timeout_s=120.0,
    )
    return offload.bind(options, None if options.database else replies.bind(options.state))

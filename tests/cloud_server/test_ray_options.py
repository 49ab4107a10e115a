from __future__ import annotations

from pathlib import Path

import pytest

from cloud_server.ray_options import Options
from edge_sdk.errors import ConfigError


def test_options_become_the_settings_of_each_replica() -> None:
    config = Options(tokens="/t", cpus=3.5, max_frames_per_s=2).config()
    assert (config.tokens, config.threads, config.max_frames_per_s) == (Path("/t"), 3, 2)
    with pytest.raises(ConfigError, match="max_batch from 1 to"):
        Options(max_batch=0).config()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"tokns": "x"}, "expected a name of an option; got 'tokns'; did you mean tokens?"),
        ({"max_batch": "many"}, "max_batch: input should be a valid integer.*; got 'many'"),
        ({"device": "gpu"}, "device: input should be 'auto', 'cpu' or 'cuda'; got 'gpu'"),
        ({"engine": "onnx"}, "engine: input should be"),
        ({"threads": 0}, "threads: input should be greater than or equal to 1; got 0"),
        ({"cpus": -1}, "cpus: .* greater than or equal to 0"),
        ({"cpus": float("nan")}, "cpus: input should be a finite number"),
        ({"drain_s": float("inf")}, "drain_s: input should be a finite number"),
        ({"streams_per_replica": 0, "max_replicas": 0}, "max_replicas: .*; streams_per_replica: "),
        ({"min_replicas": 5, "max_replicas": 2}, "expected max_replicas of at least min_replicas, 5; got 2"),
        ({"gpus": 1.5}, "expected gpus as a part of one GPU or as whole GPUs; got 1.5"),
        ({"require_tokens": True}, "expected database with require_tokens"),
        ({"database": "fleet.db"}, "cannot share"),
        ({"database": "mysql://a/b"}, "got the scheme 'mysql'"),
    ],
)
def test_what_cannot_be_used_is_told_in_words(args: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Options.of(args).config()


def test_a_replica_with_a_gpu_never_answers_without_it() -> None:
    assert Options(gpus=0.5).config().device == "cuda"
    assert Options(gpus=1, device="cuda").config().device == "cuda"
    assert Options().config().device == "auto"
    with pytest.raises(ConfigError, match="expected device auto or cuda with gpus 1; got cpu"):
        Options(gpus=1, device="cpu").config()

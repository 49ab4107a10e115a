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
    with pytest.raises(ValueError, match="Extra inputs"):
        Options.model_validate({"tokns": "x"})


def test_a_replica_with_a_gpu_never_answers_without_it() -> None:
    assert Options(gpus=0.5).config().device == "cuda"
    assert Options(gpus=1, device="cuda").config().device == "cuda"
    assert Options().config().device == "auto"
    with pytest.raises(ConfigError, match="expected device auto or cuda with gpus 1; got cpu"):
        Options(gpus=1, device="cpu").config()

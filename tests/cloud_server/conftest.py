"""A tiny trained-looking checkpoint, made once; databases of the fleet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import Postgres, postgres
from sqlalchemy import Engine

from cloud_server.fleet.database.opening import open_database

LABELS = ("empty", "fox", "deer", "boar")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A timm network of 0.4 M random weights, 64x64, four labels, as a checkpoint file."""
    import torch

    from edge_sdk.model.bundle import InputSpec
    from edge_sdk.networks.checkpoint import create_model, save_checkpoint

    torch.set_num_threads(1)
    torch.manual_seed(0)
    given = InputSpec(width=64, height=64, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    module, info = create_model("test_resnet", labels=LABELS, input=given)
    with torch.no_grad():  # a fresh network says the same of every picture: stretch what differs
        logits = module(torch.nn.functional.interpolate(torch.randn(32, 3, 8, 8), (64, 64)))
        scale = 2 / logits.std(dim=0).mean()
        module.get_parameter("fc.weight").mul_(scale)
        module.get_parameter("fc.bias").sub_(logits.mean(dim=0)).mul_(scale)
    return save_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors", module, info)


@pytest.fixture(scope="session")
def postgres_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A real PostgreSQL for the session; a test that kills it starts one of its own."""
    with postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of the fleet, of both kinds in turn."""
    if request.param == "sqlite":
        opened = open_database(tmp_path / "fleet.db")
    else:
        opened = open_database(request.getfixturevalue("postgres_process").new_database())
    yield opened
    opened.dispose()


@pytest.fixture
def shared(postgres_process: Postgres) -> Iterator[Engine]:
    """An empty PostgreSQL of the fleet."""
    opened = open_database(postgres_process.new_database())
    yield opened
    opened.dispose()

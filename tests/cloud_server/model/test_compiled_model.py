from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cloud_server.model.big import PreparedModel, load_model
from cloud_server.model.compiled_model import LARGEST, CompiledModel, buckets_up_to
from cloud_server.model.tuning import warm_up
from edge_sdk.errors import ConfigError
from edge_sdk.networks.checkpoint import create_model


@given(st.integers(1, 300))
def test_the_buckets_hold_every_batch_and_no_more(most: int) -> None:
    buckets = buckets_up_to(most)
    assert buckets == sorted({1 << power for power in range(9) if 1 << power <= buckets[-1]})
    assert buckets[-1] >= min(most, LARGEST) and (buckets[-1] == 1 or buckets[-2] < min(most, LARGEST))


def compiled(checkpoint: Path, backend: str) -> CompiledModel:
    torch._dynamo.reset()
    module, info = create_model(str(checkpoint))
    return CompiledModel(module, info, name="tiny", device="cpu", backend=backend)


def check(model: CompiledModel, checkpoint: Path, most: int) -> None:
    plain = load_model(str(checkpoint), "cpu")
    assert isinstance(model, PreparedModel) and model.fingerprint == plain.fingerprint
    assert 1 <= warm_up(model, most)[0] <= most
    coarse = np.random.default_rng(1).integers(0, 256, (2 * LARGEST + 3, 8, 8, 3), np.uint8)
    pictures = list(coarse.repeat(8, axis=1).repeat(8, axis=2))
    for count in (1, 2, 3, most, most + 1, len(pictures)):
        got, macs = model.run(pictures[:count], [None] * count)[:2]
        expected, spent = plain.run(pictures[:count], [None] * count)[:2]
        assert got.shape == expected.shape and np.abs(got - expected).max() < 1e-4
        assert (macs == spent).all()


def test_batches_of_any_size_get_the_same_answers(checkpoint: Path) -> None:
    model = compiled(checkpoint, "aot_eager")
    check(model, checkpoint, 5)
    assert model.device == "cpu, compiled"


def test_each_size_is_compiled_before_it_serves_and_none_after(checkpoint: Path) -> None:
    model = compiled(checkpoint, "aot_eager")
    model.make_ready(6)
    blank = np.zeros((64, 64, 3), np.uint8)
    with torch.compiler.set_stance("fail_on_recompile"):
        for count in range(1, 20):
            model.run([blank] * count, [None] * count)


def test_it_answers_while_another_network_is_traced(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = compiled(checkpoint, "aot_eager")
    model.make_ready(1)
    blank = np.zeros((64, 64, 3), np.uint8)
    expected = model.run([blank], [None])[0]
    monkeypatch.setattr(torch.fx._symbolic_trace, "_is_fx_tracing_flag", True)
    assert np.abs(model.run([blank], [None])[0] - expected).max() < 1e-5


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_s_own_compiler_gives_the_same_answers(checkpoint: Path) -> None:
    check(compiled(checkpoint, "inductor"), checkpoint, 3)


def test_what_cannot_be_compiled_is_told(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = compiled(checkpoint, "aot_eager")

    def fail(*args: object) -> None:
        raise RuntimeError("no g++ here")

    monkeypatch.setattr(model, "_compiled", fail)
    with pytest.raises(ConfigError, match=r"that torch can compile here.*no g\+\+ here.*--engine torch"):
        model.make_ready(1)

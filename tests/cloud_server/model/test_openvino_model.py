from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from own_answers import pictures_that_differ

from cloud_server.model import conversion
from cloud_server.model.big import ThreadedModel, load_model
from cloud_server.model.conversion_store import ConversionStore
from cloud_server.model.openvino_model import OpenVinoModel, compiled, is_installed, usable_cores
from cloud_server.model.tuning import warm_up
from edge_sdk.errors import ConfigError

pytest.importorskip("openvino", reason='no openvino: pip install ".[openvino]" brings it')


@pytest.fixture
def model(checkpoint: Path, tmp_path: Path) -> OpenVinoModel:
    network, about = conversion.converted(str(checkpoint), ConversionStore(tmp_path))
    return OpenVinoModel(network, about, name="tiny", threads=3)


def test_each_picture_gets_its_own_answer_whatever_the_batch_and_the_threads(model: OpenVinoModel) -> None:
    pictures, alone = pictures_that_differ(model, 29)
    for threads in (1, 2, 3, 5):
        model.use_threads(threads)
        for count in (1, 2, 3, 4, 12, 29):
            for _ in range(3):
                got = model.run(pictures[:count], [None] * count)[0]
                assert np.abs(got - alone[:count]).max() < 1e-5


def test_a_batch_that_fails_leaves_the_model_able_to_answer(model: OpenVinoModel) -> None:
    good = np.zeros((model.input_height, model.input_width, 3), np.uint8)
    expected = model.run([good], [None])[0]
    odd = np.zeros((model.input_height, model.input_width, 5), np.uint8)
    with pytest.raises((RuntimeError, ValueError)):
        model.run([odd] * 6, [None] * 6)
    got = model.run([good] * 6, [None] * 6)[0]
    assert np.abs(got - expected).max() < 1e-5


def test_its_batch_is_found_as_torch_s_is(model: OpenVinoModel) -> None:
    assert isinstance(model, ThreadedModel) and not model.on_gpu
    assert 1 <= warm_up(model, 8)[0] <= 8
    assert usable_cores() >= 1


def test_what_it_cannot_run_is_told(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "network.xml").write_text("<net/>")
    with pytest.raises(ConfigError, match="OpenVINO cannot run the network"):
        compiled(tmp_path / "network.xml", 1, at_once=1)
    with pytest.raises(ConfigError, match=r"expected --device cpu or auto with --engine openvino.*got cuda"):
        load_model(str(checkpoint), "cuda", None, "openvino")
    with pytest.raises(ConfigError, match=r"expected an engine of torch, compile, openvino; got 'onnx'"):
        load_model(str(checkpoint), "cpu", None, "onnx")
    assert is_installed()
    monkeypatch.setattr(conversion, "is_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"this Python lacks it: pip install '\.\[cloud,openvino\]'"):
        load_model(str(checkpoint), "cpu", None, "openvino")


DROPPED = """
import faulthandler, itertools, os, signal, sys, threading
from pathlib import Path
from cloud_server.model.openvino_model import compiled

def heard():
    came = []
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda number, frame: came.append(number))
        os.kill(os.getpid(), number)
    assert came == [signal.SIGHUP, signal.SIGTERM]

def with_order(order):
    runs = {place: compiled(Path(sys.argv[1]), 1 + place, at_once=1).create_infer_request() for place in order}
    heard()
    for place in order:
        del runs[place]
        heard()

faulthandler.enable()
for order in itertools.permutations(range(3)):
    with_order(order)
    kept = []
    thread = threading.Thread(target=lambda: kept.append(compiled(Path(sys.argv[1]), 1, at_once=1)))
    thread.start()
    thread.join()
    kept.clear()
    heard()
print("alive")
"""
"""Networks that end in every order, on the main thread and on others; signals after each."""


def test_signals_are_heard_after_networks_have_come_and_gone(checkpoint: Path, tmp_path: Path) -> None:
    network, _ = conversion.converted(str(checkpoint), ConversionStore(tmp_path))
    done = subprocess.run([sys.executable, "-c", DROPPED, str(network)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr

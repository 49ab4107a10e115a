"""The big model: a timm network on the CPU or a GPU, or a device's bundle, behind one small interface."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cloud_server.model.ticket import Little, Rows
from edge_sdk.errors import ConfigError, WorkbenchError
from edge_sdk.networks.model_name import is_file_name, join_name, split_name
from edge_sdk.types import Image

if TYPE_CHECKING:
    from cloud_server.model.openvino_model import OpenVinoModel
    from cloud_server.model.torch_model import TorchModel

SHIPPED = Path(__file__).parent.parent / "models"
DEVICES = ("auto", "cpu", "cuda")
ENGINES = ("torch", "compile", "openvino")


class BigModel(Protocol):
    """What the server needs of a model.

    One that reads the little model's probabilities has an attribute `reads_little = True` as well; without it devices
    send none. One with exits has their names in `exits`, and its `run` tells at which each picture left (`Ran`).

    Attributes:
        name: shown to devices.
        labels: C class names.
        input_width: pixels.
        input_height: pixels.
        macs: multiply-accumulates for one frame; 0 where they are not known.
        parameters: number of weights.
        device: where it runs, in words for the log.
    """

    name: str
    labels: tuple[str, ...]
    input_width: int
    input_height: int
    macs: int
    parameters: int
    device: str

    @property
    def fingerprint(self) -> str:
        """Changes whenever weights or settings change, so cached replies never cross models."""
        ...

    def prepare(self, image: Image) -> Image:
        """Bring a picture to the model's input size; called from many threads."""
        ...

    def run(self, images: Sequence[Image], little: Sequence[Little]) -> Rows:
        """Classify N prepared pictures; called from one thread.

        Args:
            images: the pictures.
            little: the little model's probabilities for each, `float32 (C,)` in its own order of labels, or None.

        Returns:
            Probabilities, `float32 (N, C)`, and multiply-accumulates spent, `int64 (N,)`; of a model with exits, at
            which of them each picture left, too.
        """
        ...


@runtime_checkable
class ThreadedModel(Protocol):
    """A model whose number of threads, and of pictures in one run, is worth finding.

    Attributes:
        on_gpu: whether it runs on a GPU.
    """

    on_gpu: bool

    def use_threads(self, threads: int) -> None:
        """Run on so many threads of the CPU from now on."""
        ...

    def at_once(self, size: int) -> int:
        """Pictures of a run of `size` that are computed at a time: those beyond them take as long again."""
        ...


@runtime_checkable
class PreparedModel(Protocol):
    """A model that has something to do before it serves."""

    def make_ready(self, most: int) -> None:
        """Do it, for batches of up to `most` pictures; on the thread that will run the model."""
        ...


def load_model(model: str, device: str = "auto", threads: int | None = None, engine: str = "torch") -> BigModel:
    """Load the model that `--model` names.

    Args:
        model: the name of a shipped model ("trailcam"), the path of a checkpoint, of anybody's weights (with "ARCH="
            before it where they do not say their architecture) or of a bundle, or a timm name, whose pretrained weights
            are fetched.
        device: "cpu", "cuda" or "auto" (a GPU where there is one).
        threads: CPU threads of the model; None: the engine's own choice, or one for a bundle.
        engine: "torch"; "compile" (`torch.compile`); or "openvino" (on the CPU), for which the network is converted
            once on each machine.

    Raises:
        ConfigError: nothing has that name, the checkpoint cannot be used, there is no GPU, or the engine cannot run it.
        BundleError: a bundle cannot be opened.
    """
    for value, known, what in ((device, DEVICES, "a device"), (engine, ENGINES, "an engine")):
        if value not in known:
            raise ConfigError(f"expected {what} of {', '.join(known)}; got {value!r}")
    if engine == "openvino" and device == "cuda":
        raise ConfigError("expected --device cpu or auto with --engine openvino, which runs on the CPU; got cuda")
    path = Path(model)
    if (path / "manifest.json").is_file():
        if device == "cuda":
            raise ConfigError(f"expected --device cpu or auto: a bundle runs on the CPU alone; got cuda for {path}")
        if engine != "torch":
            raise ConfigError(f"expected --engine torch: a bundle runs on the device's own runtime; got {path}")
        from cloud_server.model.bundle_model import BundleModel

        return BundleModel(path, threads=threads or 1)
    if engine == "openvino":
        return _load_openvino(model, threads)
    return load_torch(model, device, threads, compiled=engine == "compile")


def shipped_models() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob("*/model.safetensors"))


def _load_openvino(model: str, threads: int | None) -> OpenVinoModel:
    from cloud_server.model.conversion import converted
    from cloud_server.model.openvino_model import OpenVinoModel

    weights = _weights(model)
    network, about = converted(weights)
    return OpenVinoModel(network, about, name=_name(weights, about.arch), threads=threads)


def load_torch(model: str, device: str, threads: int | None, *, compiled: bool = False) -> TorchModel:
    """As `load_model`, of a network in torch; `compiled` by `torch.compile`, or run as it is.

    Raises:
        ConfigError: as `load_model`.
    """
    import torch

    from cloud_server.model.compiled_model import CompiledModel
    from cloud_server.model.torch_model import SequenceModel, TorchModel
    from edge_sdk.networks.checkpoint import create_model
    from edge_sdk.networks.sequence_file import is_sequence, load_sequence
    from edge_sdk.networks.timm_library import import_timm

    if threads is not None:
        torch.set_num_threads(threads)
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise ConfigError(
            f"expected a CUDA device for --device cuda; torch {torch.__version__} sees none on this machine"
        )
    place = "cuda" if has_gpu and device != "cpu" else "cpu"
    weights = _weights(model)
    arch, file = split_name(weights)
    path = Path(file)
    is_file = is_file_name(weights) or path.exists()
    timm = import_timm()
    if not is_file and not timm.is_model(weights.split(".", 1)[0]):
        known = [*shipped_models(), *timm.list_models()]
        close = difflib.get_close_matches(weights.split(".", 1)[0], known, n=5, cutoff=0.4)
        raise ConfigError(
            f"expected a shipped model ({', '.join(shipped_models()) or 'none here'}), a checkpoint or other weights "
            f"(.safetensors, .pth), a bundle or a timm name; got {model!r}. Close names: {', '.join(close) or 'none'}"
        )
    if path.is_dir():
        raise ConfigError(f"expected a checkpoint or a bundle; {path} is a folder without manifest.json")
    if is_file and is_sequence(path):
        if compiled:
            raise ConfigError(f"expected --engine torch: an exit sequence runs as it is; got {path}")
        return SequenceModel(load_sequence(path), name=path.stem, device=place)
    try:
        name = join_name(arch, path.resolve()) if is_file else weights
        module, info = create_model(name, pretrained=not is_file)
    except WorkbenchError as error:
        raise ConfigError(f"cannot load the model {weights!r}: {error}") from error
    if not info.labels:
        raise ConfigError(f"expected a model with labels; {weights!r} ({info.arch}) has none")
    kind = CompiledModel if compiled else TorchModel
    return kind(module, info, name=_name(weights, info.arch), device=place)


def _weights(model: str) -> str:
    """What `--model` names, a shipped model by its file."""
    return str(SHIPPED / model / "model.safetensors") if model in shipped_models() else model


def _name(weights: str, arch: str) -> str:
    """Timm's name; of a file its own, or its folder's where it is just called "model", and its architecture."""
    path = Path(split_name(weights)[1])
    if not is_file_name(weights) and not path.exists():
        return weights
    name = path.parent.name if path.stem == "model" else path.stem
    return name if name == arch else f"{name} ({arch})"

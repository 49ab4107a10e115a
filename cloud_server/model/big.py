"""The big model: a timm network on the CPU or a GPU, or a device's bundle, behind one small interface."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cloud_server.model.batching import Little
from cloud_server.model.folding import fold_batch_norms
from cloud_server.model.gpu_memory import Staging, WithinMemory
from cloud_server.model.ticket import Ran, Rows
from edge_sdk.errors import ConfigError, WorkbenchError
from edge_sdk.model.inputs import prepare
from edge_sdk.model.little import LittleModel
from edge_sdk.types import Image

if TYPE_CHECKING:
    import torch

    from edge_sdk.networks.checkpoint import CheckpointInfo
    from edge_sdk.networks.sequence import SequenceModel as ExitSequence

SHIPPED = Path(__file__).parent.parent / "models"
DEVICES = ("auto", "cpu", "cuda")


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


class TorchModel:
    """A timm network: batch norms folded, channels last, bf16 on a GPU that has it; normalised where it runs.

    Attributes:
        on_gpu: whether it runs on a GPU.
    """

    def __init__(self, module: torch.nn.Module, info: CheckpointInfo, *, name: str, device: str) -> None:
        import torch

        self.name = name
        self.labels = info.labels
        self.input_width, self.input_height = info.input.width, info.input.height
        self.macs, self.parameters = info.macs, info.parameters
        self._info = repr(info)
        self._spec = info.input
        self._torch = torch
        self._device = torch.device(device)
        self.on_gpu = on_gpu = self._device.type == "cuda"
        self._staging, self._within = Staging(self._device), WithinMemory()
        self._half = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        self.device = (torch.cuda.get_device_name(self._device) if on_gpu else "cpu") + (", bf16" if self._half else "")
        sample = torch.rand((1, 3, self.input_height, self.input_width), generator=torch.Generator().manual_seed(0))
        self._module, _ = fold_batch_norms(module.eval().to(self._device), sample.to(self._device))
        self._module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._scale = 1 / (255 * torch.tensor(info.input.std, device=self._device))[:, None, None]
        self._shift = (torch.tensor(info.input.mean) / torch.tensor(info.input.std)).to(self._device)[:, None, None]

    @property
    def fingerprint(self) -> str:
        """A hash of the network's description and of all its weights, hexadecimal."""
        digest = hashlib.blake2b(self._info.encode(), digest_size=16)
        for name, tensor in self._module.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().reshape(-1).view(self._torch.uint8).numpy())
        return digest.hexdigest()

    def use_threads(self, threads: int) -> None:
        """Run on so many threads of the CPU from now on."""
        self._torch.set_num_threads(threads)

    def prepare(self, image: Image) -> Image:
        """Bring a picture to the input size, by the function that training used."""
        return prepare(image, self._spec)

    def run(self, images: Sequence[Image], little: Sequence[Little]) -> Rows:
        """Classify N prepared pictures, in parts where a GPU's memory does not take them at once."""
        return self._within.run(self._run, images, little)

    def _run(self, images: Sequence[Image], little: Sequence[Any]) -> Rows:
        """The little model's probabilities are not used."""
        torch = self._torch
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            logits = self._module(self._inputs(images))
            probabilities: NDArray[np.float32] = logits.float().softmax(dim=1).cpu().numpy()
        return probabilities, np.full(len(images), self.macs, np.int64)

    def _inputs(self, images: Sequence[Image]) -> torch.Tensor:
        pixels = self._staging.batch(images) if self.on_gpu else self._torch.from_numpy(np.stack(images))
        return pixels.permute(0, 3, 1, 2).float() * self._scale - self._shift  # NHWC seen as channels-last NCHW


class SequenceModel(TorchModel):
    """A big model with early exits: a frame leaves at the first exit that is sure enough and costs the MACs up to it.

    A frame without the little model's probabilities, or with another number of them, passes no early exit.

    Attributes:
        reads_little: true: devices are asked for the little model's probabilities.
        exits: names of the exits, the last of which is the network's end.
    """

    reads_little = True

    def __init__(self, sequence: ExitSequence, *, name: str, device: str) -> None:
        super().__init__(sequence, sequence.info.big, name=name, device=device)
        self._info = repr(sequence.info)
        self.exits = sequence.info.exit_names
        self._sequence = sequence

    def _run(self, images: Sequence[Image], little: Sequence[Any]) -> Rows:
        """Each picture starts from the little model's probabilities."""
        torch = self._torch
        classes = len(self.labels)
        knows = np.array([one is not None and len(one) == classes for one in little], np.bool_)
        told = np.array(
            [one if known else np.full(classes, 1 / classes) for one, known in zip(little, knows, strict=True)],
            np.float32,
        )
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            said = self._sequence.run(
                self._inputs(images), torch.from_numpy(told).to(self._device), torch.from_numpy(knows).to(self._device)
            )
        return Ran(said.probabilities.float().cpu().numpy(), said.macs.cpu().numpy(), said.exits.cpu().numpy())


class BundleModel:
    """A device's bundle as the big model, run picture by picture on the device's own runtime.

    Raises:
        BundleError: the bundle is damaged or computes wrong results here.
        RuntimeMissing: there is no ExecuTorch runtime.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        self._model = LittleModel(path, threads=threads)
        manifest = self._model.manifest
        self.name = manifest.name
        self.labels = manifest.labels
        self.input_width, self.input_height = manifest.input.width, manifest.input.height
        self.macs, self.parameters = manifest.macs, manifest.parameters
        self.device = f"cpu, {manifest.precision}"

    @property
    def fingerprint(self) -> str:
        """The manifest, with the program's sha256, and the temperature."""
        return f"{self._model.manifest!r} {self._model.bundle.policy.temperature!r}"

    def prepare(self, image: Image) -> Image:
        """Bring a picture to the input size by the bundle's rule."""
        return prepare(image, self._model.manifest.input)

    def run(self, images: Sequence[Image], little: Sequence[Little]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Classify N prepared pictures; the little model's probabilities are not used."""
        rows = np.stack([self._model.predict(image).probabilities for image in images])
        return rows, np.full(len(images), self.macs, np.int64)


def load_model(model: str, device: str = "auto", threads: int | None = None) -> BigModel:
    """Load the model that `--model` names.

    Args:
        model: the name of a shipped model ("trailcam"), the path of a checkpoint, of anybody's weights (with "ARCH="
            before it where they do not say their architecture) or of a bundle, or a timm name, whose pretrained weights
            are fetched.
        device: "cpu", "cuda" or "auto" (a GPU where there is one).
        threads: CPU threads of the model; None: torch's own choice, or one for a bundle.

    Raises:
        ConfigError: nothing has that name, the checkpoint cannot be used, or there is no GPU.
        BundleError: a bundle cannot be opened.
    """
    if device not in DEVICES:
        raise ConfigError(f"expected a device of {', '.join(DEVICES)}; got {device!r}")
    path = Path(model)
    if (path / "manifest.json").is_file():
        if device == "cuda":
            raise ConfigError(f"expected --device cpu or auto: a bundle runs on the CPU alone; got cuda for {path}")
        return BundleModel(path, threads=threads or 1)
    return _load_torch(model, device, threads)


def shipped_models() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob("*/model.safetensors"))


def _load_torch(model: str, device: str, threads: int | None) -> BigModel:
    import torch

    from edge_sdk.networks.checkpoint import create_model
    from edge_sdk.networks.model_name import is_file_name, join_name, split_name
    from edge_sdk.networks.timm_library import import_timm

    if threads is not None:
        torch.set_num_threads(threads)
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise ConfigError(
            f"expected a CUDA device for --device cuda; torch {torch.__version__} sees none on this machine"
        )
    place = "cuda" if has_gpu and device != "cpu" else "cpu"
    if model in shipped_models():
        model = str(SHIPPED / model / "model.safetensors")
    arch, file = split_name(model)
    path = Path(file)
    is_file = is_file_name(model) or path.exists()
    timm = import_timm()
    if not is_file and not timm.is_model(model.split(".", 1)[0]):
        known = [*shipped_models(), *timm.list_models()]
        close = difflib.get_close_matches(model.split(".", 1)[0], known, n=5, cutoff=0.4)
        raise ConfigError(
            f"expected a shipped model ({', '.join(shipped_models()) or 'none here'}), a checkpoint or other weights "
            f"(.safetensors, .pth), a bundle or a timm name; got {model!r}. Close names: {', '.join(close) or 'none'}"
        )
    if path.is_dir():
        raise ConfigError(f"expected a checkpoint or a bundle; {path} is a folder without manifest.json")
    from edge_sdk.networks.sequence_file import is_sequence, load_sequence

    if is_file and is_sequence(path):
        return SequenceModel(load_sequence(path), name=path.stem, device=place)
    try:
        module, info = create_model(join_name(arch, path.resolve()) if is_file else model, pretrained=not is_file)
    except WorkbenchError as error:
        raise ConfigError(f"cannot load the model {model!r}: {error}") from error
    if not info.labels:
        raise ConfigError(f"expected a model with labels; {model!r} ({info.arch}) has none")
    return TorchModel(module, info, name=_name(path, info.arch) if is_file else model, device=place)


def _name(path: Path, arch: str) -> str:
    """The checkpoint's own name, or its folder's where it is just called "model", and its architecture."""
    name = path.parent.name if path.stem == "model" else path.stem
    return name if name == arch else f"{name} ({arch})"

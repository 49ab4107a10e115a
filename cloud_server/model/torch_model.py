"""The big model as a timm network in torch, on the CPU or a GPU."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cloud_server.model.crew import PART, Crew, of_its_own
from cloud_server.model.folding import fold_batch_norms
from cloud_server.model.gpu_memory import Staging, WithinMemory
from cloud_server.model.ticket import Little, Ran, Rows
from cloud_server.model.trial import use_quicker_alone
from edge_sdk.model.inputs import prepare
from edge_sdk.types import Image

if TYPE_CHECKING:
    import torch

    from edge_sdk.networks.checkpoint import CheckpointInfo
    from edge_sdk.networks.sequence import SequenceModel as ExitSequence


class TorchModel:
    """A timm network: batch norms folded, channels last, bf16 on a GPU that has it; normalised where it runs.

    Attributes:
        on_gpu: whether it runs on a GPU.
        arch: timm's name of the architecture.
        spec: its input.
        overlaps: a large batch goes to a GPU in two parts, the second while the first is computed; on the CPU a batch
            goes in small parts over several threads.
    """

    overlaps = True

    def __init__(self, module: torch.nn.Module, info: CheckpointInfo, *, name: str, device: str) -> None:
        import torch

        self.name = name
        self.labels = info.labels
        self.input_width, self.input_height = info.input.width, info.input.height
        self.macs, self.parameters = info.macs, info.parameters
        self._info = repr(info)
        self.arch, self.spec = info.arch, info.input
        self._torch = torch
        self._device = torch.device(device)
        self.on_gpu = on_gpu = self._device.type == "cuda"
        self._staging, self._within = Staging(self._device), WithinMemory()
        self._crew: Crew | None = None
        self._half = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        self.device = (torch.cuda.get_device_name(self._device) if on_gpu else "cpu") + (", bf16" if self._half else "")
        sample = torch.rand((1, 3, self.input_height, self.input_width), generator=torch.Generator().manual_seed(0))
        self._module = self._folded(module.eval().to(self._device), sample.to(self._device))
        self._module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._own = threading.local()
        self._scale = 1 / (255 * torch.tensor(info.input.std, device=self._device))[:, None, None]
        self._shift = (torch.tensor(info.input.mean) / torch.tensor(info.input.std)).to(self._device)[:, None, None]
        self.use_threads(torch.get_num_threads())

    def _folded(self, module: torch.nn.Module, sample: torch.Tensor) -> torch.nn.Module:
        return fold_batch_norms(module, sample)[0]

    @property
    def fingerprint(self) -> str:
        """A hash of the network's description and of all its weights, hexadecimal."""
        digest = hashlib.blake2b(self._info.encode(), digest_size=16)
        for name, tensor in self._module.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().reshape(-1).view(self._torch.uint8).numpy())
        return digest.hexdigest()

    def whole(self) -> torch.nn.Module:
        """The network from pixels, `uint8 (N, H, W, 3)`, to probabilities, `float32 (N, C)`, as one module."""
        from torch import nn

        module, scale, shift = self._module, self._scale, self._shift

        class Whole(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.module = module

            def forward(self, pixels: torch.Tensor) -> torch.Tensor:
                logits: torch.Tensor = self.module(pixels.permute(0, 3, 1, 2).float() * scale - shift)
                return logits.float().softmax(dim=1)

        return Whole().eval()

    def use_threads(self, threads: int) -> None:
        """Run on so many threads of the CPU from now on; called on the thread that runs the model."""
        self._crew = None if self.on_gpu or not self.overlaps else Crew(threads, self._begin_part)
        self._torch.set_num_threads(threads)

    def at_once(self, size: int) -> int:
        """A part for each thread of the crew; all on a GPU."""
        return size if self._crew is None else min(size, PART * self._crew.count)

    def _begin_part(self, threads: int) -> None:
        """In a thread of the crew, before its first part."""
        self._torch.set_num_threads(threads)
        self._own.module = of_its_own(self._module)

    def _network(self) -> Any:
        """The network for this thread."""
        return getattr(self._own, "module", self._module)

    def make_ready(self, most: int) -> None:
        """Find whether a picture alone is quicker on one thread of the CPU: threads wait for one another."""
        if self._crew is None or self._crew.count == 1:
            return
        use_quicker_alone(self, (self._torch.get_num_threads(), 1), self._torch.set_num_threads)

    def prepare(self, image: Image) -> Image:
        """Bring a picture to the input size, by the function that training used."""
        return prepare(image, self.spec)

    def run(self, images: Sequence[Image], little: Sequence[Little]) -> Rows:
        """Classify N prepared pictures, in parts where a GPU's memory does not take them at once."""
        return self._within.run(self._run_over_cores, images, little)

    def _run_over_cores(self, images: Sequence[Image], little: Sequence[Little]) -> Rows:
        if self._crew is None or len(images) == 1:
            return self._run(images, little)
        return self._crew.run(self._run, images, little)

    def _run(self, images: Sequence[Image], little: Sequence[Any]) -> Rows:
        """The little model's probabilities are not used."""
        torch, network = self._torch, self._network()
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            if self.on_gpu and self.overlaps:  # what runs there is waited for at the end alone
                said = [network(self._normal(part)) for part in self._staging.parts(images)]
                logits = said[0] if len(said) == 1 else torch.cat(said)
            else:
                logits = network(self._inputs(images))
            probabilities: NDArray[np.float32] = logits.float().softmax(dim=1).cpu().numpy()
        return probabilities, np.full(len(images), self.macs, np.int64)

    def _inputs(self, images: Sequence[Image]) -> torch.Tensor:
        pixels = self._staging.batch(images) if self.on_gpu else self._torch.from_numpy(np.stack(images))
        return self._normal(pixels)

    def _normal(self, pixels: torch.Tensor) -> torch.Tensor:
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

    def _folded(self, module: Any, sample: torch.Tensor) -> torch.nn.Module:
        big, count = fold_batch_norms(module.big, sample)
        whole: torch.nn.Module = type(module)(big, module.exits, module.info) if count else module
        return whole

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
            said = self._network().run(
                self._inputs(images), torch.from_numpy(told).to(self._device), torch.from_numpy(knows).to(self._device)
            )
        return Ran(said.probabilities.float().cpu().numpy(), said.macs.cpu().numpy(), said.exits.cpu().numpy())

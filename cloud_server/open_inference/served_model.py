"""A served model as the Open Inference Protocol describes it: its name, its inputs and outputs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cloud_server.model.big import BigModel
from cloud_server.open_inference import open_inference_pb2 as oip
from edge_sdk.networks.label_map import LabelMap

SERVER = "edge-sdk cloud-server"
EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics")
VERSION = "1"
"""Of each model, the version that no share of devices is set for."""
PLATFORM = "edge_sdk"
SHOWN = 80
"""Characters of what a client sent that come back in a message."""

IMAGE, PIXELS, PLANES = "image", "pixels", "planes"
PROBABILITIES, LABEL = "probabilities", "label"

_FORMS = {
    IMAGE: "one JPEG, PNG or WebP file for each element; it is resized as a device's frame",
    PIXELS: "RGB, 0 to 255, rows from the top; any height and width, resized as a device's frame",
    PLANES: "RGB, 0 to 1, not normalised, rounded to 8 bits; any height and width, resized as a device's frame",
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output.

    Attributes:
        name: in requests and responses.
        datatype: of the protocol: "BYTES", "UINT8", "FP32".
        shape: -1 stands for any size.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


INPUTS = {
    one.name: one
    for one in (
        Tensor(IMAGE, "BYTES", (-1, 1)),
        Tensor(PIXELS, "UINT8", (-1, -1, -1, 3)),
        Tensor(PLANES, "FP32", (-1, 3, -1, -1)),
    )
}
"""A request has one of them."""

_TYPES = {"BYTES": oip.TYPE_STRING, "UINT8": oip.TYPE_UINT8, "FP32": oip.TYPE_FP32}


class ServedModel:
    """Answers what a client may ask of the model before it sends a picture.

    Args:
        model: the big model.
        labels: gives the label map that holds now.
        max_batch: pictures in one request.
        name: by which devices ask for it; "": it has none, and goes by the big model's.

    Attributes:
        name: its name, without what does not fit into a URL.
        max_batch: pictures in one request.
    """

    def __init__(self, model: BigModel, labels: Callable[[], LabelMap], max_batch: int, name: str = "") -> None:
        of_model = re.sub(r"[^\w.-]+", "-", model.name.partition(" (")[0], flags=re.ASCII).strip("-.") or "model"
        self.name = name or of_model
        self.max_batch = max_batch
        self._model, self._labels = model, labels

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Those of the label map that holds now."""
        return (Tensor(PROBABILITIES, "FP32", (-1, len(self._labels().labels))), Tensor(LABEL, "BYTES", (-1, 1)))

    def properties(self, version: str = "") -> dict[str, str]:
        """What the shapes do not say.

        Args:
            version: of weights and label map; "": not told.
        """
        model = self._model
        return ({"version": version} if version else {}) | {
            "model": model.name,
            "labels": json.dumps(self._labels().labels, ensure_ascii=False),
            "max_batch_size": str(self.max_batch),
            "input_width": str(model.input_width),
            "input_height": str(model.input_height),
            "inputs": "one of: " + "; ".join(f"{name}: {form}" for name, form in _FORMS.items()),
        }

    def metadata(self, versions: Sequence[str], version: str = "") -> oip.ModelMetadataResponse:
        """The reply to `ModelMetadata`.

        Args:
            versions: of the model, by which clients may ask for it.
            version: of weights and label map; "": not told.
        """
        told = oip.ModelMetadataResponse.TensorMetadata
        return oip.ModelMetadataResponse(
            name=self.name,
            versions=versions,
            platform=PLATFORM,
            inputs=[told(name=one.name, datatype=one.datatype, shape=one.shape) for one in INPUTS.values()],
            outputs=[told(name=one.name, datatype=one.datatype, shape=one.shape) for one in self.outputs],
            properties=self.properties(version),
        )

    def config(self, version: str = "") -> oip.ModelConfig:
        """The reply to `ModelConfig`: shapes without the batch, as Triton has them.

        Args:
            version: of weights and label map; "": not told.
        """
        inputs = [
            oip.ModelInput(name=one.name, data_type=_TYPES[one.datatype], dims=one.shape[1:], optional=True)
            for one in INPUTS.values()
        ]
        outputs = [
            oip.ModelOutput(name=one.name, data_type=_TYPES[one.datatype], dims=one.shape[1:]) for one in self.outputs
        ]
        return oip.ModelConfig(
            name=self.name,
            platform=PLATFORM,
            backend=PLATFORM,
            max_batch_size=self.max_batch,
            input=inputs,
            output=outputs,
            parameters={key: oip.ModelParameter(string_value=value) for key, value in self.properties(version).items()},
        )

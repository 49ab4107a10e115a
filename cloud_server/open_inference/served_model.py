"""The served model as the Open Inference Protocol describes it: one name, one version, its inputs and outputs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from cloud_server.api.request import NotServed
from cloud_server.model.big import BigModel
from cloud_server.open_inference import open_inference_pb2 as oip
from edge_sdk.networks.label_map import LabelMap

SERVER = "edge-sdk cloud-server"
EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics")
VERSION = "1"
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

    Attributes:
        name: the model's, without what does not fit into a URL.
        max_batch: pictures in one request.
    """

    def __init__(self, model: BigModel, labels: Callable[[], LabelMap], max_batch: int) -> None:
        self.name = re.sub(r"[^\w.-]+", "-", model.name.partition(" (")[0], flags=re.ASCII).strip("-.") or "model"
        self.max_batch = max_batch
        self._model, self._labels = model, labels

    def check(self, name: str, version: str) -> None:
        """Compare with the model that a client asks for; no version is any version.

        Raises:
            NotServed: it is another.
        """
        if name != self.name:
            raise NotServed(f"expected the model {self.name!r}, which this server has; got {name[:SHOWN]!r}")
        if version not in ("", VERSION):
            raise NotServed(f"expected version {VERSION!r} of {name!r}, or none; got {version[:SHOWN]!r}")

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Those of the label map that holds now."""
        return (Tensor(PROBABILITIES, "FP32", (-1, len(self._labels().labels))), Tensor(LABEL, "BYTES", (-1, 1)))

    @property
    def properties(self) -> dict[str, str]:
        """What the shapes do not say."""
        model = self._model
        return {
            "model": model.name,
            "labels": json.dumps(self._labels().labels, ensure_ascii=False),
            "max_batch_size": str(self.max_batch),
            "input_width": str(model.input_width),
            "input_height": str(model.input_height),
            "inputs": "one of: " + "; ".join(f"{name}: {form}" for name, form in _FORMS.items()),
        }

    def metadata(self) -> oip.ModelMetadataResponse:
        """The reply to `ModelMetadata`."""
        told = oip.ModelMetadataResponse.TensorMetadata
        return oip.ModelMetadataResponse(
            name=self.name,
            versions=[VERSION],
            platform=PLATFORM,
            inputs=[told(name=one.name, datatype=one.datatype, shape=one.shape) for one in INPUTS.values()],
            outputs=[told(name=one.name, datatype=one.datatype, shape=one.shape) for one in self.outputs],
            properties=self.properties,
        )

    def index(self, is_ready: bool) -> list[oip.RepositoryIndexResponse.ModelIndex]:
        """The models that this server has."""
        state = "READY" if is_ready else "UNAVAILABLE"
        return [oip.RepositoryIndexResponse.ModelIndex(name=self.name, version=VERSION, state=state)]

    def config(self) -> oip.ModelConfig:
        """The reply to `ModelConfig`: shapes without the batch, as Triton has them."""
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
            parameters={key: oip.ModelParameter(string_value=value) for key, value in self.properties.items()},
        )

"""From probabilities to the output tensors that a request asks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cloud_server.api.request import BadRequest
from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.open_inference.served_model import LABEL, PROBABILITIES, SHOWN

_CLASSES = "classification"


def wanted_of(request: oip.ModelInferRequest) -> dict[str, int]:
    """Outputs that a request asks for, in its order, each with the number of top classes in place of values, or 0.

    Raises:
        BadRequest: there is no such output, or it is asked for twice, or in a form that is not there.
    """
    if not request.outputs:
        return {PROBABILITIES: 0, LABEL: 0}
    if len(request.outputs) > 2:
        raise BadRequest(f"expected the outputs {PROBABILITIES} and {LABEL} at most; got {len(request.outputs):,}")
    wanted: dict[str, int] = {}
    for output in request.outputs:
        if output.name not in (PROBABILITIES, LABEL) or output.name in wanted:
            raise BadRequest(
                f"expected the outputs {PROBABILITIES} and {LABEL}, each once; got {output.name[:SHOWN]!r}"
            )
        if "shared_memory_region" in output.parameters:
            raise BadRequest(f"expected {output.name} to come with the response; got shared_memory_region")
        top = output.parameters[_CLASSES].int64_param if _CLASSES in output.parameters else 0
        if _CLASSES in output.parameters and (top < 1 or output.name != PROBABILITIES):
            raise BadRequest(f"expected {_CLASSES} of at least 1, for {PROBABILITIES}; got {top} for {output.name}")
        wanted[output.name] = top
    return wanted


def add_outputs(
    response: oip.ModelInferResponse,
    wanted: dict[str, int],
    probabilities: NDArray[np.float32],
    labels: Sequence[str],
    *,
    raw: bool,
) -> None:
    """Write the output tensors.

    Args:
        response: takes them.
        wanted: of `wanted_of`.
        probabilities: `float32 (N, C)`.
        labels: C of them.
        raw: in `raw_output_contents`; otherwise in the typed field of the data type.
    """
    count = len(probabilities)
    for name, top in wanted.items():
        if name == PROBABILITIES and not top:
            output = response.outputs.add(name=name, datatype="FP32", shape=probabilities.shape)
            if raw:
                response.raw_output_contents.append(probabilities.astype("<f4").tobytes())
            else:
                output.contents.fp32_contents.extend(probabilities.ravel().tolist())
            continue
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : top or 1]
        if top:
            words = [
                f"{row[index]:f}:{index}:{labels[index]}"
                for row, best in zip(probabilities, order, strict=True)
                for index in best.tolist()
            ]
        else:
            words = [labels[index] for index in order[:, 0].tolist()]
        elements = [word.encode() for word in words]
        output = response.outputs.add(name=name, datatype="BYTES", shape=(count, len(elements) // count))
        if raw:
            response.raw_output_contents.append(b"".join(len(one).to_bytes(4, "little") + one for one in elements))
        else:
            output.contents.bytes_contents.extend(elements)

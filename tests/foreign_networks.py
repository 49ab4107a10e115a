"""The same tiny network in other formats: the mean colour of a picture, times a matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk.model.bundle import InputSpec

LABELS = ("red", "green", "blue", "dark")
SPEC = InputSpec(20, 12, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
WEIGHT = np.array([[2, -1, -1], [-1, 2, -1], [-1, -1, 2], [-1, -1, -1]], np.float32)
BIAS = np.array([0, 0, 0, -1], np.float32)


def logits(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What the network computes."""
    values = (pixels.astype(np.float64) / 255 - 0.5) / 0.25
    return np.asarray(WEIGHT @ values.mean((0, 1)) + BIAS)


def write_onnx(path: Path, height: int | str = SPEC.height, channels: int = 3) -> Path:
    """`(1, 3, H, W)` -> `(1, 4)`."""
    from onnx import TensorProto, helper, numpy_helper, save

    weight = np.zeros((4, channels), np.float32)
    weight[:, :3] = WEIGHT
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[2, 3], keepdims=0),
            helper.make_node("Gemm", ["mean", "weight", "bias"], ["logits"], transB=1),
        ],
        "tiny",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, channels, height, SPEC.width])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(BIAS, "bias")],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def write_tflite(path: Path) -> Path:
    """`(1, H, W, 3)` -> `(1, 4)`: MEAN over height and width, FULLY_CONNECTED."""
    import flatbuffers
    import tflite as fb

    builder = flatbuffers.Builder(1024)

    def vector(kind: str, values: Any) -> int:
        start = {"int32": 4, "offset": 4}[kind]
        builder.StartVector(start, len(values), start)
        for value in reversed(values):
            (builder.PrependInt32 if kind == "int32" else builder.PrependUOffsetTRelative)(value)
        return int(builder.EndVector())

    def buffer(values: np.ndarray[Any, Any] | None) -> int:
        data = None if values is None else builder.CreateByteVector(values.tobytes())
        fb.BufferStart(builder)
        if data is not None:
            fb.BufferAddData(builder, data)
        return int(fb.BufferEnd(builder))

    def tensor(name: str, shape: tuple[int, ...], kind: int, number: int) -> int:
        text, sizes = builder.CreateString(name), vector("int32", shape)
        fb.TensorStart(builder)
        fb.TensorAddShape(builder, sizes)
        fb.TensorAddType(builder, kind)
        fb.TensorAddBuffer(builder, number)
        fb.TensorAddName(builder, text)
        return int(fb.TensorEnd(builder))

    def operator(code: int, takes: tuple[int, ...], gives: int, kind: int, options: int) -> int:
        inputs, outputs = vector("int32", takes), vector("int32", (gives,))
        fb.OperatorStart(builder)
        fb.OperatorAddOpcodeIndex(builder, code)
        fb.OperatorAddInputs(builder, inputs)
        fb.OperatorAddOutputs(builder, outputs)
        fb.OperatorAddBuiltinOptionsType(builder, kind)
        fb.OperatorAddBuiltinOptions(builder, options)
        return int(fb.OperatorEnd(builder))

    def code(number: int) -> int:
        fb.OperatorCodeStart(builder)
        fb.OperatorCodeAddDeprecatedBuiltinCode(builder, number)
        fb.OperatorCodeAddBuiltinCode(builder, number)
        fb.OperatorCodeAddVersion(builder, 1)
        return int(fb.OperatorCodeEnd(builder))

    buffers = [buffer(None), buffer(np.array([1, 2], np.int32)), buffer(WEIGHT), buffer(BIAS)]
    real, whole = fb.TensorType.FLOAT32, fb.TensorType.INT32
    tensors = [
        tensor("picture", (1, SPEC.height, SPEC.width, 3), real, 0),
        tensor("axes", (2,), whole, 1),
        tensor("mean", (1, 3), real, 0),
        tensor("weight", (4, 3), real, 2),
        tensor("bias", (4,), real, 3),
        tensor("logits", (1, 4), real, 0),
    ]
    fb.ReducerOptionsStart(builder)
    fb.ReducerOptionsAddKeepDims(builder, False)
    reducer = fb.ReducerOptionsEnd(builder)
    fb.FullyConnectedOptionsStart(builder)
    dense = fb.FullyConnectedOptionsEnd(builder)
    operators = [
        operator(0, (0, 1), 2, fb.BuiltinOptions.ReducerOptions, reducer),
        operator(1, (2, 3, 4), 5, fb.BuiltinOptions.FullyConnectedOptions, dense),
    ]
    all_tensors, inputs, outputs = vector("offset", tensors), vector("int32", (0,)), vector("int32", (5,))
    all_operators = vector("offset", operators)
    fb.SubGraphStart(builder)
    fb.SubGraphAddTensors(builder, all_tensors)
    fb.SubGraphAddInputs(builder, inputs)
    fb.SubGraphAddOutputs(builder, outputs)
    fb.SubGraphAddOperators(builder, all_operators)
    graphs = vector("offset", [fb.SubGraphEnd(builder)])
    codes = vector("offset", [code(fb.BuiltinOperator.MEAN), code(fb.BuiltinOperator.FULLY_CONNECTED)])
    all_buffers = vector("offset", buffers)
    fb.ModelStart(builder)
    fb.ModelAddVersion(builder, 3)
    fb.ModelAddOperatorCodes(builder, codes)
    fb.ModelAddSubgraphs(builder, graphs)
    fb.ModelAddBuffers(builder, all_buffers)
    builder.Finish(fb.ModelEnd(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path

"""What a file of weights is, by its content: names lie, and a download that failed is a page of HTML."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Literal

from edge_sdk.durable.files import IrregularFile, open_regular
from edge_sdk.errors import WorkbenchError

Kind = Literal["safetensors", "zip", "pickle"]
EXPECTED = "expected weights of PyTorch (.pth, .pt, .bin or .safetensors)"
_HEAD = 4096
_MOST_HEADER = 100 << 20  # bytes of a .safetensors header, as its own reader allows
_INFLATED = 20
"""How much larger than its archive the content may be. PyTorch stores tensors as they are."""
_CONVERT = "load it where it was made and write its weights: torch.save(model.state_dict(), 'weights.pth')"
_UNPACK = "unpack it first"
_STARTS = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself: run `git lfs pull` where it came from"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras): its weights are of TensorFlow, not of PyTorch"),
    (b"GGUF", "a GGUF file of llama.cpp"),
    (b"\x93NUMPY", "an array of numpy: a network has many tensors with names"),
    (b"\x1f\x8b", f"compressed (gzip): {_UNPACK}"),
    (b"BZh", f"compressed (bzip2): {_UNPACK}"),
    (b"\xfd7zXZ", f"compressed (xz): {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"compressed (zstd): {_UNPACK}"),
    (b"7z\xbc\xaf", f"compressed (7z): {_UNPACK}"),
    (b"Rar!", f"compressed (rar): {_UNPACK}"),
)
_AT_FOUR = (
    (b"TFL3", "a TFLite model: its int8 or float weights are of TensorFlow, not of PyTorch"),
    (b"ET", "an ExecuTorch program: made from weights, which cannot be had back"),
)


def kind_of(path: Path) -> Kind:
    """Whether a file is `.safetensors`, PyTorch's zip archive, or its older plain pickle.

    Raises:
        WorkbenchError: it is missing, empty, or something else; the message says what, and what to do.
    """
    head, size = _read_head(path)
    if not size:
        raise WorkbenchError(f"{EXPECTED}; {path} is empty: the copy or download did not finish")
    if told := _foreign(head, size, path):
        raise WorkbenchError(f"{EXPECTED}; {path} is {told}")
    if head.startswith(b"PK\x03\x04"):
        return _archive(path, size)
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return "pickle"
    if len(head) > 8 and head[8:9] == b"{":
        (header,) = struct.unpack("<Q", head[:8])
        if header + 8 > size or header > _MOST_HEADER:
            raise WorkbenchError(
                f"{EXPECTED}; {path} begins as .safetensors but ends before its header of {header:,} bytes does: "
                "the copy or download did not finish"
            )
        return "safetensors"
    if not any(head):
        raise WorkbenchError(f"{EXPECTED}; {path} begins with zeros: the copy or download did not finish")
    raise WorkbenchError(f"{EXPECTED}; {path} begins with {head[:8]!r}, which is none of them")


def _read_head(path: Path) -> tuple[bytes, int]:
    if path.is_dir():
        inside = sorted(one.name for one in path.iterdir() if one.suffix in (".pth", ".pt", ".bin", ".safetensors"))
        hint = f": name one of its files ({', '.join(inside[:5])})" if inside else ""
        if (path / "saved_model.pb").is_file():
            hint = ", a SavedModel of TensorFlow"
        raise WorkbenchError(f"{EXPECTED}; {path} is a folder{hint}")
    try:
        with open_regular(path) as file:
            head = file.read(_HEAD)
            return head, file.seek(0, 2)
    except IrregularFile as error:
        raise WorkbenchError(f"{EXPECTED}; {path} is {error}") from error
    except FileNotFoundError:
        raise WorkbenchError(f"{EXPECTED}; there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise WorkbenchError(f"{EXPECTED}; cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def _foreign(head: bytes, size: int, path: Path) -> str:
    """What a file is in words, where its first bytes say that it is no file of PyTorch weights; else ""."""
    for start, told in _STARTS:
        if head.startswith(start):
            return told
    for mark, told in _AT_FOUR:
        if head[4 : 4 + len(mark)] == mark:
            return told
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:256].lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<body")):
        return "a page of HTML, not a file of weights: the download needs another address or a login"
    if text.startswith(b"{") or text.startswith(b"["):
        return "JSON text, not weights"
    if head[257:262] == b"ustar":
        return f"a tar archive: {_UNPACK}; one of PyTorch before 0.1.10 has to be saved anew there"
    if path.suffix == ".onnx" or (head[:1] == b"\x08" and head[2:3] == b"\x12" and size > 64):
        return f"an ONNX graph: its tensors have no names of a network; {_CONVERT}"
    if path.suffix == ".pb":
        return "a graph of TensorFlow, not of PyTorch"
    return ""


def _archive(path: Path, size: int) -> Kind:
    """A zip archive: one that torch.save wrote, or something else that is zipped."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise WorkbenchError(
            f"{EXPECTED}; {path} begins as an archive of PyTorch and has no end ({error}): the copy or download did "
            "not finish, or it is damaged"
        ) from error
    names = [entry.filename for entry in entries]
    short = {name.partition("/")[2] or name for name in names}
    if told := _other_archive(names, short):
        raise WorkbenchError(f"{EXPECTED}; {path} is {told}")
    inflated = sum(entry.file_size for entry in entries)
    if inflated > _INFLATED * size + (1 << 20):
        raise WorkbenchError(
            f"{EXPECTED}; {path} has {size:,} bytes and would unpack into {inflated:,}: PyTorch stores tensors as they "
            "are, so this is no file of weights"
        )
    return "zip"


def _other_archive(names: list[str], short: set[str]) -> str:
    if "constants.pkl" in short or any(name.startswith("code/") for name in short):
        return f"a TorchScript program: {_CONVERT}"
    if "data.pkl" in short and not any(name.endswith(".npy") for name in names):
        return ""
    if any(name.endswith(".npy") for name in names):
        return "an archive of numpy (.npz): its weights are of JAX or others, not of PyTorch"
    if "model.weights.h5" in names:
        return "a Keras model: its weights are of TensorFlow, not of PyTorch"
    if any(name.startswith("models/") or name.endswith("serialized_exported_program.json") for name in short):
        return f"a program of torch.export: {_CONVERT}"
    inside = [name for name in names if name.endswith((".pth", ".pt", ".bin", ".safetensors"))]
    if inside:
        return f"a zip archive with {', '.join(inside[:3])} in it: {_UNPACK}"
    return f"a zip archive of other files ({', '.join(names[:3]) or 'none'})"

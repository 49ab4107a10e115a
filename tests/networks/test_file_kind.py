import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.file_kind import kind_of

STATE = {"a.weight": torch.ones(2, 3)}


def test_what_pytorch_and_safetensors_write_is_known_whatever_its_name(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "new.bin")
    torch.save(STATE, tmp_path / "old.txt", _use_new_zipfile_serialization=False)
    save_file(STATE, tmp_path / "safe.pth")
    kinds = [kind_of(tmp_path / name) for name in ("new.bin", "old.txt", "safe.pth")]
    assert kinds == ["zip", "pickle", "safetensors"]


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "Git LFS.*git lfs pull"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "HTML.*login"),
        (b"\n  <html lang=en>", "HTML"),
        (b'{"error": "Repository not found"}', "JSON"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "Keras"),
        (b"\x93NUMPY\x01\0" + b"\0" * 100, "numpy"),
        (b"\x1f\x8b\x08\0" + b"\0" * 100, "gzip.*unpack it first"),
        (b"\x1c\0\0\0TFL3" + b"\0" * 100, "TFLite"),
        (b"\x1c\0\0\0ET12" + b"\0" * 100, "ExecuTorch"),
        (b"\x08\x07\x12\x07pytorch" + b"\x1a\x05" * 100, "ONNX"),
        (b"\0" * 5000, "zeros.*did not finish"),
        (b"hello world, these are no weights", "begins with b'hello wo'"),
        (b"PK\x03\x04" + b"\0" * 100, "no end.*did not finish"),
        ((10**12).to_bytes(8, "little") + b'{"a":' + b" " * 100, "header.*did not finish"),
        (zipped(model__code__net_dot_py=b"def forward", model__constants_dot_pkl=b"\x80\x02."), "TorchScript"),
        (zipped(archive__data_dot_pkl=b"\x80\x02.", archive__data__0=b"\0" * 50_000_000), "would unpack into 50,000"),
        (zipped(weights_dot_pth=b"abc"), r"zip archive with weights\.pth in it: unpack"),
        (zipped(kernel_dot_npy=b"abc"), "npz"),
        (zipped(config_dot_json=b"{}", model_dot_weights_dot_h5=b"x"), "Keras"),
        (zipped(notes_dot_txt=b"abc"), r"other files \(notes\.txt\)"),
        (tarred(), "tar archive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_files_are_called_what_they_are(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(WorkbenchError, match=f"expected weights of PyTorch.*{told}"):
        kind_of(path)


def test_a_folder_names_the_weights_in_it(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(WorkbenchError, match=r"is a folder: name one of its files \(model.safetensors\)"):
        kind_of(tmp_path)
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    with pytest.raises(WorkbenchError, match="TensorFlow"):
        kind_of(tmp_path / "saved")


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(WorkbenchError, match="pipe"):
        kind_of(tmp_path / "pipe.pth")
    with pytest.raises(WorkbenchError, match="there is no file"):
        kind_of(tmp_path / "none.pth")

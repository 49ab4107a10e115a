"""Measuring an encoding ladder: accuracy of the big model against bytes, over sizes, qualities and formats.

The little model runs on every picture. Pictures that it would offload are encoded in each way, and the big model sees
them as the server would. Records are cached on disk by the content of models, pictures and code.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from itertools import islice
from pathlib import Path

import cv2
import msgspec
import numpy as np
from platformdirs import user_cache_path

from edge_sdk.errors import WorkbenchError
from edge_sdk.images import encode, geometry
from edge_sdk.images.rendition import Rendition, Upload
from edge_sdk.model import little as little_model
from edge_sdk.model.big_reference import LABEL_MAP_CURE, label_difference
from edge_sdk.model.bundle import MANIFEST_FILE, Bundle, open_bundle, shipped_bundles, write_policy
from edge_sdk.model.policy import Policy
from edge_sdk.networks.model_name import is_file_name, split_name
from edge_sdk.types import View
from edge_sdk.workbench.cascade.curve import Bools
from edge_sdk.workbench.cascade.exits import exits_of
from edge_sdk.workbench.cascade.group_split import selection_part
from edge_sdk.workbench.cascade.rendition_curve import Choice, Trials, choose_ladder
from edge_sdk.workbench.encodings import FORMATS, QUALITIES, Format, encoding_ms, grid
from edge_sdk.workbench.labelled import LabelledImage, Source, read_all
from edge_sdk.workbench.mapped_source import MappedSource
from edge_sdk.workbench.recorder import write_records
from edge_sdk.workbench.records import Records
from edge_sdk.workbench.records_file import load_records
from edge_sdk.workbench.subjects import Subject, latency_ms, open_subject

_FEWEST = 25
_TIMED_PICTURES = 8


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """How the ladder is chosen; see `edge_sdk.workbench.cascade.rendition_curve.choose_ladder`.

    Attributes:
        drop: tolerated loss of accuracy over all frames.
        delta: probability with which that promise may fail.
        level: of the test that a dearer rendition must pass to be on the ladder.
        raw: skip that test and take every rendition that is more accurate than the cheaper ones.
    """

    drop: float = 0.005
    delta: float = 0.05
    level: float = 0.05
    raw: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """The result of measuring a ladder.

    Attributes:
        big: name of the big model.
        uploads: the K encodings that were tried.
        encode_ms: processor time of encoding one picture in each way, milliseconds, on this machine.
        choice: what was chosen; its indices are of `uploads`.
        usual: index of the encoding that the bundle had.
        rule: how it was chosen.
        frames: all frames.
        offloaded: those that the big model saw.
        evaluation_frames: all frames of the part that evaluated.
        near: the surroundings of regions were sent, and not whole frames.
    """

    big: str
    uploads: tuple[Upload, ...]
    encode_ms: tuple[float, ...]
    choice: Choice
    usual: int
    rule: Rule
    frames: int
    offloaded: int
    evaluation_frames: int
    near: bool = False

    @property
    def what(self) -> str:
        """What travels, in a word."""
        return "region" if self.near else "frame"

    @property
    def renditions(self) -> tuple[Rendition, ...]:
        """The ladder for `policy.json`."""
        evaluated = self.choice.evaluated
        return tuple(
            Rendition(self.uploads[one], evaluated[one].mean_bytes, evaluated[one].relative_gain)
            for one in self.choice.ladder
        )

    @property
    def upload(self) -> Upload:
        """The encoding for `policy.json`: the safe one, or where none can be promised the bundle's own."""
        return self.uploads[self.usual if self.choice.safe is None else self.choice.safe]

    def sentence(self) -> str:
        """The result in words."""
        evaluated, usual, safe = self.choice.evaluated, self.uploads[self.usual].name, self.choice.safe
        points, sure = 100 * self.rule.drop, f"{1 - self.rule.delta:.0%}"
        if safe is None:
            can = evaluated[self.choice.safest].promise
            return (
                f"These {self.evaluation_frames} evaluation frames cannot promise a loss of at most {points:.2f} "
                f"points after any encoding; {100 * can:.2f} points can be promised of "
                f"{self.uploads[self.choice.safest].name} (--drop {math.ceil(1e4 * can) / 1e4}), and more pictures "
                f"promise more. {self.what.capitalize()}s go on travelling as {usual}."
            )
        compared = ""
        taken = f"{evaluated[safe].mean_bytes / 1e3:.1f} kB a {self.what}"
        if safe != self.usual:
            taken += f" instead of {evaluated[self.usual].mean_bytes / 1e3:.1f} kB ({usual})"
            compared = f" instead of {self.encode_ms[self.usual]:.2f} ms"
        return (
            f"Send {self.uploads[safe].name}: {taken}; with {sure} confidence the cascade is at most {points:.2f} "
            f"points below what it is on pictures as they are. Encoding one takes {self.encode_ms[safe]:.2f} ms of "
            f"this machine's processor time{compared}."
        )


def measure_ladder(
    path: str | Path,
    big: str | Subject,
    source: Source,
    rule: Rule,
    *,
    sides: Sequence[int] = (),
    qualities: Sequence[int] = QUALITIES,
    formats: Sequence[Format] = FORMATS,
    every: bool = False,
    near: bool = False,
    folder: Path | None = None,
    label_map: Mapping[str, str] | None = None,
    on_step: Callable[[str], None] = lambda text: None,
    on_part: Callable[[int, int], None] | None = None,
) -> Ladder:
    """Try encodings for a bundle and a big model.

    Args:
        path: the bundle's folder, or the name of one that ships.
        big: a checkpoint, a timm name (then with pretrained weights) or a bundle; or a subject of your own,
            whose cached records are found by its `info`: change its name when it changes.
        source: labelled pictures that neither model was trained on.
        rule: how the ladder is chosen.
        sides: see `grid`.
        qualities: see `grid`.
        formats: see `grid`.
        every: treat every picture as offloaded.
        near: measure pictures with a region alone, of which its surroundings travel, as a device with `send` "region"
            sends them; the little model must look at regions.
        folder: of the cached records; default: the user's cache folder.
        label_map: from the big model's labels to the bundle's, where `big` is a name.
        on_step: called with the name of each step that begins.
        on_part: called with the parts of the pictures that are done, and of how many.

    Raises:
        BundleError: the bundle cannot be used.
        WorkbenchError: the big model or the pictures cannot be used, or too few of them are offloaded.
    """
    folder = user_cache_path("edge-sdk", appauthor=False) / "ladder" if folder is None else folder
    bundle = open_bundle(path)
    little_key, big_key = bundle.manifest.sha256, _content(big)
    on_step("the little model on every picture")
    little = open_subject(str(bundle.path))
    said = load_records(
        write_records([little], source, folder / _digest(little_key, _code(little_model)), on_part=on_part)[0]
    )
    offloaded = np.ones(len(said), np.bool_) if every else _offloaded(bundle, said)
    if near:
        offloaded = offloaded & said.with_region
        if not said.with_region.any():
            raise WorkbenchError(
                f"expected pictures with a region, and a bundle that looks at it; {bundle.manifest.name} looks at the "
                f"{bundle.manifest.view}, and 0 of {len(said)} pictures have one that it looked at"
            )
    sources = said.ids if said.sources is None else said.sources
    selection = selection_part(sources.tolist(), fewest=_FEWEST)
    fewest = min(int((offloaded & selection).sum()), int((offloaded & ~selection).sum()))
    if fewest < _FEWEST:
        raise WorkbenchError(
            f"expected at least {_FEWEST} offloaded pictures to select on and to evaluate on; got {fewest} "
            f"({int(offloaded.sum())} of {len(said)} in all); give more pictures"
            f"{'' if every else ', or measure on all of them (--all)'}"
        )
    chosen = _chosen(source, frozenset(said.ids[offloaded].tolist()))
    if isinstance(big, Subject):
        cloud = big
    else:
        cloud = open_subject(big, pretrained=not is_file_name(big), label_map=label_map)
    if missing := label_difference(bundle.manifest.labels, cloud.info.labels):
        raise WorkbenchError(
            f"expected a big model with the labels of {bundle.manifest.name}; {cloud.info.model} has others: "
            f"{missing}. {LABEL_MAP_CURE}"
        )
    usual = (near and bundle.policy.region_upload) or bundle.policy.upload
    if near:
        cloud = cloud.looking_at(View.REGION)
    uploads = grid(cloud.input, usual, sides=sides, qualities=qualities, formats=formats)
    first = islice(read_all(chosen), _TIMED_PICTURES)
    pictures = [np.ascontiguousarray(cloud.looks(picture.image, picture.region)[0][0]) for picture in first]
    cloud = cloud.timed(latency_ms(cloud, cloud.prepare(pictures[0])))
    on_step(f"the big model on {int(offloaded.sum())} pictures, as they are and after {len(uploads)} encodings")
    code = _code(little_model, encode, geometry)
    place = folder / _digest(little_key, big_key, chosen.key, code, cv2.__version__, *(("regions",) if near else ()))
    subjects = [cloud, *(_after(cloud, upload) for upload in uploads)]
    original, *renditions = [load_records(path) for path in write_records(subjects, chosen, place, on_part=on_part)]
    on_step("the time that each encoding takes")
    trials = Trials(
        sizes=np.stack([_sizes(one) for one in renditions]),
        right=np.stack([one.right for one in renditions]),
        original_right=original.right,
        little_right=said.right[offloaded],
        selection=selection[offloaded],
        selection_frames=int(selection.sum()),
        evaluation_frames=int((~selection).sum()),
    )
    return Ladder(
        original.info.model,
        uploads,
        encoding_ms(pictures, uploads),
        choose_ladder(trials, drop=rule.drop, delta=rule.delta, level=rule.level, raw=rule.raw),
        uploads.index(usual),
        rule,
        len(said),
        int(offloaded.sum()),
        trials.evaluation_frames,
        near,
    )


def write_ladder(path: str | Path, found: Ladder, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Policy:
    """Write upload and ladder into a bundle's `policy.json`, or of regions `region_upload`; all else in it stays.

    Args:
        path: the bundle's folder, or the name of one that ships.
        found: from `measure_ladder`.
        now: clock that gives the date written into the policy.

    Raises:
        BundleError: the bundle cannot be opened or written.
    """
    bundle = open_bundle(path)
    of = "region_" if found.near else ""
    facts: dict[str, float | int | str] = {
        f"{of}ladder_date": now().date().isoformat(),
        f"{of}ladder_frames": found.frames,
        f"{of}ladder_offloaded": found.offloaded,
        f"{of}ladder_big": found.big,
    }
    if found.choice.safe is not None:
        facts |= {f"{of}upload_promised_loss": found.rule.drop, f"{of}upload_promise_fails_with": found.rule.delta}
    kept = {name: fact for name, fact in bundle.policy.calibration.items() if not name.startswith(f"{of}upload_prom")}
    sent = {"region_upload": found.upload} if found.near else {"upload": found.upload, "ladder": found.renditions}
    policy = msgspec.structs.replace(bundle.policy, calibration=kept | facts, **sent)
    write_policy(bundle.path, policy)
    return policy


def _chosen(source: Source, names: frozenset[str]) -> Source:
    """The pictures of a source with given names."""
    return MappedSource(source, partial(_if_named, names=names), _digest(*sorted(names)))


def _if_named(picture: LabelledImage, names: frozenset[str]) -> Iterator[LabelledImage]:
    if picture.name in names:
        yield picture


def _offloaded(bundle: Bundle, said: Records) -> Bools:
    return ~exits_of(bundle.policy, said, said.calibrated_by(bundle.policy))


def _after(cloud: Subject, upload: Upload) -> Subject:
    """The big model as it sees pictures that have travelled."""
    info = msgspec.structs.replace(cloud.info, model=f"{cloud.info.model} {upload.name}")
    return replace(cloud, info=info, upload=upload)


def _sizes(records: Records) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if records.upload_bytes is None:
        raise WorkbenchError(f"{records.info.model}: expected records with the bytes of each picture; these have none")
    return records.upload_bytes


def _content(big: str | Subject) -> str:
    """Identifies a model by its content, not by its path."""
    if isinstance(big, Subject):
        return msgspec.json.encode(big.info).decode()
    if big in shipped_bundles() or (Path(big) / MANIFEST_FILE).is_file():
        return open_bundle(big).manifest.sha256
    arch, file = split_name(big)
    if Path(file).is_file():
        return arch + hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return f"{big} of timm {metadata.version('timm')}"


def _code(*modules: object) -> str:
    """A digest of the source code of modules that prepare what a model sees."""
    return _digest(*(Path(str(getattr(one, "__file__", ""))).read_text(encoding="utf-8") for one in modules))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]

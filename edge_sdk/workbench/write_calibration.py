"""Calibrating a bundle against a big model, and writing the result into its `policy.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge_sdk.images.rendition import Upload
from edge_sdk.model.big_reference import BigReference
from edge_sdk.model.bundle import open_bundle, write_policy, write_view
from edge_sdk.model.policy import Policy
from edge_sdk.networks.model_name import is_file_name
from edge_sdk.types import View
from edge_sdk.workbench.calibrate_events import EventCalibration
from edge_sdk.workbench.calibrate_looks import LookCalibration, calibrate_looks
from edge_sdk.workbench.calibration import Calibration, Rule
from edge_sdk.workbench.cascade.score_comparison import GATE, MAX_SOFTMAX
from edge_sdk.workbench.few_labels import FewLabels
from edge_sdk.workbench.labelled import LabelledImage
from edge_sdk.workbench.recorder import run_subjects
from edge_sdk.workbench.records import Records
from edge_sdk.workbench.subjects import open_subject


def calibrate_bundle(
    path: str | Path,
    big: str,
    pictures: Iterable[LabelledImage],
    rule: Rule,
    *,
    upload: Upload | None = None,
    learned_gate: bool = True,
    label_map: Mapping[str, str] | None = None,
    served_as: str = "",
    view: View | None = None,
    send: View | None = None,
    region_upload: Upload | None = None,
    on_done: Callable[[int], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> LookCalibration:
    """Calibrate a bundle against a big model and write its `policy.json`.

    Args:
        path: the bundle's folder.
        big: the big model's checkpoint, or a timm name (then with pretrained weights).
        pictures: labelled ones that neither model was trained on.
        rule: how the threshold is chosen.
        upload: how pictures will travel; default: as the bundle's policy says.
        learned_gate: see `calibrate_looks`.
        label_map: from the big model's labels to the bundle's.
        served_as: what `cloud-server --model` takes to serve the big model, where that is not `big` itself.
        view: what of a picture the bundle looks at; None: as its manifest says.
        send: what of an unsure picture travels; None: as its policy says.
        region_upload: how a region's surroundings travel; None: as its policy says.
        on_done: told how many pictures are done.
        now: clock that gives the date written into the policy.

    Raises:
        BundleError: the bundle cannot be used or written.
        WorkbenchError: the big model or the pictures cannot be used, or see `calibrate_looks`.
    """
    upload = upload or open_bundle(path).policy.upload
    little, cloud = run_pair(
        path,
        big,
        pictures,
        upload=upload,
        label_map=label_map,
        served_as=served_as,
        view=view,
        send=send,
        region_upload=region_upload,
        on_done=on_done,
    )
    near = region_upload or open_bundle(path).policy.region_upload
    found = calibrate_looks(little, cloud, rule, upload=upload, region_upload=near, learned_gate=learned_gate)
    return write_looks(Path(path), found, big=cloud.info.reference, rule=rule, view=View(little.info.view), now=now)


def run_pair(
    path: str | Path,
    big: str,
    pictures: Iterable[LabelledImage],
    *,
    upload: Upload,
    label_map: Mapping[str, str] | None = None,
    served_as: str = "",
    unlabelled: bool = False,
    view: View | None = None,
    send: View | None = None,
    region_upload: Upload | None = None,
    on_done: Callable[[int], None] | None = None,
) -> tuple[Records, Records]:
    """Records of a bundle and of the big model, which sees pictures as they are sent.

    Args:
        path: the bundle's folder.
        big: as in `calibrate_bundle`.
        pictures: labelled ones.
        upload: how pictures will travel.
        label_map: from the big model's labels to the bundle's.
        served_as: as in `calibrate_bundle`.
        unlabelled: keep pictures without a label too.
        view: as in `calibrate_bundle`.
        send: as in `calibrate_bundle`.
        region_upload: as in `calibrate_bundle`.
        on_done: told how many pictures are done.

    Raises:
        BundleError: the bundle cannot be used.
        WorkbenchError: the big model or the pictures cannot be used.
    """
    bundle = open_bundle(path)
    other = open_subject(big, pretrained=not is_file_name(big), upload=upload, label_map=label_map)
    near = region_upload or bundle.policy.region_upload
    other = other.looking_at(View(bundle.policy.send) if send is None else send, near)
    if served_as:
        other = other.served_as(served_as)
    subjects = [open_subject(str(bundle.path), view=view), other]
    little, cloud = run_subjects(subjects, pictures, unlabelled=unlabelled, on_done=on_done)
    return little, cloud


def write_calibration(
    path: Path,
    found: Calibration,
    *,
    big: BigReference,
    rule: Rule,
    view: View | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Calibration:
    """As `write_looks`, of a calibration that found one rule."""
    written = write_looks(path, LookCalibration(found.policy, found, None), big=big, rule=rule, view=view, now=now)
    return replace(found, policy=written.policy)


def write_looks(
    path: Path,
    found: LookCalibration,
    *,
    big: BigReference,
    rule: Rule,
    view: View | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> LookCalibration:
    """Write a calibration into a bundle's `policy.json`, with the big model's name and facts for people.

    What the little model looked at, `view`, is written into its manifest where that says otherwise. A rule of events is
    dropped: it was found for other probabilities. An encoding ladder that was measured with the same big model stays;
    another one is dropped. Where the rule for frames seen whole stays, so do its facts.
    """
    bundle = open_bundle(path)
    facts: dict[str, float | int | str] = {}
    if found.frames is None:
        facts = {name: fact for name, fact in bundle.policy.calibration.items() if name in _KEPT}
    else:
        facts = _facts(found.frames, rule)
    if found.regions is not None:
        facts |= {f"region_{name}": fact for name, fact in _facts(found.regions, rule).items()}
    if found.still is not None:
        facts |= {f"still_{name}": fact for name, fact in _facts(found.still, rule).items()}
    if view is not None and view != bundle.manifest.view:
        write_view(path, view)
    return replace(found, policy=_write(path, found.policy, facts, big, rule, now))


_KEPT = frozenset(
    {
        *("rule", "score", "pictures", "exit_ratio", "little_accuracy", "cascade_accuracy", "big_accuracy"),
        *("promised_loss", "promised_as_right", "exits_as_big"),
    }
)
"""Facts of the rule for frames seen whole."""


def _facts(found: Calibration, rule: Rule) -> dict[str, float | int | str]:
    """Of one rule."""
    facts: dict[str, float | int | str] = {
        "rule": rule.name,
        "score": GATE if found.policy.gate else MAX_SOFTMAX,
        "pictures": found.pictures,
        "exit_ratio": round(found.point.exit_ratio, 4),
        "little_accuracy": round(found.little_accuracy, 4),
        "cascade_accuracy": round(found.point.accuracy, 4),
        "big_accuracy": round(found.big_accuracy, 4),
        "promised_loss": round(found.promise, 5),
    }
    if rule.as_right is not None:
        facts["promised_as_right"] = rule.as_right
    return facts | _agreed(found.policy)


def _agreed(policy: Policy) -> dict[str, float | int | str]:
    known = policy.agreement
    return {} if known is None else {"exits_as_big": round(1 - sum(known.differ) / sum(known.exits), 5)}


def write_event_calibration(path: Path, found: EventCalibration, rule: Rule) -> Policy:
    """Write a rule of events into a bundle's `policy.json`, beside the rule of frames that stands there."""
    policy = open_bundle(path).policy
    facts: dict[str, float | int | str] = {
        "event_rule": rule.name,
        "events": found.events,
        "event_places": found.places,
        "event_exit_ratio": round(found.exit_ratio, 4),
        "event_little_accuracy": round(found.little_accuracy, 4),
        "event_cascade_accuracy": round(found.accuracy, 4),
        "event_big_accuracy": round(found.big_accuracy, 4),
        "event_promised_loss": round(found.promise, 5),
        "event_promise_fails_with": found.delta,
    }
    if (known := found.rule.agreement) is not None:
        facts["event_exits_as_big"] = round(1 - sum(known.differ) / sum(known.exits), 5)
    policy = msgspec.structs.replace(policy, events=found.rule, calibration=policy.calibration | facts)
    write_policy(path, policy)
    return policy


def write_few(
    path: Path,
    found: FewLabels,
    *,
    big: BigReference,
    rule: Rule,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> FewLabels:
    """Write a calibration with few labels, as `write_calibration` does; accuracies are not known."""
    facts: dict[str, float | int | str] = {
        "rule": rule.name,
        "score": MAX_SOFTMAX,
        "pictures": found.pictures,
        "answers": found.answers,
        "exit_ratio": round(found.exit_ratio, 4),
        "cascade_against_big": round((found.won - found.lost) / found.evaluated, 5),
        "promised_loss": round(1 - rule.as_right if rule.as_right is not None else rule.eps or 0.0, 5),
    }
    if rule.as_right is not None:
        facts["promised_as_right"] = rule.as_right
    facts |= _agreed(found.policy)
    return replace(found, policy=_write(path, found.policy, facts, big, rule, now))


def _write(
    path: Path,
    policy: Policy,
    facts: dict[str, float | int | str],
    big: BigReference,
    rule: Rule,
    now: Callable[[], datetime],
) -> Policy:
    facts |= {"date": now().date().isoformat(), "promise_fails_with": rule.delta, "big": big.name}
    old = open_bundle(path).policy
    policy = msgspec.structs.replace(policy, big=big, calibration=facts)
    if old.calibration.get("ladder_big") == big.name:
        facts |= {name: fact for name, fact in old.calibration.items() if name.startswith("ladder_")}
        policy = msgspec.structs.replace(policy, ladder=old.ladder)
    write_policy(path, policy)
    return policy

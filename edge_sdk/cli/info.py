"""`edge-sdk info`: check a bundle and describe it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sdk.cli.options import OLD_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_sdk.model.little import LittleModel
    from edge_sdk.model.policy import LookRule, Policy, StillRule
    from edge_sdk.terminal.tables import Facts


@click.command()
@click.argument("bundle", default="trailcam")
@click.option(
    "--state", type=OLD_FOLDER, help="State folder of a device: which settings of its server hold there, too."
)
def info(bundle: str, state: Path | None) -> None:
    """Check a bundle and describe it.

    BUNDLE is a folder, or the name of a bundle that ships with the SDK (default: trailcam). A state folder is only
    read, also beside a device that runs.
    """
    from edge_sdk.cli.held_settings import held_facts
    from edge_sdk.model.little import LittleModel
    from edge_sdk.terminal.text import open_console

    with LittleModel(bundle) as model:
        open_console().print(bundle_facts(model))
    if state is not None:
        open_console().print(held_facts(state))


_ROWS = {"region": "of regions", "still": "at rest", "event": "of visits", "events": "of visits"}
"""By the first word of a fact's name, what it is of."""


def calibration_texts(facts: Mapping[str, float | int | str]) -> list[tuple[str, str]]:
    """What calibration found, by rule, in words."""
    if not facts:
        return [("calibration", "none: the cautious threshold holds until `edge-sdk calibrate` finds one")]
    found: dict[str, list[str]] = {"calibration": [], "of regions": [], "at rest": [], "of visits": []}
    for name, value in facts.items():
        start, _, rest = name.partition("_")
        row = _ROWS.get(start, "calibration")
        plain = rest if rest and row != "calibration" else name
        found[row].append(f"{plain.replace('_', ' ')} {value}")
    return [(row, "; ".join(texts)) for row, texts in found.items() if texts]


def rule_text(rule: Policy | LookRule | StillRule, temperature: float) -> str:
    """When a frame exits."""
    if rule.gate is not None:
        exits = f"exit at an expected gain of {rule.gate.exit_at_or_below:.4f} or less (learned gate)"
    else:
        exits = f"exit at a confidence of {rule.threshold:.3f} or more"
    return f"{exits}, temperature {temperature:.3f}"


def bundle_facts(model: LittleModel) -> Facts:
    """What a person wants to know of a bundle."""
    from edge_sdk.budget.amounts import macs_text
    from edge_sdk.model.made_for import made_for_text
    from edge_sdk.terminal.tables import Facts

    manifest, opened = model.manifest, model.bundle
    policy, size = opened.policy, manifest.input
    facts = Facts(f"{manifest.name} {manifest.version}")
    facts.add("folder", opened.path)
    facts.add("labels", f"{len(manifest.labels)}: {', '.join(manifest.labels[:20])}")
    facts.add("input", f"{size.width}x{size.height}, {size.resize}")
    facts.add("looks at", "the frame and its region" if manifest.view == "both" else f"the {manifest.view}")
    facts.add("size", f"{manifest.parameters:,} parameters, {macs_text(manifest.macs)}, {manifest.precision}")
    facts.add("rule" if policy.regions is None else "rule, whole", rule_text(policy, policy.temperature))
    if policy.regions is not None:
        facts.add("rule, region", rule_text(policy.regions, policy.regions.temperature))
    if policy.still is not None:
        facts.add("rule, at rest", rule_text(policy.still, policy.temperature))
    if (visits := policy.events) is not None:
        facts.add(
            "rule, visits", f"exit at a mean confidence of {visits.threshold:.3f} or more of {visits.best} frames"
        )
    near = policy.upload if policy.region_upload is None else policy.region_upload
    facts.add("upload", policy.upload.name if policy.send == "frame" else f"{policy.upload.name}, a region {near.name}")
    if policy.ladder:
        steps = (f"{one.upload.name} ({one.mean_bytes / 1e3:.1f} kB, {one.relative_gain:.0%})" for one in policy.ladder)
        facts.add("ladder", "  ".join(steps))
    if opened.priors is not None:
        used = "not used: not calibrated" if policy.priors is None else f"strength {policy.priors.strength:.2f}"
        facts.add("priors", f"{len(opened.priors.classes)} classes, {len(opened.priors.regions)} regions; {used}")
    if opened.taxonomy is not None:
        rollup = policy.rollup
        used = "not used: not calibrated" if rollup is None else f"answers of {rollup.threshold:.3f} or more"
        facts.add(
            "taxonomy", f"{len({name for chain in opened.taxonomy.classes.values() for name in chain})} groups; {used}"
        )
    for name, text in calibration_texts(policy.calibration):
        facts.add(name, text)
    if policy.big is not None:
        where = policy.big.model if policy.big.model not in ("", policy.big.name) else ""
        facts.add("big model", f"{policy.big.name}{f' ({where})' if where else ''}")
    else:
        facts.add("big model", "not known: `edge-sdk calibrate` writes it here")
    facts.add("made for", made_for_text(manifest))
    facts.add("made with", ", ".join(f"{name} {version}" for name, version in manifest.made_with.items()))
    facts.add("runtime", f"{model.runtime}; the golden picture gives the expected output")
    return facts

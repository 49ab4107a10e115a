"""The shipped pair on frames of streams of the simulated camera that neither model has seen: little, big and cascade.

    python benchmarks/trailcam.py [--bundle trailcam] [--big CHECKPOINT] [--little CHECKPOINT] [--records FOLDER]

The frames are those of before there were regions: every third of each stream, also where nothing moves. The motion gate
sees the whole stream, and a frame has the region that it gives; without one it is seen, and sent, whole. The little
model runs in the device's runtime, the big one sees each picture after the device's JPEG encoding, and the cascade
decides each frame by the bundle's rule of its look: that for frames seen whole, or that for frames with a region. The
first rows are those of a program that knows no regions. With `--little`, the float checkpoint behind the bundle is
measured too, on whole frames. With `--records`, what the models said is kept and used again.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

import cloud_server
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.policy import Policy
from edge_sdk.types import View
from edge_sdk.workbench.cascade.bootstrap import in_percent
from edge_sdk.workbench.cascade.exits import exits_of
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.recorder import write_records
from edge_sdk.workbench.records import Records
from edge_sdk.workbench.records_file import load_records
from edge_sdk.workbench.subjects import Subject, open_subject

BIG = Path(cloud_server.__file__).parent / "models" / "trailcam" / "model.safetensors"
LOOKS = (View.FRAME, View.REGION, View.BOTH)
DATA = "simulated://trailcam?seed=900&frames=3000&streams=1"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="trailcam", help="a bundle's folder, or the name of one that ships")
    parser.add_argument("--big", default=str(BIG), help="the big model's checkpoint")
    parser.add_argument("--little", help="the float checkpoint behind the bundle")
    parser.add_argument("--data", default=DATA, help="address of the pictures; the test split of it is used")
    parser.add_argument("--records", type=Path, help="folder of what the models said")
    options = parser.parse_args()
    bundle = open_bundle(options.bundle)
    policy = bundle.policy
    big = replace(open_subject(options.big), upload=policy.upload)
    subjects = [
        named(open_subject(str(bundle.path), view=View.BOTH), "little"),
        named(big, "big frame"),
        named(big.looking_at(View.REGION, policy.region_upload), "big region"),
    ]
    if options.little:
        subjects.append(named(open_subject(options.little), "float"))
    with TemporaryDirectory() as folder:
        paths = write_records(subjects, open_source(options.data, Split.TEST), options.records or Path(folder))
        little, frame, region, *rest = map(load_records, paths)
    looks = looks_of(little, frame, region, policy)
    moved = little.with_region
    title = f"{bundle.manifest.name} {bundle.manifest.version} on {options.data}"
    Console(width=200).print(look_table(title, little, looks, moved))
    Console(width=200).print(cascade_table(little, looks, frame, region, policy, View(bundle.manifest.view)))
    for one in rest:
        Console().print(f"float little, whole frames: {one.accuracy:.1%}")


def named(subject: Subject, name: str) -> Subject:
    """The same model under another name."""
    return replace(subject, info=msgspec.structs.replace(subject.info, model=name))


def seen_as(little: Records, view: View) -> Records:
    """The records as if the model had looked at this."""
    looks = little.looks
    assert looks is not None
    if view is View.BOTH:
        return little
    near = little.with_region if view is View.REGION else np.zeros(len(little), bool)
    return replace(little, looks=looks[:, [0, 0] if view is View.FRAME else [1, 1]], near=near)


def looks_of(little: Records, frame: Records, region: Records, policy: Policy) -> dict[str, np.ndarray]:
    """Class probabilities `(N, C)` of either model by look, the little one's at the temperature of its rule."""
    assert frame.probabilities is not None and region.probabilities is not None
    found = {f"little {view}": seen_as(little, view).calibrated_by(policy) for view in LOOKS}
    big = frame.probabilities.astype(np.float32), region.probabilities.astype(np.float32)
    return found | {"big frame": big[0], "big region": big[1], "big both": (big[0] + big[1]) / 2}


def look_table(title: str, little: Records, looks: dict[str, np.ndarray], moved: np.ndarray) -> Table:
    """Accuracy by look, in all lights and by light, with intervals over streams."""
    table = Table("frames", "number", *looks, title=f"{title}: accuracy, %", title_justify="left")
    assert little.groups is not None and little.sources is not None
    kinds = {"all": np.ones(len(little), bool), "with a region": moved, "without": ~moved}
    kinds |= {name: little.groups == name for name in sorted(set(little.groups.tolist()))}
    for name, chosen in kinds.items():
        rights = [(one.argmax(axis=1) == little.truths)[chosen] for one in looks.values()]
        table.add_row(name, str(int(chosen.sum())), *(in_percent(one, little.sources[chosen]) for one in rights))
    return table


def cascade_table(
    little: Records, looks: dict[str, np.ndarray], frame: Records, region: Records, policy: Policy, view: View
) -> Table:
    """The bundle's rules, with each view and each part that may travel; what ships is marked."""
    columns = ("little looks at", "sent", "little, %", "exits, %", "cascade, %", "big, %", "bytes an offloaded frame")
    table = Table(*columns, title="cascade, frame by frame, by the bundle's rules", title_justify="left")
    sources = little.sources
    assert sources is not None
    for seen in LOOKS:
        chances, records_of_look = looks[f"little {seen}"], seen_as(little, seen)
        exits = exits_of(policy, records_of_look, chances)
        near = records_of_look.with_region
        weight = np.where(near, policy.of_look(near=True).ensemble, policy.ensemble)[:, None]
        for sent, records in ((View.FRAME, frame), (View.REGION, region)):
            cloud, sizes = looks[f"big {sent}"], records.upload_bytes
            assert sizes is not None
            final = (weight * chances + (1 - weight) * cloud).argmax(axis=1)
            named = np.where(exits, chances.argmax(axis=1), final)
            ships = " (ships)" if seen is view and sent == policy.send else ""
            values = (chances.argmax(axis=1) == little.truths, exits, named == little.truths)
            table.add_row(
                f"{seen}{ships}",
                sent,
                *(in_percent(one, sources) for one in values),
                in_percent(cloud.argmax(axis=1) == little.truths, sources),
                f"{sizes[~exits].mean():,.0f}" if not exits.all() else "",
            )
    return table


if __name__ == "__main__":
    main()

"""Few-shot specialists of a big model on real photos: seven places, 4, 16 and 64 photos a class, three draws.

    python benchmarks/specialize.py --out wildlife [--jobs 2] [--shots 16 4 64] [--seeds 3] [--big resnet18]

OUT is the folder of benchmarks/wildlife.py, whose resnet18 (40 classes, its own test split) is the big model, unless
--big names another checkpoint in OUT. For each place: the specialist; the control, the same compression on as many
photos of all classes; and a network of the specialist's shape trained from nothing on the same photos; with 16 photos a
class its int8 bundles, and for the places of --variants other methods on the first draw. All are judged on the place's
validation and test photos, which no network has learned from. Stopped at any moment, the same command goes on where it
was; each part is kept in OUT/specialists (of another big model in OUT/specialists-NAME).
"""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from rich.console import Console
from specialize_jobs import PLACES, VARIANTS, Bench, kept, run
from specialize_tables import print_tables


def jobs(bench: Bench, options: argparse.Namespace) -> list[tuple[tuple[str, ...], tuple[Any, ...]]]:
    """All jobs, the most wanted first."""
    found: list[tuple[tuple[str, ...], tuple[Any, ...]]] = []
    for shots in options.shots:
        specialists, controls, scratches = [], [], []
        for seed in range(options.seeds):
            for place in options.places:
                name = (place, str(shots), str(seed))
                specialists.append((("specialist", *name), (place, shots, seed)))
                scratches.append((("scratch", *name), (place, shots, seed)))
            for count in sorted({len(PLACES[place]) * shots for place in options.places}):
                controls.append((("control", str(count), str(seed)), (count, seed)))
        found += specialists
        if "control" not in options.without:
            found += controls
        if "scratch" not in options.without:
            found += scratches
        if shots == 16:
            found += [(("nearest", place), (place,)) for place in options.places]
            found += [(("variant", place, kind), (place, kind)) for place in options.variants for kind in VARIANTS]
    return [job for job in found if not kept(bench.out, job[0]).exists()]


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("wildlife"), help="folder of benchmarks/wildlife.py")
    parser.add_argument("--big", default="resnet18", help="its checkpoint in --out, without .safetensors")
    parser.add_argument("--allow", nargs="+", default=[], help="operators that may run outside XNNPACK")
    parser.add_argument("--jobs", type=int, default=1, help="processes of one thread")
    parser.add_argument("--shots", type=int, nargs="+", default=[16, 4, 64])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--places", nargs="+", choices=PLACES, default=list(PLACES))
    parser.add_argument("--variants", nargs="*", choices=PLACES, default=["birds", "vehicles"])
    parser.add_argument("--without", nargs="+", choices=["control", "scratch"], default=[])
    parser.add_argument("--picture", type=Path, help="draw the accuracies as PNG")
    parser.add_argument("--tables", action="store_true", help="print what there is, and run nothing")
    options = parser.parse_args()
    console = Console(width=200)
    setting = (options.out, options.big, options.allow)
    bench = Bench(*setting)
    bench.out.mkdir(parents=True, exist_ok=True)
    if not options.tables:
        missing = jobs(bench, options)
        with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            futures = [pool.submit(run, setting, name, arguments) for name, arguments in missing]
            for number, future in enumerate(as_completed(futures)):
                console.print(f"{number + 1} of {len(missing)}: {' '.join(future.result())}")
    print_tables(bench, options, console)


if __name__ == "__main__":
    main()

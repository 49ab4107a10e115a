"""Size of a device install: the wheel and its base dependencies in a fresh virtual environment.

    python benchmarks/install_size.py

Builds the wheel from this source tree, installs it with what it needs and nothing else, and sums the sizes of the files
in site-packages, compiled Python included, per package.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import venv
from importlib.metadata import Distribution, distributions
from pathlib import Path

from rich.console import Console
from rich.table import Table

SOURCE = Path(__file__).resolve().parent.parent
PARTS = (
    ("ExecuTorch's kernels, optimised", "edge_sdk/_lib/libexecutorch_kernels_optimized"),
    ("XNNPACK", "edge_sdk/_lib/libexecutorch_backend_xnnpack"),
    ("ExecuTorch, the rest", "edge_sdk/_lib/"),
    ("edge_sdk._native", "edge_sdk/_native"),
    ("shipped little model", "edge_sdk/models/"),
    ("shipped big model", "cloud_server/models/"),
    ("Python", ""),
)


def megabytes(size: float) -> str:
    """MB of 10^6 bytes."""
    return f"{size / 1e6:.2f} MB"


def files(distribution: Distribution) -> dict[str, int]:
    """Size of each file of an installed package, by path."""
    sizes = {}
    for file in distribution.files or ():
        path = Path(str(distribution.locate_file(file)))
        if path.is_file():
            sizes[str(file)] = path.stat().st_size
    return sizes


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pip = [sys.executable, "-m", "pip"]
        subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, SOURCE], check=True)
        wheel = next(folder.glob("*.whl"))
        venv.create(folder / "venv", with_pip=False)
        subprocess.run([*pip, "--python", folder / "venv", "install", "--quiet", wheel], check=True)
        site = sysconfig.get_path("purelib", "venv", {"base": str(folder / "venv"), "platbase": str(folder / "venv")})
        sizes = {found.metadata["Name"]: files(found) for found in distributions(path=[site])}
        wheel_size = wheel.stat().st_size
    table = Table(
        title=f"Device install, {sysconfig.get_platform()}, Python {sys.version_info.major}.{sys.version_info.minor}"
    )
    table.add_column("")
    table.add_column("size", justify="right")
    for package, content in sorted(sizes.items(), key=lambda item: -sum(item[1].values())):
        table.add_row(package, megabytes(sum(content.values())))
        if package == "edge-cascade":
            left = dict(content)
            for part, prefix in PARTS:
                chosen = [file for file in left if file.startswith(prefix)]
                table.add_row(f"    {part}", megabytes(sum(left.pop(file) for file in chosen)))
    table.add_section()
    table.add_row("all", megabytes(sum(sum(content.values()) for content in sizes.values())))
    table.add_row(
        "of it, everything but numpy and OpenCV",
        megabytes(
            sum(
                sum(content.values())
                for name, content in sizes.items()
                if name not in ("numpy", "opencv-python-headless")
            )
        ),
    )
    table.add_row("the wheel, to download", megabytes(wheel_size))
    Console().print(table)


if __name__ == "__main__":
    main()

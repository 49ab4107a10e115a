"""Writes a wheel's bill of materials beside it, as CycloneDX: what it requires, and what is compiled into it.

    python scripts/bill_of_materials.py WHEEL MACHINE

Runs in the environment that scripts/wheels makes, which has cyclonedx-python-lib.
"""

from __future__ import annotations

import email
import hashlib
import re
import sys
import tomllib
import zipfile
from pathlib import Path

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Write it."""
    path, machine = Path(sys.argv[1]), sys.argv[2]
    licences = LicenseFactory()
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    bom = Bom()
    wheel = Component(
        name=metadata["Name"],
        version=metadata["Version"],
        type=ComponentType.LIBRARY,
        bom_ref=path.name,
        licenses=[licences.make_from_string("Apache-2.0")],
        purl=PackageURL("pypi", None, metadata["Name"], metadata["Version"], {"file_name": path.name}),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(path.read_bytes()).hexdigest())],
    )
    bom.metadata.component = wheel
    inside, required = [], []
    for name, about in tomllib.loads((ROOT / "licenses" / "components.toml").read_text()).items():
        if machine in about.get("machines", (machine,)):
            kind, *space, repository = about["source"].split("/")
            version = about.get("version")
            inside.append(
                Component(
                    name=name,
                    version=version,
                    type=ComponentType.LIBRARY,
                    bom_ref=name,
                    description="compiled into the wheel",
                    licenses=[licences.make_from_string(about["licence"])],
                    purl=PackageURL(kind, "/".join(space), repository, version),
                )
            )
    for line in metadata.get_all("Requires-Dist", []):
        if "extra ==" not in line:
            name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
            required.append(
                Component(
                    name=name,
                    type=ComponentType.LIBRARY,
                    bom_ref=line,
                    description=f"required, not inside: {line}",
                    purl=PackageURL("pypi", None, name),
                )
            )
    for component in (*inside, *required):
        bom.components.add(component)
    bom.register_dependency(wheel, [*inside, *required])
    out = path.with_suffix(".cdx.json")
    out.unlink(missing_ok=True)
    make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_to_file(str(out), indent=1)


if __name__ == "__main__":
    main()

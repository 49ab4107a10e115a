"""Several models, with what each answers by: `[[models]]` in a file of its own, or in the config file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud_server.config import MOST
from cloud_server.model.big import ENGINES
from cloud_server.model.looks import Look
from cloud_server.toml_file import TomlFile, meant, read_toml
from edge_sdk.networks.model_name import is_file_name, join_name, split_name

TABLE = "models"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "name": (str, "a name of letters, digits, dots and dashes, as the devices' bundle has it"),
    "weights": (str, "a shipped model, a file of weights, a bundle, or a timm name, as --model"),
    "label_map": (str, "a JSON file"),
    "label_group": (str, "animals or coarse"),
    "look": (str, f"one of {', '.join(Look)}"),
    "engine": (str, f"one of {', '.join(ENGINES)}"),
    "max_batch": (int, f"a number from 1 to {MOST['max_batch']}"),
    "archive": (str, "a folder"),
    "share": ((int, float), "a share of devices above 0 and below 1"),
}
_GROUPS = ("animals", "coarse")


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model of the file.

    Attributes:
        name: that devices ask for.
        weights: as `ServerConfig.model`.
        label_map: as there.
        label_group: as there.
        look: as there; "": the server's.
        engine: as there; "": the server's.
        max_batch: as there; 0: the server's.
        archive: folder of its own frame archive; None: its frames go to the server's, where there is one.
        share: of the devices that ask for this name; None: all that no share takes.
    """

    name: str
    weights: str
    label_map: Path | None = None
    label_group: str = ""
    look: str = ""
    engine: str = ""
    max_batch: int = 0
    archive: Path | None = None
    share: float | None = None


def read_models(path: Path, *, alone: bool = True, archive: Path | None = None) -> list[ModelEntry]:
    """Read the file.

    Args:
        path: the file.
        alone: it has models and nothing else; False: it is a config file, whose other keys are not looked at.
        archive: folder of the server's frame archive, for models that have none of their own; None: there is none.

    Raises:
        ConfigError: it cannot be read, or something in it cannot be used: each with its line.
    """
    file = read_toml(path, "models file" if alone else "config file")
    for name in file.data if alone else ():
        if name != TABLE:
            file.blame(f"expected [[{TABLE}]] tables alone; got {name!r}", name)
    found = entries_of(file, archive)
    file.refuse()
    return found


def entries_of(file: TomlFile, archive: Path | None = None) -> list[ModelEntry]:
    """The models of a file; what cannot be used is written down as its fault, and then there is none.

    Args:
        file: the file.
        archive: as `read_models`.
    """
    before = len(file.faults)
    tables = file.data.get(TABLE, [])
    if not isinstance(tables, list) or not tables or not all(isinstance(one, dict) for one in tables):
        file.blame(f"expected at least one [[{TABLE}]] table", TABLE)
        return []
    for number, table in enumerate(tables):
        _check(file, number, table)
    if len(file.faults) > before:
        return []
    found = [_entry(file.folder, table) for table in tables]
    _check_shares(file, found)
    _check_archives(file, found, archive)
    return found if len(file.faults) == before else []


def beside(folder: Path, weights: str) -> str:
    """A model's name as a file has it: of weights or a bundle beside the file, or nowhere at all, the path there."""
    arch, name = split_name(weights)
    path = folder / name
    is_missing = is_file_name(weights) and not Path(name).exists()
    return join_name(arch, path) if not Path(name).is_absolute() and (path.exists() or is_missing) else weights


def _check(file: TomlFile, number: int, table: dict[str, Any]) -> None:
    where = TABLE, number
    for key in ("name", "weights"):
        if key not in table:
            file.blame(f"expected {key} in each [[{TABLE}]]: {_KINDS[key][1]}", *where)
    for key, value in table.items():
        if key not in _KINDS:
            file.blame(f"expected one of {', '.join(_KINDS)}; got {key!r}{meant(key, _KINDS)}", *where, key)
        elif not _fits(key, value):
            near = meant(value, {"look": tuple(Look), "engine": ENGINES, "label_group": _GROUPS}.get(key, ()))
            file.blame(f"expected {key} as {_KINDS[key][1]}; got {value!r:.80}{near}", *where, key)
    if "label_map" in table and "label_group" in table:
        file.blame("expected label_map or label_group, not both", *where, "label_group")


def _entry(folder: Path, table: dict[str, Any]) -> ModelEntry:
    values = table | {"weights": beside(folder, table["weights"])}
    for key in ("label_map", "archive"):
        if key in values:
            values[key] = folder / values[key]
    return ModelEntry(**values)


def _fits(key: str, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, _KINDS[key][0]):
        return False
    given: Any = value
    if key == "name":
        return bool(_NAME.fullmatch(given))
    if key == "look":
        return given in tuple(Look)
    if key == "engine":
        return given in ENGINES
    if key == "label_group":
        return given in _GROUPS
    if key == "max_batch":
        return bool(1 <= given <= MOST["max_batch"])
    return bool(0 < given < 1) if key == "share" else bool(given)


def _check_shares(file: TomlFile, found: list[ModelEntry]) -> None:
    for name in dict.fromkeys(one.name for one in found):
        places = [number for number, one in enumerate(found) if one.name == name]
        whole = [number for number in places if found[number].share is None]
        shares = sum(found[number].share or 0 for number in places)
        if len(whole) != 1:
            file.blame(
                f"expected exactly one {name!r} without a share, for the devices that no share takes; got {len(whole)}",
                *(TABLE, (whole or places)[-1]),
            )
        elif shares >= 1:
            file.blame(f"expected shares of {name!r} below 1 in all; got {shares:g}", *(TABLE, places[-1]))


def _check_archives(file: TomlFile, found: list[ModelEntry], archive: Path | None) -> None:
    """A frame archive has one writer, and counts all that lies in its folder."""
    taken: list[tuple[Path, str]] = [] if archive is None else [(archive.resolve(), "the server")]
    for number, one in enumerate(found):
        if one.archive is None:
            continue
        folder = one.archive.resolve()
        for other, name in taken:
            if folder == other or folder in other.parents or other in folder.parents:
                words = f"expected a folder of its own as archive of {one.name!r}, outside that of {name}"
                file.blame(f"{words}; got {one.archive} beside {other}", TABLE, number, "archive")
        taken.append((folder, repr(one.name)))

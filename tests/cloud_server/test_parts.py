from __future__ import annotations

import asyncio
import json
from pathlib import Path

from gated_model import GatedModel

from cloud_server import parts
from cloud_server.config import ServerConfig


def test_the_version_changes_with_the_model_and_with_the_label_map(tmp_path: Path) -> None:
    mapping = tmp_path / "map.json"
    mapping.write_text(json.dumps({"red fox": "fox", "grey fox": "fox"}))
    model, other = GatedModel(), GatedModel()
    other.fingerprint = "other weights"
    plain = parts.label_map_of(ServerConfig(), model)
    mapped = parts.label_map_of(ServerConfig(label_map=mapping), model)
    versions = {parts.version_of(*pair) for pair in ((model, plain), (other, plain), (model, mapped))}
    assert len(versions) == 3
    assert parts.version_of(model, plain) in versions
    assert list(parts.describe(model, mapped).labels) == ["fox", "deer"]


def test_cache_and_archive_are_there_where_the_settings_name_a_folder(tmp_path: Path) -> None:
    model = GatedModel()
    labels = parts.label_map_of(ServerConfig(), model)
    assert parts.frame_archive(ServerConfig(), model, labels, "1") is None
    archive = parts.frame_archive(ServerConfig(archive=tmp_path / "archive"), model, labels, "1")
    assert archive is not None
    archive.close()
    for state in (None, tmp_path / "state"):
        asyncio.run(parts.reply_cache(ServerConfig(state=state), "1", labels).close())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "state"]
    assert (tmp_path / "state" / "answers.db").is_file()


def test_devices_are_asked_for_probabilities_where_the_model_reads_them() -> None:
    model = GatedModel()
    labels = parts.label_map_of(ServerConfig(), model)
    assert not parts.describe(model, labels).reads_probabilities
    model.reads_little = True  # type: ignore[attr-defined]
    assert parts.describe(model, labels).reads_probabilities

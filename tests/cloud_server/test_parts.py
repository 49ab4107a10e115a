from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from gated_model import GatedModel

from cloud_server import parts
from cloud_server.config import ServerConfig
from edge_sdk.errors import ConfigError
from edge_sdk.networks.label_groups import group_names
from edge_sdk.networks.labels import imagenet_labels


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
    assert list(parts.describe(ServerConfig(), model, mapped).labels) == ["fox", "deer"]


def test_imagenets_classes_are_led_to_groups_that_come_with_the_package() -> None:
    model = GatedModel()
    model.labels = imagenet_labels()
    labels = parts.label_map_of(ServerConfig(label_group="animals"), model)
    assert set(labels.labels) == set(group_names("animals"))
    chances = np.zeros(1000, np.float32)
    chances[[281, 283]] = 0.5  # tabby, Persian cat
    assert labels.apply(chances)[labels.labels.index("cat")] == 1
    with pytest.raises(ConfigError, match="it has no 'tench'"):
        parts.label_map_of(ServerConfig(label_group="animals"), GatedModel())


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
    assert not parts.describe(ServerConfig(), model, labels).reads_probabilities
    model.reads_little = True  # type: ignore[attr-defined]
    assert parts.describe(ServerConfig(), model, labels).reads_probabilities

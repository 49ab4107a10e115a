from __future__ import annotations

from pathlib import Path

import pytest

from cloud_server.models_file import ModelEntry, read_models
from edge_sdk.errors import ConfigError

GOOD = """
[[models]]
name = "trailcam"
weights = "trailcam"

[[models]]            # a tenth of the devices
name = "trailcam"
weights = "new.safetensors"
label_map = "map.json"
share = 0.1
max_batch = 8
"""


def test_models_are_read_and_paths_are_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(GOOD)
    assert read_models(path) == [
        ModelEntry("trailcam", "trailcam"),
        ModelEntry("trailcam", str(tmp_path / "new.safetensors"), tmp_path / "map.json", share=0.1, max_batch=8),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r":1: expected at least one \[\[models\]\] table"),
        ("a = 1\n[[models]\n", r":2: expected TOML"),
        ('host = "x"\n' + GOOD, r":1: expected \[\[models\]\] tables alone; got 'host'"),
        (GOOD.replace('weights = "trailcam"', ""), r":2: expected weights in each"),
        (GOOD + "speed = 1\n", r":12: expected one of name, weights, .*; got 'speed'"),
        (GOOD.replace("0.1", "1.5"), r":10: expected share as a share of devices above 0 and below 1; got 1.5"),
        (GOOD.replace("8", "true"), r":11: expected max_batch as a number from 1 to 65536; got True"),
        (GOOD.replace("share = 0.1\n", ""), r":6: expected exactly one 'trailcam' without a share, .*; got 2"),
        (GOOD.replace('"trailcam"', '"a b"', 1), r":3: expected name as a name of letters"),
        (GOOD + 'label_group = "animals"\n', r":12: expected label_map or label_group, not both"),
        (GOOD + '[[models]]\nname = "trailcam"\nweights = "x"\nshare = 0.95\n', r":12: expected shares of .* below 1"),
    ],
)
def test_faults_are_told_with_their_lines(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_models(path)

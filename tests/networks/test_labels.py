import json
from pathlib import Path

import pytest

from edge_sdk.errors import ConfigError
from edge_sdk.networks.labels import imagenet_labels, imagenet_wnids, read_labels

NAMES = ("red fox", "roe deer", "räuber")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.txt", "red fox\nroe deer\nräuber\n\n"),
        ("l.txt", "\ufeffred fox\r\nroe deer\r\nräuber"),
        ("l.json", json.dumps(NAMES)),
        ("l.txt", json.dumps(NAMES)),
        ("l.json", json.dumps({"0": "red fox", "2": "räuber", "1": "roe deer"})),
        ("l.json", json.dumps({"räuber": 2, "red fox": 0, "roe deer": 1})),
        ("l.csv", "red fox\nroe deer\nräuber\n"),
        ("l.csv", "name\nred fox\nroe deer\nräuber\n"),
        ("l.csv", "index,name\n0,red fox\n2,räuber\n1,roe deer\n"),
        ("l.csv", "0,red fox\n1,roe deer\n2,räuber\n"),
        ("l.csv", "name;id\nred fox;0\nroe deer;1\nräuber;2\n"),
        ("l.tsv", "0\tred fox\n1\troe deer\n2\träuber\n"),
    ],
)
def test_forms(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_labels(tmp_path / name) == NAMES


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("l.txt", "", "two classes or more"),
        ("l.txt", "fox\n", "two classes or more"),
        ("l.txt", "fox\n\ndeer\n", "a name for each class"),
        ("l.txt", "fox\nfox\n", "'fox' stands there twice"),
        ("l.json", "[1, 2]", "a name for each class"),
        ("l.json", "[", "expected JSON"),
        ("l.json", '{"fox": "a", "deer": "b"}', "got the key 'fox'"),
        ("l.json", '{"0": "a", "2": "b"}', "indices 0 to 1 once each"),
        ("l.json", '{"a": 0, "b": 0}', "indices 0 to 1 once each"),
        ("l.csv", "a,b\nc,d\n", "a column of indices"),
    ],
)
def test_errors(name: str, text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_labels(tmp_path / name)


def test_imagenets_classes_are_a_thousand_with_their_ids() -> None:
    assert len(set(imagenet_labels())) == len(set(imagenet_wnids())) == 1000
    assert (imagenet_labels()[1], imagenet_wnids()[1]) == ("goldfish", "n01443537")
    assert [name for name in imagenet_labels() if name.startswith("crane")] == [
        "crane (n02012849)",
        "crane (n03126707)",
    ]

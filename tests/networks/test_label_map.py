from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import ConfigError
from edge_sdk.networks.label_map import make_label_map, read_label_map

FINE = ("red fox", "grey fox", "roe deer", "wolf", "tractor")
NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f"])


@given(
    st.lists(NAMES, min_size=1, unique=True),
    st.dictionaries(NAMES, NAMES),
    st.none() | NAMES,
    st.randoms(use_true_random=False),
)
def test_it_sums_like_a_loop(fine: list[str], wanted: dict[str, str], rest: str | None, random: object) -> None:
    mapping = {name: coarse for name, coarse in wanted.items() if name in fine}
    if rest is not None:
        mapping["*"] = rest
    probabilities = np.random.default_rng(len(fine)).dirichlet(np.ones(len(fine))).astype(np.float32)
    expected: dict[str, float] = {}
    for name, probability in zip(fine, probabilities, strict=True):
        coarse = mapping.get(name) or mapping.get("*") or name
        expected[coarse] = expected.get(coarse, 0.0) + float(probability)

    label_map = make_label_map(fine, mapping)
    coarse_probabilities = label_map.apply(probabilities)

    assert set(label_map.labels) == set(expected) and len(label_map.labels) == len(expected)
    assert coarse_probabilities.dtype == np.float32
    for label, probability in zip(label_map.labels, coarse_probabilities, strict=True):
        assert probability == pytest.approx(expected[label], abs=1e-6)


def test_without_a_mapping_all_stays_as_it_is() -> None:
    label_map = make_label_map(FINE, {})
    probabilities = np.array([0.1, 0.2, 0.3, 0.4, 0.0], np.float32)
    assert label_map.labels == FINE
    assert np.array_equal(label_map.apply(probabilities), probabilities)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_gives_the_order(tmp_path: Path) -> None:
    path = write(
        tmp_path / "map.json", json.dumps({"wolf": "canid", "*": "other", "red fox": "canid", "roe deer": "deer"})
    )
    assert read_label_map(path, FINE).labels == ("canid", "other", "deer")
    assert read_label_map(write(path, '{"wolf": "canid", "red fox": "canid"}'), FINE).labels == (
        "canid",
        "grey fox",
        "roe deer",
        "tractor",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"red foxx": "fox"}', r"map.json: .*'red foxx' \(close: red fox, grey fox\)"),
        ('{"red fox": "fox", "red fox": "dog"}', "'red fox' is named twice"),
        ('{"red fox": 3}', "coarse label .text. for 'red fox' in .*map.json; got 3"),
        ('{"red fox": ""}', "coarse label"),
        ('["red fox"]', "got .'red fox'."),
        ("{}", "got {}"),
        ("{", "JSON object"),
    ],
)
def test_a_bad_file_says_what_was_expected(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_label_map(write(tmp_path / "map.json", text), FINE)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json: No such file"):
        read_label_map(tmp_path / "none.json", FINE)


def test_many_unknown_names_are_counted() -> None:
    with pytest.raises(ConfigError, match="and 3 more"):
        make_label_map(FINE, {str(number): "x" for number in range(8)})


class CountedPasses(tuple[str, ...]):
    """Labels that count how often someone goes over all of them."""

    passes = 0

    def __iter__(self) -> Iterator[str]:
        type(self).passes += 1
        return super().__iter__()


def test_twenty_thousand_labels_take_a_few_passes_and_not_one_for_each(tmp_path: Path) -> None:
    fine = CountedPasses(f"species {number}" for number in range(21_841))
    mapping = {f"species {number}": f"genus {number // 20}" for number in range(21_841)}
    assert len(make_label_map(fine, mapping).labels) == 1_093
    with pytest.raises(ConfigError, match=r"it has no 'x 0', 'x 1', .* and 19995 more"):
        make_label_map(fine, {f"x {number}": "y" for number in range(20_000)})
    assert CountedPasses.passes <= 6
    path = tmp_path / "map.json"
    path.write_text("{" + ",".join(f'"{name}": "a"' for name in [*mapping, "species 21840"]) + "}")
    with pytest.raises(ConfigError, match="'species 21840' is named twice"):
        read_label_map(path, fine)


def test_a_file_of_an_editor_of_windows_is_taken_or_explained(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    text = '{\r\n"wolf": "räuber",\r\n"*": "other"}\r\n'
    path.write_text(text, "utf-8-sig")
    assert read_label_map(path, FINE).labels == ("räuber", "other")
    path.write_text(text, "cp1252", newline="")
    with pytest.raises(ConfigError, match=r"expected UTF-8 in the label map .*map\.json; line 2 has the byte 0xe4"):
        read_label_map(path, FINE)
    path.write_text(text, "utf-16")
    with pytest.raises(ConfigError, match="it is UTF-16: save it as UTF-8"):
        read_label_map(path, FINE)


def test_what_is_no_such_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ConfigError, match="expected a JSON object in the label map"):
        read_label_map(tmp_path / "deep.json", FINE)
    with pytest.raises(ConfigError, match="it is a folder"):
        read_label_map(tmp_path, FINE)
    with pytest.raises(ConfigError, match="cannot read the label map"):
        read_label_map(tmp_path / "none.json", FINE)

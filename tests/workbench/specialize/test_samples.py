"""The few pictures: which are drawn, how they are read, and whose classes they are."""

from __future__ import annotations

import logging
from pathlib import Path
from random import Random

import cv2
import little_task
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.read import read_image
from edge_sdk.model.inputs import prepare
from edge_sdk.workbench.specialize.samples import (
    Samples,
    class_files,
    draw_shots,
    first,
    joined,
    members_of,
    read_samples,
    read_unlabelled,
    with_views,
)
from edge_sdk.workbench.tensors import to_tensor


def names(label: str, count: int) -> list[Path]:
    return [Path("/data") / label / f"{number}.jpg" for number in range(count)]


@settings(max_examples=50)
@given(st.integers(1, 10), st.integers(1, 10), st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_fewer_shots_are_a_part_of_more(one: int, other: int, seed: int, random: Random) -> None:
    few, many = sorted((one, other))
    files = {"fox": names("fox", 10), "deer": names("deer", 12)}
    used, rest = draw_shots(files, few, seed)
    more, _ = draw_shots(files, many, seed)
    for label, paths in files.items():
        assert used[label] == more[label][:few] and len(used[label]) == few
        assert sorted([*used[label], *rest[label]]) == sorted(paths)
        mixed = paths[:]
        random.shuffle(mixed)
        assert draw_shots({label: mixed}, few, seed)[0][label] == used[label]


def test_the_draw_depends_on_the_seed_and_not_on_where_the_folder_lies() -> None:
    files = {"fox": names("fox", 100)}
    draws = [tuple(draw_shots(files, 10, seed)[0]["fox"]) for seed in range(20)]
    assert len(set(draws)) == 20
    moved = [Path("/elsewhere") / path.relative_to("/data") for path in files["fox"]]
    assert [path.name for path in draw_shots({"fox": moved}, 10, 3)[0]["fox"]] == [path.name for path in draws[3]]
    assert draw_shots({"fox": names("fox", 3), "owl": []}, 0, 0)[0] == {"fox": [], "owl": []}


def test_all_classes_with_too_few_pictures_are_named() -> None:
    files = {"fox": names("fox", 5), "deer": names("deer", 2), "owl": names("owl", 0)}
    with pytest.raises(WorkbenchError, match=r"expected 4 pictures of each class; deer has 2, owl has 0.*classes out"):
        draw_shots(files, 4, 0)
    with pytest.raises(WorkbenchError, match=r"deer has 2.*leave the class out"):
        draw_shots({"fox": files["fox"], "deer": files["deer"]}, 4, 0)


def test_classes_are_the_folders(tmp_path: Path) -> None:
    made = little_task.write_pictures(tmp_path, little_task.squares(2, ("red", "green")))
    (tmp_path / "red" / "deep").mkdir()
    deep = tmp_path / "red" / "deep" / "a.PNG"
    deep.write_bytes(made["red"][0].read_bytes())
    (tmp_path / "red" / ".hidden.png").write_bytes(b"")
    (tmp_path / "red" / "notes.txt").write_text("no picture")
    (tmp_path / "cover.png").write_bytes(deep.read_bytes())
    assert class_files(tmp_path) == {"green": made["green"], "red": [*made["red"], deep]}
    with pytest.raises(WorkbenchError, match=r"there is no .*none"):
        class_files(tmp_path / "none")
    with pytest.raises(WorkbenchError, match=r"two classes or more.*got deep"):
        class_files(tmp_path / "red")
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorkbenchError, match=r"two classes or more.*got none"):
        class_files(tmp_path / "empty")


def test_a_class_may_be_a_link_and_hidden_folders_are_none(tmp_path: Path) -> None:
    made = little_task.write_pictures(tmp_path / "all", little_task.squares(2, ("red", "green")))
    (tmp_path / "all" / ".checkpoints").mkdir()
    (tmp_path / "all" / ".checkpoints" / "red.png").write_bytes(made["red"][0].read_bytes())
    task = tmp_path / "task"
    task.mkdir()
    for label in (*made, ".checkpoints"):
        (task / label).symlink_to(tmp_path / "all" / label)
    assert {name: len(paths) for name, paths in class_files(task).items()} == {"green": 2, "red": 2}


def test_pictures_are_prepared_as_on_the_device(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = little_task.write_pictures(tmp_path, little_task.squares(2, ("red", "green"), side=50))
    broken = tmp_path / "red" / "broken.jpg"
    broken.write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING):
        found = read_samples({**files, "red": [*files["red"], broken]}, little_task.SPEC)
    assert "left out: " in caplog.text and "broken.jpg" in caplog.text
    assert (len(found), found.labels, found.truths.tolist()) == (4, ("red", "green"), [0, 0, 1, 1])
    assert found.images.shape == (4, 32, 32, 3) and found.images.dtype == np.uint8
    assert np.array_equal(found.images[3], prepare(read_image(files["green"][1]).image, little_task.SPEC))
    with pytest.raises(WorkbenchError, match="pictures that can be read; got none"):
        read_samples({"red": [broken]}, little_task.SPEC)


def test_generic_pictures_come_from_anywhere_below(tmp_path: Path) -> None:
    little_task.write_pictures(tmp_path / "deep", little_task.squares(3, ("red", "green")))
    cv2.imwrite(str(tmp_path / "top.png"), np.zeros((8, 8, 3), np.uint8))
    found = read_unlabelled(tmp_path, 5, little_task.SPEC, 0)
    assert (len(found), found.labels, set(found.truths.tolist())) == (5, (), {-1})
    assert np.array_equal(read_unlabelled(tmp_path, 5, little_task.SPEC, 0).images, found.images)
    draws = {read_unlabelled(tmp_path, 3, little_task.SPEC, seed).images.tobytes() for seed in range(8)}
    assert len(draws) > 1
    with pytest.raises(WorkbenchError, match=r"expected 8 pictures in .*; got 7"):
        read_unlabelled(tmp_path, 8, little_task.SPEC, 0)
    assert len(read_unlabelled(tmp_path, 8, little_task.SPEC, 0, fewer=True)) == 7
    (tmp_path / "none").mkdir()
    with pytest.raises(WorkbenchError, match=r"expected pictures in .*none; got 0"):
        read_unlabelled(tmp_path / "none", 8, little_task.SPEC, 0, fewer=True)


def test_pictures_without_a_class_follow_those_with_one() -> None:
    samples, others = little_task.squares(2, ("red", "green")), little_task.noise(3)
    found = joined(samples, others)
    assert found.labels == samples.labels and found.truths.tolist() == [*samples.truths.tolist(), -1, -1, -1]
    assert np.array_equal(found.images, np.concatenate([samples.images, others.images]))
    assert joined(samples, None) is samples


@pytest.mark.parametrize(("count", "whole"), [(40, 40), (12, 12), (1, 12), (10_000, 16 * 12), (31, 36)])
def test_views_follow_the_pictures_themselves(count: int, whole: int) -> None:
    samples = little_task.squares(3)
    seen = with_views(samples, count, 5)
    assert len(seen) == whole if count != 40 else len(seen) == 36
    head = {(image.tobytes(), truth) for image, truth in zip(seen.images[:12], seen.truths[:12], strict=True)}
    assert head == {(image.tobytes(), truth) for image, truth in zip(samples.images, samples.truths, strict=True)}
    assert seen.truths.tolist() == (len(seen) // 12) * seen.truths[:12].tolist()
    assert len({image.tobytes() for image in seen.images}) == len(seen)
    again = with_views(samples, count, 5)
    assert np.array_equal(again.images, seen.images) and again.labels == samples.labels
    assert not np.array_equal(with_views(samples, count, 6).images[:12], seen.images[:12])


def test_batches_are_in_order_and_prepared() -> None:
    samples = little_task.squares(3)
    batches = list(samples.batches(little_task.SPEC, 5))
    assert [len(batch) for batch in batches] == [5, 5, 2]
    assert np.array_equal(np.concatenate(batches), to_tensor(samples.images, little_task.SPEC))
    few = first(samples, 5)
    assert len(few) == 5 and np.array_equal(few.images, samples.images[:5]) and few.truths.tolist() == [0, 0, 0, 1, 1]
    assert len(first(samples, 99)) == 12


BIG = ("red fox", "kit fox", "red deer", "owl", "crane (bird)")


def test_classes_of_the_same_name() -> None:
    assert members_of(("owl", "red fox"), BIG, {}) == ((3,), (0,))


def test_a_map_brings_several_classes_together() -> None:
    mapping = {"red fox": "fox", "kit fox": "fox", "red deer": "deer"}
    assert members_of(("deer", "fox", "owl"), BIG, mapping) == ((2,), (0, 1), (3,))
    assert members_of(("fox", "other"), BIG, {"red fox": "fox", "*": "other"}) == ((0,), (1, 2, 3, 4))


def test_unknown_classes_are_told_with_close_names() -> None:
    with pytest.raises(WorkbenchError, match=r"it has no 'read fox' \(close: red fox.*\), 'xyz'\. Rename the folders"):
        members_of(("read fox", "xyz", "owl"), BIG, {})
    with pytest.raises(WorkbenchError, match=r"in the label map; it has no 'read deer' \(close: red deer"):
        members_of(("owl",), BIG, {"read deer": "deer"})
    with pytest.raises(WorkbenchError, match=r"'a', 'b', 'c', 'd', 'e' and 2 more"):
        members_of(tuple("abcdefg"), BIG, {})
    with pytest.raises(WorkbenchError, match="no 'red fox'"):  # it is called otherwise now
        members_of(("red fox",), BIG, {"red fox": "fox"})


def test_samples_are_frozen() -> None:
    samples = Samples(np.zeros((1, 2, 2, 3), np.uint8), np.zeros(1, np.int64), ("a",))
    with pytest.raises(AttributeError):
        samples.labels = ("b",)  # type: ignore[misc]


def test_of_several_looks_at_a_picture_the_mean_of_the_probabilities_counts() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        counts = rng.integers(1, 4, 12)
        pictures = np.repeat(np.arange(12), counts)
        truths = rng.integers(0, 3, 12)
        logits = rng.normal(0, 2, (len(pictures), 3)).astype(np.float32)
        samples = Samples(np.zeros((len(pictures), 2, 2, 3), np.uint8), truths[pictures], ("a", "b", "c"), pictures)
        weights = np.exp(logits.astype(np.float64))
        chances = weights / weights.sum(axis=1, keepdims=True)
        means = [chances[pictures == number].mean(axis=0) for number in range(12)]
        assert samples.right(logits).tolist() == [
            int(mean.argmax()) == truth for mean, truth in zip(means, truths, strict=True)
        ]
        assert samples.count == 12 and len(samples) == len(pictures)
    plain = Samples(samples.images, samples.truths, samples.labels)
    assert plain.right(logits).tolist() == (logits.argmax(axis=1) == samples.truths).tolist()

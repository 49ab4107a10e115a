from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.pseudo_labels import PseudoLabel, choose, read_pseudo_labels

DAY = "2026-11-21"


def fill(root: Path, *lines: object) -> None:
    """A folder whose lines are `lines`: JSON objects, or text as it is; each file that an object names is made."""
    text = []
    for line in lines:
        text.append(line if isinstance(line, str) else json.dumps(line))
        if isinstance(line, dict):
            (root / line["file"]).parent.mkdir(parents=True, exist_ok=True)
            (root / line["file"]).write_bytes(b"picture")
    (root / "answers.jsonl").write_text("\n".join(text) + "\n")


def line(name: str, label: str = "fox", confidence: float = 0.9, **more: object) -> dict[str, Any]:
    return {"file": f"{DAY}/{name}.jpg", "label": label, "confidence": confidence, **more}


def test_sure_frames_are_read_in_order(tmp_path: Path) -> None:
    fill(tmp_path, line("b", device="cam"), line("a", "deer", 0.8), line("c", "deer", 0.79))
    assert read_pseudo_labels(str(tmp_path)) == [
        PseudoLabel(tmp_path / DAY / "b.jpg", "fox", 0.9),
        PseudoLabel(tmp_path / DAY / "a.jpg", "deer", 0.8),
    ]
    assert len(read_pseudo_labels(tmp_path, min_confidence=0.0)) == 3
    with pytest.raises(WorkbenchError, match=r"min_confidence from 0 to 1; got 80"):
        read_pseudo_labels(tmp_path, min_confidence=80)


def test_lines_that_cannot_be_used_are_skipped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, line("a"), line("gone"), line("empty"), line("b"))
    (tmp_path / DAY / "gone.jpg").unlink()
    (tmp_path / DAY / "empty.jpg").write_bytes(b"")
    bad: list[Any] = [
        "",  # no line at all
        '{"file": "2026-11-21/a.jpg", "label": "fo',
        "[1, 2]",
        '{"label": "fox", "confidence": 1}',
        line("a", confidence=1.5),
        '{"file": "a.jpg", "label": "fox", "confidence": NaN}',
        '{"file": "a.jpg", "label": "fox", "confidence": true}',
        '{"file": "a.jpg", "label": "fox", "confidence": 1' + "0" * 400 + "}",
        '{"file": "a\\u0000.jpg", "label": "fox", "confidence": 1}',
        '{"file": "\\ud800.jpg", "label": "fox", "confidence": 1}',
        '{"file": "a.jpg", "label": "", "confidence": 1}',
        '{"file": "' + "a" * 5000 + '.jpg", "label": "fox", "confidence": 1}',
        "[" * 100_000,
    ]
    with (tmp_path / "answers.jsonl").open("a") as file:
        file.writelines((text if isinstance(text, str) else json.dumps(text)) + "\n" for text in bad)
    with (tmp_path / "answers.jsonl").open("ab") as raw:
        raw.write(b'{"file": "\xff.jpg", "label": "fox", "confidence": 1}')
    with caplog.at_level(logging.WARNING):
        assert [frame.path.stem for frame in read_pseudo_labels(tmp_path)] == ["a", "b"]
    assert "12 lines were skipped that cannot be read" in caplog.text
    assert "3 lines were skipped whose file is missing or empty" in caplog.text


def test_a_table_made_by_hand_has_the_last_word(tmp_path: Path) -> None:
    fill(tmp_path, line("a"), line("b"), line("b", confidence=0.95))
    (tmp_path / "own.png").write_bytes(b"picture")
    table = f"\ufefflabel,confidence,file,note\ndeer,1,{DAY}/../{DAY}/a.jpg,no fox\nboar,0.85,own.png\nboar,?,own.png\n"
    (tmp_path / "answers.csv").write_text(table)
    assert [(frame.label, frame.confidence) for frame in read_pseudo_labels(tmp_path)] == [
        ("deer", 1.0),
        ("fox", 0.95),
        ("boar", 0.85),
    ]
    (tmp_path / "answers.jsonl").unlink()
    assert [frame.label for frame in read_pseudo_labels(tmp_path)] == ["deer", "boar"]


def test_a_folder_without_answers_is_explained(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(WorkbenchError, match=r"answers\.jsonl .* or answers\.csv .* has neither"):
            read_pseudo_labels(folder)
    (tmp_path / "answers.csv").write_text("file,class\na.jpg,fox\n")
    with pytest.raises(WorkbenchError, match=r"columns file, label, confidence in .*; it lacks label, confidence"):
        read_pseudo_labels(tmp_path)
    (tmp_path / "answers.csv").write_text("")
    with pytest.raises(WorkbenchError, match="it lacks file, label, confidence"):
        read_pseudo_labels(tmp_path)


@pytest.mark.parametrize(
    "file", ["../outside.jpg", "{root}/outside.jpg", "link/outside.jpg", "linked.jpg", "loop/../.."]
)
def test_a_file_outside_the_folder_is_refused(tmp_path: Path, file: str) -> None:
    root = tmp_path / "kept"
    root.mkdir()
    (tmp_path / "outside.jpg").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path)
    (root / "linked.jpg").symlink_to(tmp_path / "outside.jpg")
    (root / "loop").symlink_to(root / "loop")
    name = file.format(root=tmp_path)
    (root / "answers.jsonl").write_text(json.dumps({"file": name, "label": "fox", "confidence": 0.1}))
    with pytest.raises(WorkbenchError, match=r"expected files inside .*kept; line 1 of .*answers\.jsonl names"):
        read_pseudo_labels(root)


def test_a_path_within_the_folder_may_be_absolute(tmp_path: Path) -> None:
    fill(tmp_path, line("a"))
    name = str(tmp_path / DAY / "a.jpg")
    (tmp_path / "answers.jsonl").write_text(json.dumps({"file": name, "label": "fox", "confidence": 1}))
    assert read_pseudo_labels(tmp_path) == [PseudoLabel(Path(name), "fox", 1.0)]


def at(seconds: float, label: str = "fox", confidence: float = 0.9, number: int = 0) -> PseudoLabel:
    """A frame whose name tells its time."""
    milliseconds = 1_790_000_000_000 + int(seconds * 1000)
    return PseudoLabel(Path(f"{milliseconds:012x}7{number:019x}.jpg"), label, confidence)


def seconds_of(path: Path) -> float:
    return (int(path.stem[:12], 16) - 1_790_000_000_000) / 1000


def test_each_burst_gives_a_frame_before_one_gives_a_second() -> None:
    visits = [[at(start + second) for second in range(0, length, 10)] for start, length in [(0, 2000), (5000, 50)]]
    frames = [*visits[0], at(9000), *visits[1]]
    for seed in range(20):
        chosen = [seconds_of(path) for path in choose(frames, 3, None, seed)["fox"]]
        assert sorted(int(second >= 5000) + int(second >= 9000) for second in chosen) == [0, 1, 2]
    five = [seconds_of(path) for path in choose(frames, 5, None, 0)["fox"]]
    assert len(set(five)) == 5
    assert sum(second < 5000 for second in five) == 2


def test_names_without_a_time_are_spread_in_their_order() -> None:
    frames = [PseudoLabel(Path(f"IMG_{number:04d}.jpg"), "fox", 0.9) for number in range(100)]
    for seed in range(20):
        numbers = sorted(int(path.stem[4:]) for path in choose(frames[::-1], 4, None, seed)["fox"])
        assert [number // 25 for number in numbers] == [0, 1, 2, 3]


def test_the_surest_are_not_the_only_ones() -> None:
    frames = [at(second, confidence=1.0 if second < 10 else 0.8) for second in range(20)]
    picks = [seconds_of(choose(frames, 1, None, seed)["fox"][0]) for seed in range(400)]
    share = sum(second < 10 for second in picks) / len(picks)
    assert 0.46 < share < 0.65  # 1.0 / 1.8 is 0.56
    assert len(set(picks)) == 20


def test_classes_and_seeds() -> None:
    frames = [
        at(100 * number, label, number=index) for number in range(9) for index, label in enumerate(("fox", "deer"))
    ]
    frames.append(at(0, "boar"))
    chosen = choose(frames, 4, None, 7)
    assert list(chosen) == ["boar", "deer", "fox"]
    assert [len(paths) for paths in chosen.values()] == [1, 4, 4]
    assert choose(frames, 4, None, 7) == chosen
    assert choose(frames, 4, None, 8) != chosen
    some = choose(frames, 4, ["fox", "lynx"], 7)
    assert some == {"fox": chosen["fox"], "lynx": []}
    assert list(some) == ["fox", "lynx"]
    assert choose([], 4, None, 7) == {}
    assert choose([at(0, confidence=0.0)], 4, None, 7)["fox"]


@pytest.mark.parametrize(("shots", "seed"), [(0, 1), (1, -1)])
def test_numbers_that_make_no_sense_are_explained(shots: int, seed: int) -> None:
    with pytest.raises(WorkbenchError, match="shots of at least 1 and a seed of at least 0"):
        choose([], shots, None, seed)

"""The main job as a user runs it: the real loop, the real server process, real files."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from alert_parts import receiver
from tiny_network import SPEC, write_tiny_bundle

from cloud_server.local import start_local_server
from edge_sdk.errors import StorageError
from edge_sdk.model.big_reference import BigReference, fingerprint_of
from edge_sdk.model.bundle import open_bundle, write_policy
from edge_sdk.model.policy import Policy
from edge_sdk.networks.checkpoint import create_model, save_checkpoint
from edge_sdk.store.journal import Journal
from edge_sdk.types import Origin

REPOSITORY = Path(__file__).resolve().parents[2]
LOOP = REPOSITORY / "examples" / "camera_loop.py"
BY_FRAMES = ("--per", "frame", "--view", "frame", "--send", "frame")
"""Many unsure frames, each of which travels whole."""


def loop(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(LOOP), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    if check:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert "Traceback" not in done.stdout + done.stderr
    return done


def share(text: str, name: str) -> float:
    match = re.search(rf"accuracy, {name}\s*│\s*([\d.]+)%", text)
    assert match, text
    return float(match[1])


def test_the_embedded_defaults(tmp_path: Path) -> None:
    done = loop("--frames", 170, "--out", tmp_path)
    assert "exit ratio" in done.stdout
    assert " of 5.0 MB/day" in done.stdout
    assert "of every frame to the big model" in done.stdout
    picture = cv2.imread(str(tmp_path / "summary.png"))
    assert picture is not None
    assert picture.std() > 10
    assert share(done.stdout, "device alone") > 50
    assert share(done.stdout, "cascade") > 50
    assert share(done.stdout, "cloud alone") > 50
    (state,) = tmp_path.glob("state-*")
    with Journal(state) as journal:
        assert all(entry.answer.final for entry in journal.query())
        assert any(entry.answer.origin is Origin.CLOUD for entry in journal.query())


def test_device_only_keeps_unsure_frames_in_the_spool_for_a_later_cloud(tmp_path: Path) -> None:
    state = tmp_path / "state"
    shared = ("--out", tmp_path, "--state", state, "--frames", 170)
    alone = loop("--cloud", "none", *shared)
    assert "link off" in alone.stdout
    waiting = len(list((state / "frames").rglob("*.frame")))
    assert waiting > 0
    assert f"{waiting} frames wait" in alone.stdout
    loop(*shared)
    assert not list((state / "frames").rglob("*.frame"))


def test_a_view_of_frame_and_region_costs_a_second_look(tmp_path: Path) -> None:
    state = tmp_path / "state"
    done = loop("--cloud", "none", "--frames", 30, "--view", "both", "--out", tmp_path, "--state", state)
    with Journal(state) as journal:
        entries = list(journal.query())
    moved = sum(entry.trigger in ("motion", "hold") for entry in entries)
    spent = re.search(r"│ compute +│ ([\d.]+) GMAC", done.stdout)
    assert spent and moved > 0
    macs = open_bundle("trailcam").manifest.macs
    assert len(entries) < float(spent[1]) * 1e9 / macs <= len(entries) + moved + 0.2


def test_alerts_leave_while_the_loop_runs(tmp_path: Path) -> None:
    given = ["--cloud", "none", "--frames", 60, "--out", tmp_path, "--state", tmp_path / "state"]
    with receiver() as server:
        loop(*given, "--webhook", server.url, "--alert-on", "deer,person,fox,boar,vehicle,bird")
        arrived = [json.loads(body) for _, _, body in server.requests]
    assert arrived
    told = [one for one in arrived if one["kind"] == "class"]
    assert told
    with Journal(tmp_path / "state") as journal:
        for one in told:
            answer = journal.get(one["frame_id"])
            assert answer is not None
            assert answer.label == one["label"]


def test_an_upload_budget_that_is_spent_is_said_and_kept(tmp_path: Path) -> None:
    options = ["--frames", 60, *BY_FRAMES, "--upload-budget", "30kB/day", "--state", tmp_path / "state"]
    done = loop(*options, "--out", tmp_path)
    assert "budget spent" in done.stdout
    spent = re.findall(r"([\d.]+) (bytes|kB) of 30.0 kB/day", done.stdout)
    assert spent
    assert all(unit == "bytes" or float(amount) <= 30.0 for amount, unit in spent)


def test_an_unreachable_server_does_not_stop_the_loop(tmp_path: Path) -> None:
    """Frames go on until the link is known to be offline, however late that is."""
    command = [sys.executable, str(LOOP), *BY_FRAMES, "--cloud", "127.0.0.1:9", "--out", str(tmp_path)]
    command += ["--state", str(tmp_path / "s"), "--frames", "1000000"]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        assert any(line.rstrip().endswith("link offline") for line in process.stdout)
        assert process.stdout.readline()  # it goes on
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate()
    errors = (tmp_path / "log").read_text()
    assert process.returncode == 0, errors
    assert "no cloud server answers at 127.0.0.1:9" in output
    assert "no cloud server answers at 127.0.0.1:9" in errors
    assert "Traceback" not in output + errors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_in_a_summary(tmp_path: Path, number: signal.Signals, code: int) -> None:
    command = [sys.executable, str(LOOP), "--cloud", "none", "--out", str(tmp_path), "--state", str(tmp_path / "state")]
    command += ["--camera", "simulated://trailcam?seed=1", "--frames", "1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    assert "frames answered" in output
    assert "Traceback" not in errors
    assert ("camera_loop: stopped: frames that wait stay in the spool" in errors) == (code == 130)
    assert (tmp_path / "summary.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--no-such-option"], "No such option"),
        (["--camera", "/no/such/folder"], "/no/such/folder"),
        (["--camera", "ftp://camera"], "ftp"),
        (["--camera", "simulated://trailcam?sead=1"], "sead"),
        (["--bundle", "/no/such/bundle"], "/no/such/bundle"),
        (["--upload-budget", "5MB"], "5MB/day"),
        (["--compute-budget", "much"], "GMAC"),
        (["--compute-budget", "3kJ/h"], "PowerModel"),
        (["--never-upload", "unicorn"], "expected classes of the bundle"),
        (["--cloud", "vm"], "host:port"),
        (["--cloud", "vm.example:50051"], "expected an encrypted link to vm.example:50051"),
        (["--cloud", "127.0.0.1:9", "--ca", "/no/such.pem"], "cannot read the ca /no/such.pem"),
        (["--cloud", "127.0.0.1:9", "--key", "some.pem"], "expected cert and key together"),
        (["--frames", "0"], "frames"),
        (["--out", "/dev/null/out"], "/dev/null is not a folder"),
        (["--state", "/dev/null/state"], "/dev/null is not a folder"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    base = ["--out", str(tmp_path), "--state", str(tmp_path / "state")]
    done = loop(*(base if "--cloud" in arguments else [*base, "--cloud", "none"]), *arguments, check=False)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert done.stderr.startswith("camera_loop: ") and done.stderr.count("\n") == 1


def burst(card: Path, photos: int) -> None:
    """Photos of a camera that is triggered, three a time; nothing moves."""
    card.mkdir(parents=True)
    rng = np.random.default_rng(0)
    still = cv2.GaussianBlur(rng.integers(0, 256, (240, 320, 3), np.uint8), (0, 0), 5).astype(int)
    for number in range(photos):
        grainy = np.clip(still + rng.normal(0, 3, still.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(card / f"IMG_{number:04}.JPG"), grainy)
        when = 1_714_564_800 + 15 * (number // 3) + number % 3
        os.utime(card / f"IMG_{number:04}.JPG", (when, when))


def test_photos_of_a_triggered_camera_are_all_looked_at_each_once(tmp_path: Path) -> None:
    burst(tmp_path / "card", 30)
    (tmp_path / "card" / "IMG_0030.JPG").write_bytes(b"broken")
    (tmp_path / "card" / "notes.txt").write_bytes(b"")
    shared = ("--camera", tmp_path / "card", "--cloud", "none", "--out", tmp_path)
    first = loop(*shared, "--state", tmp_path / "state").stdout
    assert re.search(r"frames answered\s*│\s*30\b", first)
    assert "files: 30 photos and 0 videos read, 1 passed over, 1 broken" in first
    again = loop(*shared, "--state", tmp_path / "state").stdout
    assert "0 photos and 0 videos read, 30 done before" in again
    compared = loop(*shared, "--state", tmp_path / "other", "--gate", "on").stdout
    answered = re.search(r"frames answered\s*│\s*(\d+)", compared)
    assert answered and int(answered[1]) < 30
    assert f"motion gate: {30 - int(answered[1])} of 30 frames passed over" in compared


def answers(state: Path) -> list[str]:
    """Of which files there are answers on the disk, or pictures that wait for one."""
    waiting = [str(path) for path in (state / "frames").glob("*.frame")]
    try:
        with Journal(state) as journal:
            return [entry.answer.source for entry in journal.query()] or waiting
    except StorageError:  # the table is being made
        return waiting


def test_a_card_whose_run_is_killed_is_gone_on_with(tmp_path: Path) -> None:
    burst(tmp_path / "card", 300)
    state = tmp_path / "state"
    shared = ["--cloud", "none", "--out", str(tmp_path), "--state", str(state), "--camera"]
    command = [sys.executable, str(LOOP), *shared, f"{tmp_path / 'card'}?watch=yes"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None and not answers(state):
                time.sleep(0.01)
        finally:
            process.kill()
    rest = loop(*shared, tmp_path / "card").stdout
    sources = answers(state)
    assert len(sources) == len(set(sources)) == 300
    assert "done before" in rest


@pytest.mark.data
def test_real_photos_a_broken_one_among_them(tmp_path: Path, data_dir: Path) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(data_dir / "trap_photos", photos)
    first = next(iter(sorted(photos.rglob("*.jpg"))))
    first.chmod(0o644)
    first.parent.chmod(0o755)
    (first.parent / "broken.jpg").write_bytes(first.read_bytes()[:5000])
    done = loop("--camera", photos, "--out", tmp_path, "--state", tmp_path / "state")
    assert "broken.jpg" in done.stdout + done.stderr
    with Journal(tmp_path / "state") as journal:
        entries = list(journal.query())
    assert len(entries) == 21
    assert all(entry.answer.final for entry in entries)


@pytest.mark.data
def test_real_video(tmp_path: Path, data_dir: Path) -> None:
    done = loop("--camera", data_dir / "video" / "road.avi", "--out", tmp_path, "--state", tmp_path / "state")
    with Journal(tmp_path / "state") as journal:
        answered = sum(journal.counts().values())
    assert 20 < answered <= 374
    assert f"frames answered       │ {answered}" in re.sub(r" +", " ", done.stdout).replace(
        "answered │", "answered       │"
    )


def test_the_journal_command_reads_what_the_loop_wrote(tmp_path: Path) -> None:
    state = tmp_path / "state"
    loop("--cloud", "none", "--frames", 15, "--out", tmp_path, "--state", state)
    command = [sys.executable, "-P", "-m", "edge_sdk", "journal", "--state", str(state), "--json", "--limit", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(entries) == 3
    assert entries[0]["answer"]["label"]


@pytest.fixture
def own_bundle(tmp_path: Path) -> tuple[Path, Path]:
    """A bundle calibrated with a big model of finer labels, and the map between them."""
    labels = write_tiny_bundle(tmp_path / "own").manifest.labels
    fine = tuple(f"small {label}" for label in labels)
    module, info = create_model("lcnet_035", labels=fine, input=SPEC)
    big = save_checkpoint(tmp_path / "fine.safetensors", module, info)
    label_map = tmp_path / "map.json"
    label_map.write_text(json.dumps(dict(zip(fine, labels, strict=True))))
    named = BigReference(name="fine", model=str(big), fingerprint=fingerprint_of(big), labels=fine)
    write_policy(tmp_path / "own", Policy(threshold=1.0, big=named))
    return tmp_path / "own", label_map


def test_a_bundles_own_big_model_is_started_and_labels_that_differ_end_it_first(
    tmp_path: Path, own_bundle: tuple[Path, Path]
) -> None:
    bundle, label_map = own_bundle
    given = ("--bundle", bundle, "--frames", 10, "--out", tmp_path / "out", "--state", tmp_path / "state")
    done = loop(*given, check=False)
    assert done.returncode == 2 and "exits" not in done.stdout
    last = done.stderr.splitlines()[-1]
    assert "'small fox'" in last and "--label-map FILE" in last and "Traceback" not in done.stderr
    done = loop(*given, "--label-map", label_map)
    assert "link online" in done.stdout


def test_a_server_elsewhere_of_other_labels_ends_the_loop(tmp_path: Path, own_bundle: tuple[Path, Path]) -> None:
    bundle, _ = own_bundle
    with start_local_server(str(tmp_path / "fine.safetensors")) as address:
        given = ("--cloud", address, "--frames", 300, "--out", tmp_path / "out", "--state", tmp_path / "state")
        done = loop("--bundle", bundle, *given, check=False)
    assert done.returncode == 2 and "label-map" in done.stderr.splitlines()[-1]

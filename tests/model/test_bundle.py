from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import BundleError
from edge_sdk.images.rendition import Upload
from edge_sdk.model.bundle import (
    READER,
    Bundle,
    Golden,
    InputSpec,
    Manifest,
    open_bundle,
    read_golden,
    shipped_bundles,
    tables_of,
    write_bundle,
    write_policy,
    write_priors,
    write_taxonomy,
    write_view,
)
from edge_sdk.model.inputs import pixels_digest
from edge_sdk.model.policy import Policy
from edge_sdk.model.priors import ClassPrior, Priors
from edge_sdk.model.taxonomy import Taxonomy
from edge_sdk.testing import write_fake_bundle
from edge_sdk.types import Image, View

WIDTH, HEIGHT = 12, 8
MANIFEST = Manifest(
    name="toy",
    version="2026.1",
    labels=("empty", "deer", "fox"),
    input=InputSpec(WIDTH, HEIGHT, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), "crop"),
    macs=1000,
    parameters=100,
    golden=Golden("golden.png", (0.5, -1.0, 2.0), 0.1),
    made_with={"torch": "2.13.0"},
)
BY_RULE_1 = msgspec.structs.replace(MANIFEST, input=msgspec.structs.replace(MANIFEST.input, scaling=1))
PROGRAM = bytes(range(256)) * 4


def golden(seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_bundle(
        tmp_path / "toy", model=PROGRAM, manifest=MANIFEST, golden=golden(), policy=Policy(threshold=0.7)
    )


def test_what_is_written_is_read(bundle: Bundle) -> None:
    again = open_bundle(bundle.path)
    assert again == bundle
    filled = msgspec.structs.replace(MANIFEST.golden, pixels=pixels_digest(golden(), MANIFEST.input))
    wanted = msgspec.structs.replace(MANIFEST, sha256=again.manifest.sha256, min_reader=2, golden=filled)
    assert again.manifest == wanted
    assert len(again.manifest.sha256) == len(filled.pixels) == 64
    assert again.policy == Policy(threshold=0.7)
    assert again.model_path.read_bytes() == PROGRAM
    np.testing.assert_array_equal(read_golden(again), golden())


def test_the_program_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.pte").write_bytes(PROGRAM)
    made = write_bundle(tmp_path / "toy", model=tmp_path / "x.pte", manifest=MANIFEST, golden=golden())
    assert made.model_path.read_bytes() == PROGRAM


def test_without_a_policy_the_device_is_cautious(bundle: Bundle) -> None:
    (bundle.path / "policy.json").unlink()
    assert open_bundle(bundle.path).policy == Policy(threshold=0.8, temperature=1.0, upload=Upload(640, 85, "jpeg"))


def test_a_bundle_is_replaced_as_a_whole(bundle: Bundle) -> None:
    (bundle.path / "left over.txt").write_text("of the old one")
    new = write_bundle(bundle.path, model=b"new", manifest=MANIFEST, golden=golden(1))
    assert sorted(file.name for file in new.path.iterdir()) == ["golden.png", "manifest.json", "model.pte"]
    assert list(bundle.path.parent.iterdir()) == [bundle.path]


@pytest.mark.parametrize("make", [lambda p: p.write_text("mine"), lambda p: (p.mkdir(), (p / "a").write_text("mine"))])
def test_something_else_is_not_replaced(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    make(tmp_path / "mine")
    with pytest.raises(BundleError, match="expected a bundle to replace, an empty folder or nothing"):
        write_bundle(tmp_path / "mine", model=PROGRAM, manifest=MANIFEST, golden=golden())
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="cannot write the bundle"):
        write_bundle(tmp_path / "file" / "toy", model=PROGRAM, manifest=MANIFEST, golden=golden())


def test_a_golden_picture_of_another_size_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"of shape \(8, 12, 3\), by scaling rule 1; got \(12, 8, 3\)"):
        write_bundle(tmp_path / "toy", model=PROGRAM, manifest=BY_RULE_1, golden=np.zeros((12, 8, 3), np.uint8))
    assert not (tmp_path / "toy").exists()


def test_a_golden_picture_is_kept_as_it_came(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    bundle = write_bundle(tmp_path / "toy", model=PROGRAM, manifest=MANIFEST, golden=whole)
    np.testing.assert_array_equal(read_golden(bundle), whole)


def test_a_bundle_that_names_no_scaling_rule_has_the_first(bundle: Bundle) -> None:
    edit(MANIFEST_JSON, input__scaling=..., min_reader=1)(bundle.path)
    assert open_bundle(bundle.path).manifest.input == BY_RULE_1.input


def test_older_readers_refuse_a_scaling_rule_that_they_would_ignore(tmp_path: Path) -> None:
    for manifest, reader in ((MANIFEST, 2), (BY_RULE_1, 1)):
        written = write_bundle(tmp_path / "toy", model=PROGRAM, manifest=manifest, golden=golden()).path
        assert json.loads((written / MANIFEST_JSON).read_text())["min_reader"] == reader


def edit(file: str, **changes: Any) -> Callable[[Path], object]:
    """Change fields of a JSON file; a field named `a__b` is `a.b`, and the value `...` removes it."""

    def apply(path: Path) -> None:
        content = json.loads((path / file).read_text())
        for name, value in changes.items():
            inner = content
            *parents, last = name.split("__")
            for parent in parents:
                inner = inner[parent]
            if value is ...:
                del inner[last]
            else:
                inner[last] = value
        (path / file).write_text(json.dumps(content))

    return apply


def put(file: str, data: bytes) -> Callable[[Path], object]:
    return lambda path: (path / file).write_bytes(data)


def drop(file: str) -> Callable[[Path], object]:
    return lambda path: (path / file).unlink()


MANIFEST_JSON, POLICY_JSON = "manifest.json", "policy.json"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (drop(MANIFEST_JSON), "manifest.json: expected a readable file; got: No such file"),
    "no program": (drop("model.pte"), "model.pte: expected a readable file; got: No such file"),
    "no golden picture": (
        drop("golden.png"),
        "expected the golden picture that .* names; it is missing",
    ),
    "program cut": (put("model.pte", PROGRAM[:100]), "model.pte: expected sha256 [0-9a-f]{64} .*; got [0-9a-f]{64}"),
    "program empty": (put("model.pte", b""), "model.pte: expected sha256"),
    "sha256 absent": (edit(MANIFEST_JSON, sha256=...), r"model.pte: expected sha256 \(none\)"),
    "not JSON": (put(MANIFEST_JSON, b"{"), "manifest.json: Input data was truncated"),
    "binary": (put(MANIFEST_JSON, b"\x93\xff\x00"), "manifest.json: JSON is malformed"),
    "a list": (put(MANIFEST_JSON, b"[]"), "manifest.json: Expected `object`, got `array`"),
    "field missing": (edit(MANIFEST_JSON, labels=...), "manifest.json: Object missing required field `labels`"),
    "newer format": (edit(MANIFEST_JSON, min_reader=3), "expected min_reader of at most 2; got 3: .* newer edge_sdk"),
    "newer policy": (edit(POLICY_JSON, min_reader=3), "policy.json: expected min_reader of at most 2; got 3"),
    "wrong type": (edit(MANIFEST_JSON, macs="many"), r"manifest.json: Expected `int`, got `str` - at `\$.macs`"),
    "no cost": (edit(MANIFEST_JSON, macs=0), r"manifest.json: Expected `int` >= 1 - at `\$.macs`; got 0"),
    "labels twice": (
        edit(MANIFEST_JSON, labels=["a", "b", "a"]),
        r"unique .*; got \['a', 'b', 'a'\]",
    ),
    "one label": (edit(MANIFEST_JSON, labels=["a"]), r"two or more `labels`, unique and not empty; got \['a'\]"),
    "labels and golden": (edit(MANIFEST_JSON, labels=["a", "b"]), "expected 2 numbers in `golden.logits`, .*; got 3"),
    "view unknown": (
        edit(MANIFEST_JSON, view="zoom"),
        "expected `view` as one of frame, region, both; got 'zoom', which may need a newer edge_sdk",
    ),
    "resize unknown": (edit(MANIFEST_JSON, input__resize="fit"), r"Invalid enum value 'fit' - at `\$.input.resize`"),
    "input of no size": (edit(MANIFEST_JSON, input__width=0), r"Expected `int` >= 1 - at `\$.input.width`"),
    "mean of two": (edit(MANIFEST_JSON, input__mean=[0, 0]), r"`array` of length 3 - at `\$.input.mean`; got \[0, 0\]"),
    "std of zero": (edit(MANIFEST_JSON, input__std=[0, 1, 1]), r"expected positive `std`; got .* - at `\$.input`"),
    "golden elsewhere": (
        edit(MANIFEST_JSON, golden__image="../x.png"),
        "`image` to be the name of a file",
    ),
    "threshold": (
        edit(POLICY_JSON, threshold=1.5),
        r"Expected `float` <= 1.0 - at `\$.threshold`; got 1.5",
    ),
    "temperature": (edit(POLICY_JSON, temperature=0), r"policy.json: Expected `float` > 0.0 - at `\$.temperature`"),
    "quality": (edit(POLICY_JSON, upload__quality=101), r"policy.json: Expected `int` <= 100 - at `\$.upload.quality`"),
    "format": (edit(POLICY_JSON, upload__format="gif"), r"Invalid enum value 'gif' - at `\$.upload.format`"),
    "side": (edit(POLICY_JSON, upload__max_side=15), r"Expected `int` >= 16 - at `\$.upload.max_side`; got 15"),
    "policy empty": (put(POLICY_JSON, b""), "policy.json: Input data was truncated"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_named(bundle: Bundle, damage: Callable[[Path], object], message: str) -> None:
    damage(bundle.path)
    with pytest.raises(BundleError, match=message):
        open_bundle(bundle.path)


@given(position=st.integers(0, len(PROGRAM) - 1), bit=st.integers(0, 7))
def test_no_flipped_bit_of_the_program_goes_unseen(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flip") / "toy"
    made = write_bundle(path, model=PROGRAM, manifest=MANIFEST, golden=golden())
    damaged = bytearray(PROGRAM)
    damaged[position] ^= 1 << bit
    made.model_path.write_bytes(damaged)
    with pytest.raises(BundleError, match="expected sha256"):
        open_bundle(path)


@pytest.mark.parametrize("name", ["no such bundle", "", "../nowhere"])
def test_what_is_no_bundle_is_told_what_there_is(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=r"expected|manifest\.json"):
        open_bundle(name)


def test_the_shipped_bundles_open_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "trailcam" in shipped_bundles()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trailcam").mkdir()  # a folder of that name does not stand in the way
    for name in shipped_bundles():
        bundle = open_bundle(name)
        assert bundle.manifest.name == name
        assert bundle.model_path.stat().st_size <= 1.5e6
        assert (bundle.path / "policy.json").is_file()
        assert read_golden(bundle).any()


def test_a_golden_picture_that_is_none_is_named(bundle: Bundle) -> None:
    bundle.golden_path.write_bytes(b"not a picture")
    with pytest.raises(BundleError, match=r"golden\.png: expected a picture; got a file that is no picture"):
        read_golden(bundle)
    bundle.golden_path.write_bytes(b"")
    with pytest.raises(BundleError, match="got a file that is no picture"):
        read_golden(bundle)
    edit(MANIFEST_JSON, input__scaling=1)(bundle.path)
    bundle = open_bundle(bundle.path)
    bundle.golden_path.write_bytes(cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    with pytest.raises(BundleError, match=r"got \(4, 4, 3\)"):
        read_golden(bundle)


def test_a_policy_is_replaced(bundle: Bundle) -> None:
    policy = Policy(threshold=0.25, temperature=1.7, big_macs=10**9, calibration={"samples": 500, "date": "2026-11-21"})
    write_policy(bundle.path, policy)
    assert open_bundle(bundle.path).policy == policy
    assert sorted(file.name for file in bundle.path.iterdir()) == [
        "golden.png",
        "manifest.json",
        "model.pte",
        "policy.json",
    ]


def test_a_policy_needs_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"expected a bundle, a folder with manifest\.json; it has none"):
        write_policy(tmp_path, Policy())


def test_a_reader_never_sees_half_a_policy(bundle: Bundle) -> None:
    done = threading.Event()
    seen: set[float] = set()

    def read() -> None:
        while not done.is_set():
            seen.add(open_bundle(bundle.path).policy.threshold)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        write_policy(bundle.path, Policy(threshold=number % 2, calibration={"text": "x" * 20_000 * (number % 2)}))
    done.set()
    reader.join()
    assert seen <= {0.7, 0.0, 1.0}


@given(
    st.builds(
        Policy,
        threshold=st.floats(0, 1),
        temperature=st.floats(0.01, 100),
        upload=st.builds(
            Upload,
            max_side=st.integers(16, 10_000),
            quality=st.integers(1, 100),
            format=st.sampled_from(["jpeg", "webp"]),
            crop=st.one_of(st.none(), st.tuples(st.integers(1, 999), st.integers(1, 999))),
        ),
        big_macs=st.integers(0, 10**15),
        calibration=st.dictionaries(
            st.text(), st.one_of(st.floats(-1e9, 1e9), st.integers(-(2**53), 2**53), st.text())
        ),
    )
)
def test_any_policy_survives_its_file(policy: Policy) -> None:
    assert msgspec.json.decode(msgspec.json.encode(policy), type=Policy) == policy


def test_a_bundle_from_the_future_is_read(bundle: Bundle) -> None:
    """Fields of later versions, at every depth, and a number format of theirs."""
    edit(
        MANIFEST_JSON,
        schema=7,
        precision="int4",
        colour="red",
        input__gamma=2.2,
        golden__second="golden2.png",
    )(bundle.path)
    edit(
        POLICY_JSON,
        schema=9,
        audit={"share": 0.01},
        upload__chroma="4:2:0",
        gate={"confidences": [0, 1], "gains": [[0, 1]] * 3, "by_hour": True},
        ladder=[{"upload": {"max_side": 64, "tiles": 4}, "mean_bytes": 900, "relative_gain": 1.0, "energy": 3}],
    )(bundle.path)
    later = open_bundle(bundle.path)
    assert later.manifest.precision == "int4"
    assert later.policy.gate is not None
    assert later.policy.ladder[0].upload.max_side == 64


def test_a_bundle_that_must_not_be_read_without_knowing_more_says_so(bundle: Bundle) -> None:
    edit(MANIFEST_JSON, min_reader=READER + 1, input={"tensor": "nhwc"})(bundle.path)
    with pytest.raises(
        BundleError, match=r"expected min_reader of at most 2; got 3: the bundle needs a newer edge_sdk"
    ):
        open_bundle(bundle.path)


def test_tables_go_over_to_a_bundle_of_the_same_labels(tmp_path: Path) -> None:
    bundle = write_fake_bundle(tmp_path / "bundle", ("fox", "wolf"))
    assert tables_of(tmp_path, ("fox", "wolf")) == (None, None)
    assert tables_of(bundle.path, ("fox", "wolf")) == (None, None)
    priors, taxonomy = Priors(classes={"fox": ClassPrior()}), Taxonomy(classes={"fox": ("canid",), "wolf": ("canid",)})
    write_priors(bundle.path, priors)
    write_taxonomy(bundle.path, taxonomy)
    assert tables_of(bundle.path, ("wolf", "fox")) == (priors, taxonomy)
    assert tables_of(bundle.path, ("fox", "dog")) == (None, None)


def test_what_the_network_looks_at_can_be_written_anew(bundle: Bundle, tmp_path: Path) -> None:
    write_view(bundle.path, View.BOTH)
    assert open_bundle(bundle.path).manifest == msgspec.structs.replace(bundle.manifest, view="both")
    with pytest.raises(BundleError):
        write_view(tmp_path, View.BOTH)

"""The big model that a bundle names, and where labels differ."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import msgspec

from edge_sdk.model.big_reference import BigReference, fingerprint_of, label_difference
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.policy import Policy


def test_the_shipped_bundle_names_the_shipped_big_model() -> None:
    named = open_bundle("trailcam").policy.big
    assert named is not None and (named.model, named.label_map) == ("trailcam", {})
    assert set(named.labels) == set(open_bundle("trailcam").manifest.labels)
    file = Path(__file__).parents[2] / "cloud_server" / "models" / "trailcam" / "model.safetensors"
    assert named.fingerprint == fingerprint_of(file) == hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def test_a_policy_of_before_names_none_and_a_later_ones_fields_are_ignored() -> None:
    assert msgspec.json.decode(b'{"threshold": 0.5}', type=Policy).big is None
    later = b'{"big": {"name": "x", "model": "y", "licence": "MIT"}}'
    assert msgspec.json.decode(later, type=Policy).big == BigReference(name="x", model="y")


def test_labels_that_differ_are_named() -> None:
    assert label_difference(("fox", "deer"), ("deer", "fox")) == ""
    assert label_difference(("fox", "deer"), ("red fox", "deer")) == (
        "it lacks 'fox' (close: 'red fox'); it has 'red fox' instead"
    )
    assert label_difference(("fox",), ("fox", "owl")) == "it also has 'owl'"
    assert label_difference(tuple("abcdefghijk"), ("a",)).endswith("'i' and 2 more")


def test_sets_of_many_labels_are_compared_at_once() -> None:
    many = [f"class {number}" for number in range(21_841)]
    started = time.process_time()
    assert "21841 more" not in label_difference(many, [f"other {number}" for number in range(21_841)])
    assert time.process_time() - started < 5

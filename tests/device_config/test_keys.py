"""Every setting of the SDK can stand in the file."""

from __future__ import annotations

import dataclasses
import inspect
from types import NoneType
from typing import get_args

import pytest

from edge_sdk.config import RemoteSettings, StorageSettings, UplinkSettings
from edge_sdk.device_config.keys import REQUIRED, all_keys, nearest
from edge_sdk.device_config.sections import SECTIONS
from edge_sdk.errors import ConfigError
from edge_sdk.pipeline.classifier import EdgeClassifier

BY_CODE = {"on_answer", "on_event", "health", "runtime", "transport", "clock"}


def test_every_field_of_a_settings_class_is_a_key() -> None:
    for section in SECTIONS:
        for part in section.parts:
            names = {one.name for one in dataclasses.fields(part)} - section.hidden
            assert names == {
                key.name for key in all_keys().values() if key.home is part and key.section == section.name
            }


def test_no_two_parts_of_a_section_have_a_key_in_common() -> None:
    assert len(all_keys()) == sum(
        len(dataclasses.fields(part)) - len(one.hidden) for one in SECTIONS for part in one.parts
    )


def test_every_argument_of_the_classifier_has_its_place() -> None:
    from edge_sdk.device_config.device import DeviceConfig
    from edge_sdk.device_config.reading import read

    options = set(DeviceConfig(read(None, {})).classifier_options())
    assert options == set(inspect.signature(EdgeClassifier).parameters) - BY_CODE


def test_every_key_says_what_it_means_and_what_it_expects() -> None:
    for key in all_keys().values():
        assert key.meaning.endswith((".", '"')), key.full
        assert key.words


def test_none_is_a_word_where_a_value_may_be_missing() -> None:
    age = all_keys()["storage", "spool_age_s"]
    assert age.home is StorageSettings and age.may_be_none
    assert age.read("none") is None
    assert age.read(5) == 5.0
    with pytest.raises(ConfigError, match=r'^expected a number or "none"$'):
        age.read("long")
    window = all_keys()["cloud", "window"]
    assert window.home is UplinkSettings and NoneType not in get_args(window.kind)
    for value in ("none", 2.5, True):
        with pytest.raises(ConfigError, match=r"^expected a whole number$"):
            window.read(value)


def test_a_section_may_have_a_key_that_it_cannot_do_without() -> None:
    assert all_keys()["remote", "key"].default is REQUIRED
    assert all_keys()["remote", "key"].home is RemoteSettings


def test_what_was_probably_meant() -> None:
    assert nearest("uplod", ["upload", "cloud"]) == "upload"
    assert nearest("zebra", ["upload", "cloud"]) == ""

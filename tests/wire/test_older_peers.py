"""Messages between this version and one from before there were exits."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.wire import offload_pb2 as wire

ADDED = {"Description": "exits", "Classification": "exit"}


def _older() -> Any:
    """The messages without the fields that were added."""
    file = FileDescriptorProto()
    wire.DESCRIPTOR.CopyToProto(file)
    for message in file.message_type:
        kept = [field for field in message.field if field.name != ADDED.get(message.name)]
        del message.field[:]
        message.field.extend(kept)
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"edge_sdk.v1.{name}")) for name in ADDED}


OLDER = _older()


@given(st.text(max_size=9), st.floats(0, 1, width=32), st.integers(0, 2**32 - 1), st.lists(st.text(max_size=9)))
def test_each_side_reads_what_the_other_knows(label: str, confidence: float, place: int, exits: list[str]) -> None:
    said = wire.Classification(label=label, confidence=confidence, probabilities=[confidence], macs=7, exit=place)
    old = OLDER["Classification"].FromString(said.SerializeToString())
    assert (old.label, old.confidence, list(old.probabilities), old.macs) == (label, confidence, [confidence], 7)
    alone = OLDER["Classification"](label=label, confidence=confidence, probabilities=[confidence], macs=7)
    assert wire.Classification.FromString(alone.SerializeToString()).exit == 0
    told = wire.Description(model=label, labels=exits, reads_probabilities=True, version="f0", exits=exits)
    old = OLDER["Description"].FromString(told.SerializeToString())
    assert (old.model, list(old.labels), old.reads_probabilities, old.version) == (label, exits, True, "f0")
    alone = OLDER["Description"](model=label, labels=exits)
    assert list(wire.Description.FromString(alone.SerializeToString()).exits) == []

from __future__ import annotations

import math

import numpy as np
import pytest

from cloud_server.api.request import BadRequest, check_request
from edge_sdk.types import Region, new_frame_id
from edge_sdk.wire import offload_pb2 as wire


def test_a_request_as_devices_send_it() -> None:
    frame_id = new_frame_id()
    frame = check_request(wire.ClassifyRequest(frame_id=frame_id.upper(), image=b"x", probabilities=[0.25, 0.75]), 1000)
    assert (frame.frame_id, frame.image) == (frame_id, b"x")
    assert frame.little is not None
    assert frame.little.tolist() == [0.25, 0.75]
    assert check_request(wire.ClassifyRequest(frame_id=frame_id), 1000).little is None


def test_fields_that_are_not_known_are_ignored() -> None:
    asked = wire.ClassifyRequest(frame_id=new_frame_id(), image=b"x")
    later = wire.ClassifyRequest.FromString(asked.SerializeToString() + b"\xaa\x06\x05later")  # field 101
    assert check_request(later, 1000).digest == check_request(asked, 1000).digest


def test_a_region_is_taken_as_it_comes_and_one_of_no_size_is_ignored() -> None:
    def region_of(**box: int) -> Region | None:
        return check_request(wire.ClassifyRequest(frame_id=new_frame_id(), region=wire.Region(**box)), 3).region

    assert region_of(x=3, y=4, width=5, height=2**32 - 1) == Region(3, 4, 5, 2**32 - 1, 1.0)
    assert region_of(x=1, width=5) is None and region_of(height=5) is None and region_of() is None
    assert check_request(wire.ClassifyRequest(frame_id=new_frame_id()), 3).region is None


def test_a_wait_is_taken_as_it_comes_and_older_devices_tell_none() -> None:
    assert check_request(wire.ClassifyRequest(frame_id=new_frame_id(), wait_ms=1500), 3).wait_s == 1.5
    assert check_request(wire.ClassifyRequest(frame_id=new_frame_id()), 3).wait_s == math.inf


def test_millions_of_probabilities_are_refused_before_they_are_read() -> None:
    most = wire.ClassifyRequest(frame_id=new_frame_id(), probabilities=np.zeros(1000 + 1, np.float32))
    with pytest.raises(BadRequest, match="at most 1,000 probabilities, one for each label; got 1,001"):
        check_request(most, 1000)
    del most.probabilities[0]
    assert check_request(most, 1000).little is not None


def test_an_id_stands_for_one_picture() -> None:
    frame = check_request(wire.ClassifyRequest(frame_id=new_frame_id(), image=b"x"), 1000)
    frame.check_same(frame.digest)
    with pytest.raises(BadRequest, match="one picture for each frame id"):
        frame.check_same(b"other")

"""The fake transport, and that the uplink needs nothing of gRPC: any transport will do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from link_parts import Device, item

from edge_sdk.budget.limits import Budget
from edge_sdk.link.transport import Refusal, Reply, ServerInfo
from edge_sdk.security.credentials import Denied
from edge_sdk.store.spool import SpoolItem
from edge_sdk.testing import FakeTransport
from edge_sdk.types import LinkState

TARGET = "127.0.0.1:9"  # nobody listens: the fake dials nobody


def run(tmp_path: Path, transport: FakeTransport, until: Callable[[Device], object], **options: object) -> Device:
    edge = Device(tmp_path, TARGET, transport=transport, **options)
    for _ in range(3):
        edge.spool.put(item())
    edge.uplink.start()
    try:
        until(edge)
    finally:
        edge.close()
    return edge


def test_every_frame_is_answered(tmp_path: Path) -> None:
    transport = FakeTransport(("a", "b"))
    edge = run(tmp_path, transport, Device.until_empty)
    assert sorted(edge.handler.replies) == sorted(sent.frame_id for sent in transport.sent)
    assert transport.connections == 1


def test_a_refusal_is_final_or_tried_again(tmp_path: Path) -> None:
    def script(item: SpoolItem, server: ServerInfo) -> Reply | Refusal:
        return Refusal(item.frame_id, "not this one", retryable=len(transport.sent) < 3)

    transport = FakeTransport(("a", "b"), script)
    edge = run(tmp_path, transport, Device.until_empty)
    assert {message for _, message in edge.handler.refusals} == {"not this one"}
    assert len(transport.sent) > 3


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ConnectionError("the line is cut"), LinkState.OFFLINE),
        (TimeoutError("too slow"), LinkState.OFFLINE),
        (Denied("no such token"), LinkState.DENIED),
    ],
)
def test_what_a_transport_raises_is_a_state(tmp_path: Path, error: Exception, state: LinkState) -> None:
    edge = run(tmp_path, FakeTransport(("a", "b"), error=error), lambda edge: edge.until_state(state))
    assert edge.until_state(state) == str(error)
    assert not edge.handler.replies


def test_other_labels_are_a_mismatch(tmp_path: Path) -> None:
    transport = FakeTransport(("a", "c"))
    run(tmp_path, transport, lambda edge: edge.until_state(LinkState.MISMATCH))
    assert not transport.sent


def test_a_frame_dearer_than_the_budget_is_never_sent(tmp_path: Path) -> None:
    transport = FakeTransport(("a", "b"))
    words = "more than the whole upload budget"
    run(tmp_path, transport, lambda edge: edge.until_state(LinkState.BUDGET, words), budgets=[Budget(500, 86_400)])
    assert not transport.sent

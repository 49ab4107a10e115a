"""What a server says is data, whatever transport brings it."""

from __future__ import annotations

import pytest

from edge_sdk.link.transport import LONGEST_NAME, Refusal, Reply, ServerInfo

FORGED = "deer\n2026-01-01 CRITICAL sshd: root\x1b[2J\u202e" + "A" * 900_000
SERVER = ServerInfo("fake", ("a", "b"), 1000)


def test_names_and_messages_are_one_bounded_line() -> None:
    server = ServerInfo(FORGED, ("a", FORGED), 1)
    reply = Reply("f", FORGED, 0.9, (0.1, 0.9), 1, 9, server)
    refusal = Refusal("f", FORGED, retryable=True)
    for text in (server.model, *server.labels, reply.label, refusal.message):
        assert text.isprintable()
        assert len(text) <= LONGEST_NAME
    assert reply.label == server.labels[1], "a label is the same text wherever it stands"


@pytest.mark.parametrize("macs", [2**64 - 1, -1])
def test_costs_are_numbers_that_the_ledger_can_hold(macs: int) -> None:
    assert 0 <= ServerInfo("m", (), macs).macs < 2**53
    assert 0 <= Reply("f", "a", 0.5, (), macs, 9, SERVER).macs < 2**53


@pytest.mark.parametrize("chance", [float("nan"), float("inf"), -0.1, 1.5])
def test_a_probability_that_is_none_is_a_flaw(chance: float) -> None:
    assert "probability" in Reply("f", "a", chance, (), 1, 9, SERVER).flaw
    assert "probability" in Reply("f", "a", 0.5, (0.5, chance), 1, 9, SERVER).flaw
    assert Reply("f", "a", 1.0, (0.0, 1.0), 1, 9, SERVER).flaw == ""

"""The public fake of a channel."""

from __future__ import annotations

from alert_parts import alert

from edge_sdk.alerts.channel import Channel, Fate, Outcome, Status
from edge_sdk.alerts.toll import Toll
from edge_sdk.testing import FakeChannel


def test_it_is_a_channel_that_remembers() -> None:
    fake = FakeChannel([Fate.LATER, Outcome(Fate.REFUSED, "no")])
    channel: Channel = fake
    channel.open("cam-1", Toll())
    made = alert()
    assert [channel.deliver(made).fate for _ in range(3)] == [Fate.LATER, Fate.REFUSED, Fate.DELIVERED]
    channel.show(Status("online"))
    channel.close()
    assert (len(fake.tried), fake.delivered, fake.device, fake.closed) == (3, [made], "cam-1", True)
    assert fake.wait(1, shown=1, tried=3)
    assert not fake.wait(2, wait_s=0.0)

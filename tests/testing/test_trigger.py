from __future__ import annotations

from edge_sdk.duty import Trigger
from edge_sdk.testing import FakeTrigger


def test_it_fires_when_told_until_it_is_closed() -> None:
    fake = FakeTrigger()
    trigger: Trigger = fake
    fired: list[int] = []
    fake.fire()
    trigger.start(lambda: fired.append(1))
    fake.fire()
    trigger.close()
    fake.fire()
    assert fired == [1] and fake.is_closed
    fake.is_active = True
    fake.start(lambda: fired.append(2))
    assert fired == [1, 2]

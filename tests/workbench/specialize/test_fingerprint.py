"""Names for what states on disk belong to."""

import little_task

from edge_sdk.workbench.specialize.fingerprint import contents, fingerprint, weights


def test_names_change_with_what_they_name() -> None:
    assert fingerprint(1, "a") == fingerprint(1, "a") != fingerprint("a", 1)
    assert contents(little_task.squares(2)) == contents(little_task.squares(2))
    assert contents(little_task.squares(2)) != contents(little_task.squares(2, seed=1))
    one, _ = little_task.network("resnet10t")
    same, _ = little_task.network("resnet10t")
    other, _ = little_task.network("resnet10t", seed=1)
    assert weights(one) == weights(same) != weights(other)

"""Who is told of progress and stages."""

from torch import nn

from edge_sdk.workbench.specialize.progress import named, progress_of, tell


def test_stages_are_named_with_their_round_where_there_are_several() -> None:
    assert named("cut", 0, 1) == "cut" and named("cut", 1, 3) == "cut, round 2 of 3"


def test_only_listeners_are_told() -> None:
    told: list[object] = []
    module = nn.Identity()
    tell(None, "cut", module)
    tell(lambda name, network: told.append((name, network)), "cut", module)
    assert progress_of(None, "refit") is None
    listen = progress_of(lambda *part: told.append(part), "refit")
    assert listen is not None
    listen(2, 5, "a layer")
    assert told == [("cut", module), ("refit", 2, 5)]

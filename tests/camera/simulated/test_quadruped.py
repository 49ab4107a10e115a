"""Colours of coats."""

from edge_sdk.camera.simulated.quadruped import mix, tone


def test_colours_are_mixed_and_toned() -> None:
    black, white = (0.0, 0.0, 0.0), (200.0, 100.0, 50.0)
    assert mix(black, white, 0.0) == black and mix(black, white, 1.0) == white
    assert mix(black, white, 0.5) == tone(white, 0.5) == (100.0, 50.0, 25.0)

"""Day and infrared night."""

from edge_sdk.camera.simulated import SimulatedCamera


def test_day_turns_into_infrared_night() -> None:
    frames = list(SimulatedCamera(seed=3, width=160, height=120, frames=300))
    grey = [bool((frame.image[..., 0] == frame.image[..., 2]).all()) for frame in frames]
    assert not grey[0]
    assert any(grey)
    for frame, monochrome in zip(frames, grey, strict=True):
        assert monochrome == (not 5 < frame.captured_at.hour + frame.captured_at.minute / 60 < 20.5) or (
            frame.captured_at.hour in (5, 19, 20)
        )

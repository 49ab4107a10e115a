"""The story of one frame, from the camera to its last answer."""

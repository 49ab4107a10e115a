"""A device as a service: the camera loop for months, under a supervisor."""

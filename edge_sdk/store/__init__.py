"""The frames of a device: those that wait, and what was answered."""

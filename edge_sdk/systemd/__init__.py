"""What systemd is told by a device or a server, and the units that it runs them by."""

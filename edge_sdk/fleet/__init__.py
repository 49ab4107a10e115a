"""What a device tells its server of itself, and the settings that come back."""

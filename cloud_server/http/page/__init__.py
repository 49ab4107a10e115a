"""The page for people: devices, events, labels, settings, tokens."""

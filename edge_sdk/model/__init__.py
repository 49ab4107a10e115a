"""The little model: what a bundle is, running it, its rule for exits, and whether frames have changed."""

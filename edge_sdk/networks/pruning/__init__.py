"""Which parts of a network can be removed together, and removing them."""

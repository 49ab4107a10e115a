"""Hard limits, what was spent against them, and what a unit of them must bring."""

"""The mathematics of a cascade on plain arrays: curves, thresholds, guarantees, gates, chains. Free of torch."""

"""The big model: decoding, batching, running, label maps."""

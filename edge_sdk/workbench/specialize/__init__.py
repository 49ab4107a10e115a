"""Few-shot compression: a network is fitted to one place's frames by removing what they do not need."""

"""Exit sequences: exits along a frozen big model, that begin with the little model's answer on the device."""

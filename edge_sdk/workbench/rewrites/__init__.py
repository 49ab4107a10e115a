"""Rewrites of a captured network into operators that XNNPACK takes, each exact to float rounding."""

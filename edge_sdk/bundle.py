"""The former place of `edge_sdk.model.bundle`, for programs that import from here."""

from edge_sdk.model.bundle import Bundle, InputSpec, Manifest, open_bundle

__all__ = ["Bundle", "InputSpec", "Manifest", "open_bundle"]

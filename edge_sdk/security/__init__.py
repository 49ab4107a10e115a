"""Trust between device and server: credentials, tokens, certificates."""

from edge_sdk.security.credentials import Security

__all__ = ["Security"]

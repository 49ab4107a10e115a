"""Pixels from bytes and back: reading, headers, EXIF, geometry, encoding. The only parser of picture headers."""

from edge_sdk.images.read import decode_image, read_image

__all__ = ["decode_image", "read_image"]

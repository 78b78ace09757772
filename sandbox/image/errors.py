"""What can go wrong while an image is made."""

from __future__ import annotations


class ImageError(Exception):
    """An image cannot be built here; the message says why and what to do."""

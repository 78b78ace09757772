"""``python -m sandbox.image``: build the image into ``build/image.tar`` and print its size."""

from __future__ import annotations

import os
import sys

from . import ImageError, build_image
from .build import REPO


def _say(line: str) -> None:
    print(f"image: {line}", file=sys.stderr, flush=True)


def main() -> int:
    """The process's exit status."""
    try:
        image = build_image(os.environ, _say, REPO / "build" / "image.tar")
    except ImageError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    print(f"{image.archive}\n{image.summary()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

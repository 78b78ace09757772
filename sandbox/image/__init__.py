"""The operator's container image, built with what this machine has, and how large it is.

    image = build_image(environ, say)
    image.archive       a docker-archive, as `docker load`, `kind load` and `ctr images import` read it

A container engine that answers (docker, podman) builds the Dockerfile as any user does. Without one, buildah does;
as it may have no registry to pull from, the base is then a Debian of our own, tagged as the Dockerfile's FROM.
"""

from __future__ import annotations

from .build import Image, build_image, version
from .errors import ImageError

__all__ = ["Image", "ImageError", "build_image", "version"]

"""A TCP port of loopback that a process of the sandbox will serve."""

from __future__ import annotations

import socket


class ReservedPort:
    """Nobody else gets ``number`` from the kernel before the process listens on it, nor after, until :meth:`release`.

    A port that was merely found free is lost now and then: as the source port of anyone's connection, even of the one
    that asks whether the process serves yet, which then is connected to itself. A socket that is bound and does not
    listen keeps the port, and one more with SO_REUSEADDR, as servers set it, may still listen there.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """The kernel may give it to others."""
        self._socket.close()

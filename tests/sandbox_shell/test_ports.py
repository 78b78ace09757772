"""A reserved port stays free for the process that will serve it."""

from __future__ import annotations

import socket

import pytest

from sandbox.ports import ReservedPort


def test_only_a_server_gets_a_reserved_port_and_nobody_is_answered_before_it_listens() -> None:
    port = ReservedPort()
    place = ("127.0.0.1", port.number)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(place)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place)
    for _ in range(2):
        with socket.create_server(place) as server, socket.create_connection(place) as client:
            accepted, peer = server.accept()
            accepted.close()
            assert peer == client.getsockname()
    port.release()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(place)


def test_the_kernel_gives_a_reserved_port_to_nobody() -> None:
    ports = [ReservedPort() for _ in range(200)]
    numbers = {port.number for port in ports}
    found = []
    for _ in range(500):
        server = socket.create_server(("127.0.0.1", 0))
        found.append(server)
    assert len(numbers) == 200
    assert not numbers & {server.getsockname()[1] for server in found}
    for each in found:
        each.close()
    for port in ports:
        port.release()

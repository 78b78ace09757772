"""Given a server with published releases, is it used, and is anything taken that is late or not what it should be?"""

from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.controlplane import ControlPlaneError
from sandbox.controlplane.errors import ReleaseError
from sandbox.controlplane.find import Finder
from sandbox.controlplane.local import LocalControlPlane
from sandbox.controlplane.pins import read_pins
from sandbox.controlplane.releases import Releases, downloading

if TYPE_CHECKING:
    from tests.controlplane.conftest import Machine

PINS = read_pins()
SWITCH = "MAILEGRESS_SANDBOX_RELEASES"
CHOICE = "MAILEGRESS_SANDBOX_CONTROLPLANE"
SERVERS = ["etcd", "kube-apiserver"]
PROGRAM = b"#!/bin/sh\nexit 0\n"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files; the test's output stays readable."""

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


class Mirror:
    """The releases of this machine's architecture in a directory, served on loopback."""

    def __init__(self, root: Path, url: str) -> None:
        releases = Releases.of({})
        assert releases is not None
        self.url = url
        self.releases = replace(releases, kubernetes=f"{url}/kubernetes", etcd=f"{url}/etcd")
        self._arch = releases.architecture
        self.kubernetes = root / "kubernetes" / PINS.kubernetes / "bin" / "linux" / self._arch
        self.etcd = root / "etcd" / PINS.etcd
        for directory in (self.kubernetes, self.etcd):
            directory.mkdir(parents=True)

    def publish(self, name: str, content: bytes = PROGRAM) -> Path:
        """A program with its true checksum; the file that is downloaded."""
        if name == "etcd":
            folder = f"etcd-{PINS.etcd}-linux-{self._arch}"
            path = self.etcd / f"{folder}.tar.gz"
            with tarfile.open(path, "w:gz") as tar:
                for file in ("README.md", "etcd", "etcdctl"):
                    entry = tarfile.TarInfo(f"{folder}/{file}")
                    data = content if file == "etcd" else b"something else"
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            other = f"{'0' * 64}  etcd-{PINS.etcd}-darwin-amd64.zip\n"
            (self.etcd / "SHA256SUMS").write_text(f"{other}{digest}  {path.name}\n")
            return path
        path = self.kubernetes / name
        path.write_bytes(content)
        path.with_name(f"{name}.sha256").write_text(hashlib.sha256(content).hexdigest())
        return path


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    root = tmp_path / "published"
    root.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Mirror(root, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.fixture
def machine(machine: Machine) -> Machine:
    machine.command("kubectl", machine.kubectl_script("v1.20.0"))
    machine.go()
    return machine


def find(machine: Machine) -> LocalControlPlane:
    plane = Finder(machine.environ, machine.said.append, controllers=False).find_or_build()
    assert isinstance(plane, LocalControlPlane)
    return plane


def left_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def test_verified_releases_are_used_and_only_our_own_program_is_built(
    machine: Machine, mirror: Mirror
) -> None:
    for name in SERVERS:
        mirror.publish(name)
    machine.environ[SWITCH] = mirror.url
    plane = find(machine)
    assert machine.builds == ["./certs"]
    assert plane.origin.startswith("published releases")
    assert left_in(machine.cache) == ["certs", *SERVERS]
    assert (machine.cache / "etcd").read_bytes() == PROGRAM
    assert plane.binaries.etcd.stat().st_mode & 0o777 == 0o755
    assert find(machine).origin.startswith("cache")


@pytest.mark.parametrize("name", SERVERS)
def test_a_file_that_does_not_match_its_checksum_is_thrown_away_and_built(
    machine: Machine, mirror: Mirror, name: str
) -> None:
    for each in SERVERS:
        changed = mirror.publish(each)
        if each == name:
            changed.write_bytes(changed.read_bytes() + b"!")
    machine.environ[SWITCH] = mirror.url
    assert find(machine).origin.startswith("Go build")
    assert any(name in built for built in machine.builds)
    assert (machine.cache / name).read_bytes() != PROGRAM
    assert any("has the SHA-256" in line and "building it instead" in line for line in machine.said)


@pytest.mark.parametrize("stated", ["", "<html>sign in</html>", "0" * 63])
def test_a_checksum_that_is_none_is_not_believed(machine: Machine, mirror: Mirror, stated: str) -> None:
    mirror.publish("kube-apiserver").with_name("kube-apiserver.sha256").write_text(stated)
    with pytest.raises(ReleaseError, match="states no SHA-256 of kube-apiserver"):
        mirror.releases.fetch(["kube-apiserver"], PINS, machine.cache, machine.said.append)
    assert left_in(machine.cache) == []


def test_what_was_verified_before_a_failure_is_kept(machine: Machine, mirror: Mirror) -> None:
    mirror.publish("etcd")
    machine.environ[SWITCH] = mirror.url
    find(machine)
    assert machine.builds == ["./certs", "k8s.io/kubernetes/cmd/kube-apiserver"]
    assert (machine.cache / "etcd").read_bytes() == PROGRAM


def test_a_server_that_cannot_be_reached_is_given_up_at_once_and_asked_once(machine: Machine) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        machine.environ[SWITCH] = f"http://127.0.0.1:{unused.getsockname()[1]}"
    assert find(machine).origin.startswith("Go build")
    assert len([line for line in machine.said if "building it instead" in line]) == 1


def test_a_server_that_accepts_and_is_silent_costs_five_seconds(machine: Machine) -> None:
    """What a firewall without an answer does. One question is asked, however many programs are missing."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        machine.environ[SWITCH] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert find(machine).origin.startswith("Go build")
        silent.setblocking(False)
        silent.accept()
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert any("did not answer in 5 s" in line for line in machine.said)


class Slow(Quiet):
    """Checksums at once; of any other file a byte every tenth of a second, or after one byte no more."""

    stalls = False
    ended = threading.Event()

    def do_GET(self) -> None:
        """Answer."""
        if self.path.endswith(".sha256"):
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not self.ended.is_set():
            try:
                self.wfile.write(b"x")
            except OSError:
                return
            self.ended.wait(60 if self.stalls else 0.1)


@pytest.mark.parametrize(("stalls", "says"), [(True, "timed out"), (False, "too slow")])
def test_a_download_that_stalls_or_crawls_is_given_up(
    machine: Machine, tmp_path: Path, stalls: bool, says: str
) -> None:
    handler = type("Handler", (Slow,), {"stalls": stalls, "ended": threading.Event()})
    root = tmp_path / "slow"
    root.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = Mirror(root, f"http://127.0.0.1:{server.server_port}")
        mirror.publish("kube-apiserver")
        hasty = replace(mirror.releases, timeout_s=1.0, whole_s=2.0)
        with pytest.raises(ReleaseError, match=says):
            hasty.fetch(["kube-apiserver"], PINS, machine.cache, machine.said.append)
        handler.ended.set()
        server.shutdown()
    assert left_in(machine.cache) == []


def test_an_archive_without_etcd_is_refused(machine: Machine, mirror: Mirror) -> None:
    path = mirror.publish("etcd")
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("etcd-of-somebody"))
    (mirror.etcd / "SHA256SUMS").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    with pytest.raises(ReleaseError, match="holds no file etcd"):
        mirror.releases.fetch(["etcd"], PINS, machine.cache, machine.said.append)
    assert left_in(machine.cache) == []


def test_releases_that_are_named_and_fail_are_an_error_and_nothing_is_built(
    machine: Machine, mirror: Mirror
) -> None:
    machine.environ |= {SWITCH: mirror.url, CHOICE: "releases"}
    with pytest.raises(ControlPlaneError, match=r"cannot be read: HTTP Error 404"):
        find(machine)
    assert machine.builds == []


def test_releases_that_are_switched_off_are_no_offer(machine: Machine) -> None:
    machine.environ[CHOICE] = "releases"
    with pytest.raises(ControlPlaneError, match=f"{SWITCH} is `off`"):
        find(machine)


def test_a_redirect_to_an_unencrypted_server_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Answer(io.BytesIO):
        """What urllib returns after following a redirect."""

        def geturl(self) -> str:
            return "http://elsewhere.example/kube-apiserver.sha256"

    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: Answer(b"0" * 64))
    with pytest.raises(ReleaseError, match="not encrypted"):
        Releases().fetch(["kube-apiserver"], PINS, tmp_path / "cache", print)


@pytest.mark.parametrize(
    ("done", "size", "line"),
    [
        (0, 100_000_000, "etcd: 0 MB after 10 s"),
        (20_000_000, 0, "etcd: 20 MB after 10 s"),
        (25_000_000, 100_000_000, "etcd: 25 % of 100 MB, about 30 s left"),
    ],
)
def test_progress_states_the_share_and_the_time_left(done: int, size: int, line: str) -> None:
    assert downloading("etcd", done, size, 10.0) == line

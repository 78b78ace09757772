"""Takes the control plane's programs from the projects' published releases instead of compiling them.

Never required: where the internet is not reachable within five seconds, or a checksum does not match, the Go build
makes the same programs. The releases are for Linux.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import platform
import re
import shutil
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from sandbox.locking import is_executable, locked

from .errors import ReleaseError
from .pins import Pins

SWITCH = "MAILEGRESS_SANDBOX_RELEASES"
_KUBERNETES = "https://dl.k8s.io/release"
_ETCD = "https://github.com/etcd-io/etcd/releases/download"
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TEXT_MAX = 64 * 1024
_FILE_MAX = 512 * 1024 * 1024
_PIECE = 256 * 1024
_PROGRESS_S = 5.0


@dataclass(frozen=True, slots=True)
class Releases:
    """Where published releases are, and how long they may take.

    Attributes:
        kubernetes: URL with one directory for each release of Kubernetes.
        etcd: URL with one directory for each release of etcd.
        architecture: ``amd64`` or ``arm64``.
        timeout_s: longest wait for a checksum, and for the next piece of a file.
        whole_s: longest time for everything; a build takes about as long.
    """

    kubernetes: str = _KUBERNETES
    etcd: str = _ETCD
    architecture: str = "amd64"
    timeout_s: float = 5.0
    whole_s: float = 300.0

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self | None:
        """Those that `environ` allows; None if it switches them off or there are none for this machine."""
        named = environ.get(SWITCH, "")
        architecture = _MACHINES.get(platform.machine().lower())
        if named == "off" or sys.platform != "linux" or architecture is None:
            return None
        if not named:
            return cls(architecture=architecture)
        base = named.rstrip("/")
        return cls(f"{base}/kubernetes", f"{base}/etcd", architecture)

    def fetch(self, names: Sequence[str], pins: Pins, target: Path, say: Callable[[str], None]) -> None:
        """Put those of the programs `names` into `target` that it lacks, each whole and verified.

        Raises:
            ReleaseError: one cannot be had in time, or is not what its checksum says; those before it are there.
        """
        target.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(target.name + ".lock")
        with locked(lock, say, f"another build into {target} is running; waiting for it"):
            for stale in target.glob(".downloading-*"):
                shutil.rmtree(stale, ignore_errors=True)
            deadline = time.monotonic() + self.whole_s
            for name in names:
                if not is_executable(target / name):
                    self._fetch(name, pins, target, say, deadline)

    def _fetch(
        self, name: str, pins: Pins, target: Path, say: Callable[[str], None], deadline: float
    ) -> None:
        if name == "etcd":
            file = f"etcd-{pins.etcd}-linux-{self.architecture}.tar.gz"
            url = f"{self.etcd}/{pins.etcd}/{file}"
            sums = f"{self.etcd}/{pins.etcd}/SHA256SUMS"
            listed = (line.split() for line in self._text(sums).splitlines())
            wanted = next((line[0] for line in listed if line[1:] == [file]), "")
        else:
            url = f"{self.kubernetes}/{pins.kubernetes}/bin/linux/{self.architecture}/{name}"
            sums = f"{url}.sha256"
            wanted = self._text(sums).strip()
        if not _SHA256.fullmatch(wanted):
            raise ReleaseError(f"{sums} states no SHA-256 of {url.rpartition('/')[2]}")
        with tempfile.TemporaryDirectory(prefix=".downloading-", dir=target) as scratch:
            path = Path(scratch, name)
            found = self._download(url, path, say, deadline)
            if found != wanted:
                raise ReleaseError(f"{url} has the SHA-256 {found}, and {sums} states {wanted}")
            if name == "etcd":
                path = _member(path, Path(scratch, "unpacked"))
            path.chmod(0o755)
            os.replace(path, target / name)
        say(f"{name}: downloaded from {url}, checksum verified")

    def _text(self, url: str) -> str:
        """A small file. Name resolution has no time-out of its own, so all of it happens beside this thread."""
        answer: list[str | Exception] = []

        def ask() -> None:
            try:
                with self._open(url) as response:
                    answer.append(response.read(_TEXT_MAX).decode())
            except (OSError, http.client.HTTPException, ValueError) as error:
                answer.append(error)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(self.timeout_s)
        if not answer or _timed_out(answer[0]):
            raise ReleaseError(f"{url} did not answer in {self.timeout_s:g} s")
        if isinstance(answer[0], Exception):
            raise ReleaseError(f"{url} cannot be read: {answer[0]}")
        return answer[0]

    def _download(self, url: str, path: Path, say: Callable[[str], None], deadline: float) -> str:
        """Write the file to `path`; its SHA-256."""
        hashed, done, shown = hashlib.sha256(), 0, time.monotonic()
        began = shown
        try:
            with self._open(url) as response, path.open("wb") as file:
                size = int(response.headers.get("Content-Length") or 0)
                while piece := response.read1(_PIECE):
                    hashed.update(piece)
                    file.write(piece)
                    done += len(piece)
                    now = time.monotonic()
                    if now > deadline or done > _FILE_MAX:
                        raise ReleaseError(
                            f"{url} is too slow or too large: {done} bytes after {now - began:.0f} s"
                        )
                    if now - shown > _PROGRESS_S:
                        shown = now
                        say(downloading(path.name, done, size, now - began))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ReleaseError(f"{url} cannot be downloaded: {error}") from error
        return hashed.hexdigest()

    def _open(self, url: str) -> http.client.HTTPResponse:
        response: http.client.HTTPResponse = urllib.request.urlopen(url, timeout=self.timeout_s)
        if url.startswith("https:") and not response.geturl().startswith("https:"):
            response.close()
            raise ValueError(f"redirected to {response.geturl()}, which is not encrypted")
        return response


def _timed_out(answer: str | Exception) -> bool:
    """Whether it is the socket's time-out, which ends at the same moment as the wait for the thread."""
    return isinstance(answer, TimeoutError) or isinstance(getattr(answer, "reason", None), TimeoutError)


def downloading(name: str, done: int, size: int, seconds: float) -> str:
    """One line about a download of `size` bytes (0: unknown) of which `done` came in `seconds`."""
    if not size or not done:
        return f"{name}: {done / 1e6:.0f} MB after {seconds:.0f} s"
    left = seconds * size / done - seconds
    return f"{name}: {100 * done // size} % of {size / 1e6:.0f} MB, about {left:.0f} s left"


def _member(archive: Path, unpacked: Path) -> Path:
    """The program etcd of its release's archive, written to `unpacked`."""
    try:
        with tarfile.open(archive) as tar:
            found = next(
                (each for each in tar if each.isfile() and each.name.rpartition("/")[2] == "etcd"), None
            )
            content: IO[bytes] | None = tar.extractfile(found) if found else None
            if content is None:
                raise ReleaseError("the archive of etcd holds no file etcd")
            with unpacked.open("wb") as file:
                while piece := content.read(_PIECE):
                    file.write(piece)
    except tarfile.TarError as error:
        raise ReleaseError(f"the archive of etcd cannot be unpacked: {error}") from error
    return unpacked

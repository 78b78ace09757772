"""A mail server of the internet as a pod on our own node sees it: Debian's Postfix, and what is between the two.

Postfix comes in a file system of its own, so that nothing is installed on the machine. It decides by itself whom it
refuses: by the PTR and the A record of the client, which it looks up in the sandbox's DNS.
"""

from __future__ import annotations

import shutil
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox.image import ImageError, debian
from sandbox.packages import need_programs, with_sbin
from sandbox.tools.cache import Cache
from sandbox.waiting import Overdue, wait_until

from .cluster import E2eError

MAIL_ZONE = "example.org"
CLOSED_DOMAIN, NULL_DOMAIN = f"closed.{MAIL_ZONE}", f"null.{MAIL_ZONE}"
SMTP_PORT, ECHO_PORT = 25, 80
_MX, _ECHO, _CLOSED, _RESOLVER = 25, 26, 27, 101
"""Last number of each host's address."""
_RECIPE = debian.Recipe(("postfix",))
_READY_S = 60.0
_TABLE = "mailegress-e2e"

# Refused at once, not at RCPT: a client that sends no mail learns of it, too.
_MAIN = """\
compatibility_level = 3.6
myhostname = mx.{zone}
mydestination = {zone}
mynetworks = 127.0.0.0/8
inet_interfaces = {address}
inet_protocols = ipv4
smtpd_delay_reject = no
smtpd_client_restrictions = reject_unknown_client_hostname
maillog_file = /var/log/postfix.log
"""
_MASTER = """\
smtp      inet  n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
local     unix  - n n - - local
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


def mail_records(network: str) -> list[tuple[str, str, str]]:
    """Name, type and value of the records of :data:`MAIL_ZONE`, in a /24 written ``a.b.c``."""
    return [
        (MAIL_ZONE, "MX", f"10 mx.{MAIL_ZONE}."),
        (f"mx.{MAIL_ZONE}", "A", f"{network}.{_MX}"),
        (CLOSED_DOMAIN, "A", f"{network}.{_CLOSED}"),
        (NULL_DOMAIN, "MX", "0 ."),
    ]


def mail_root(environ: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """A packed file system with Postfix, made once, from where this machine's apt fetches.

    Raises:
        RuntimeError: mmdebstrap is missing.
        ImageError: it failed.
    """
    need_programs({"mmdebstrap": "mmdebstrap"}, "make a mail server for the probe", environ, say)
    program = shutil.which("mmdebstrap", path=with_sbin(environ)["PATH"])

    def make(scratch: Path) -> Path:
        say("making a Debian with Postfix, once; about two minutes")
        packed = scratch / "root.tar"
        line = debian.command(Path(str(program)), packed, _RECIPE)
        done = subprocess.run(
            line,
            env=with_sbin(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ImageError(f"`{' '.join(line[:3])} …` failed:\n{done.stderr.strip()[-2000:]}")
        # The cache takes programs only.
        packed.chmod(0o755)
        return packed

    return Cache.of(environ, say).ensure("mail-server", debian.digest(_RECIPE), make)


class MailHost:
    """In the network namespace of this process, which is ours alone: its packet filter is changed.

    ``root``: from :func:`mail_root`. ``pods``: the addresses of the pods, which leave from another one.
    """

    def __init__(self, root: Path, pods: str, network: str = "192.0.2") -> None:
        self._root, self._pods, self._network = root, pods, network

    @property
    def echo(self) -> str:
        """URL of a service that answers with its caller's address."""
        return f"http://{self._at(_ECHO)}:{ECHO_PORT}/"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Both servers. Raises :class:`E2eError` if Postfix does not start."""
        with (
            tempfile.TemporaryDirectory(prefix="mail-") as directory,
            self._postfix(Path(directory)),
            self._echo(),
        ):
            try:
                yield
            finally:
                self._filter([])

    def leave_from(self, address: str, *, blocked: bool = False) -> None:
        """From now on, the servers see pods come from this address; ``blocked``: packets to port 25 are dropped."""
        both = f"{{ {self._at(_MX)}, {self._at(_ECHO)}, {self._at(_CLOSED)} }}"
        rules = [
            "add chain ip {table} out { type nat hook input priority 100 ; }",
            f"add rule ip {{table}} out ip saddr {self._pods} ip daddr {both} snat to {address}",
        ]
        if blocked:
            rules += [
                "add chain ip {table} block { type filter hook input priority 0 ; }",
                f"add rule ip {{table}} block ip daddr {self._at(_MX)} tcp dport {SMTP_PORT} drop",
            ]
        self._filter(rules)

    def _filter(self, rules: Sequence[str]) -> None:
        # `add` before `delete`: there may be no table yet.
        lines = ["add table ip {table}", "delete table ip {table}", "add table ip {table}", *rules]
        text = "\n".join(line.replace("{table}", _TABLE) for line in lines) + "\n"
        _run(["nft", "--file", "-"], text)

    def _at(self, number: int) -> str:
        return f"{self._network}.{number}"

    @contextmanager
    def _postfix(self, root: Path) -> Iterator[None]:
        _run(["tar", "--extract", "--file", str(self._root), "--directory", str(root), "--numeric-owner"])
        (root / "etc/resolv.conf").write_text(f"nameserver {self._at(_RESOLVER)}\n")
        (root / "etc/postfix/main.cf").write_text(_MAIN.format(zone=MAIL_ZONE, address=self._at(_MX)))
        (root / "etc/postfix/master.cf").write_text(_MASTER)
        log = root / "var/log/postfix.log"
        # Postfix serves addresses of interfaces only, and the node has a route to it.
        _run(["ip", "address", "replace", f"{self._at(_MX)}/32", "dev", "lo"])
        with (root / "start.log").open("wb") as output:
            process = subprocess.Popen(
                ["chroot", str(root), "/usr/sbin/postfix", "start-fg"],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:

            def started() -> bool:
                if process.poll() is not None:
                    raise Overdue("it ended")
                return log.exists() and "daemon started" in log.read_text(errors="replace")

            try:
                wait_until(started, _READY_S, "Postfix to start")
            except Overdue as error:
                said = [
                    path.read_text(errors="replace") for path in (root / "start.log", log) if path.exists()
                ]
                raise E2eError(f"Postfix does not start: {error}\n{''.join(said)[-2000:]}") from error
            yield
        finally:
            # Its first process takes the others along.
            process.terminate()
            process.wait(_READY_S)

    @contextmanager
    def _echo(self) -> Iterator[None]:
        with socketserver.ThreadingTCPServer((self._at(_ECHO), ECHO_PORT), _Echo) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()


class _Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        text = f"{self.client_address[0]}\n"
        self.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())


def _run(command: Sequence[str], text: str = "") -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise E2eError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()}")

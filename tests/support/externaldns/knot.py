"""Knot DNS from Debian, with one zone that takes updates and transfers with a TSIG key (RFC 2136, RFC 5936)."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Self

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update

from sandbox.externaldns.model import RecordSets
from sandbox.tools import tool
from sandbox.waiting import wait_until

KEY, SECRET = "external-dns", base64.b64encode(b"thirty-two bytes for hmac-sha256").decode()
_TYPES = ("A", "AAAA", "CNAME", "TXT")
_TIMEOUT = 5.0


class Knot:
    """A context manager: one server. ``servers``: the name of each name server of the zone and its address.

    ``primary``: this one is its secondary, and reads the zone from it when it starts.
    """

    def __init__(
        self,
        directory: Path,
        zone: str,
        servers: dict[str, str],
        port: int,
        primary: Knot | None = None,
    ) -> None:
        self.zone, self.servers, self.port = zone, servers, port
        self.address = list(servers.values())[primary is not None]
        self._primary = primary
        self._refresh = 300
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._keys = dns.tsigkeyring.from_text({f"{KEY}.": SECRET})

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        if self._primary is None:
            self._write_zone()
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)

    def follow(self) -> None:
        """A secondary, which read the zone of its primary once, reads it every two seconds from now on."""
        self.__exit__()
        self._refresh = 2
        self._start()

    def _write_zone(self) -> None:
        hosts = "".join(f"{name} 300 IN A {address}\n" for name, address in self.servers.items())
        names = "".join(f"{self.zone}. 300 IN NS {name}\n" for name in self.servers)
        soa = (
            f"{self.zone}. 300 IN SOA {next(iter(self.servers))} hostmaster.{self.zone}. 1 300 300 300 300\n"
        )
        (self._directory / f"{self.zone}.zone").write_text(soa + names + hosts, encoding="utf-8")

    def _start(self) -> None:
        configuration = self._directory / "knot.conf"
        configuration.write_text(self._configuration(), encoding="utf-8")
        with (self._directory / "knot.log").open("wb") as log:
            self._process = subprocess.Popen(
                [tool("knotd"), "--config", configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._serves, 20.0, "Knot to serve its zone", seen=self._log)

    # ------------------------------------------------ the zone, for what is not external-dns

    def serves(self, name: str) -> bool:
        return f".{name}".endswith(f".{self.zone}")

    def at(self, name: str) -> RecordSets:
        found = {}
        for rtype in _TYPES:
            reply = self._ask(name, rtype)
            for rrset in reply.answer:
                if dns.rdatatype.to_text(rrset.rdtype) == rtype:
                    values = sorted(rdata.to_text() for rdata in rrset)
                    found[rtype] = (rrset.ttl, tuple(values))
        return found

    def put(self, name: str, ttl: int, values: tuple[str, ...], rtype: str = "A") -> None:
        update = self._update()
        update.replace(f"{name}.", ttl, rtype, *values)
        self._send(update)

    def remove(self, name: str, rtype: str = "A") -> None:
        update = self._update()
        update.delete(f"{name}.", rtype)
        self._send(update)

    # ------------------------------------------------ inside

    def _update(self) -> dns.update.UpdateMessage:
        return dns.update.UpdateMessage(
            self.zone, keyring=self._keys, keyname=dns.name.from_text(KEY), keyalgorithm=dns.tsig.HMAC_SHA256
        )

    def _send(self, update: dns.update.UpdateMessage) -> None:
        reply = dns.query.tcp(update, self.address, timeout=_TIMEOUT, port=self.port)
        assert reply.rcode() == dns.rcode.NOERROR, reply

    def _ask(self, name: str, rtype: str, timeout: float = _TIMEOUT) -> dns.message.Message:
        question = dns.message.make_query(f"{name}.", rtype)
        return dns.query.udp(question, self.address, timeout=timeout, port=self.port)

    def _serves(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log()
        try:
            return self._ask(self.zone, "SOA", 0.1).rcode() == dns.rcode.NOERROR
        except (dns.exception.Timeout, OSError):
            return False

    def _log(self) -> str:
        return (self._directory / "knot.log").read_text(encoding="utf-8", errors="replace")

    def _configuration(self) -> str:
        remote = master = ""
        if self._primary is not None:
            remote = f"""remote:
  - id: primary
    address: {self._primary.address}@{self._primary.port}
    key: {KEY}
"""
            lines = [
                "master: primary",
                "zonefile-load: none",
                "zonefile-sync: -1",
                "journal-content: none",
                f"refresh-max-interval: {self._refresh}",
            ]
            master = "".join(f"    {line}\n" for line in lines)
        return f"""server:
    rundir: "{self._directory}"
    listen: {self.address}@{self.port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stdout
    any: info
database:
    storage: "{self._directory}"
key:
  - id: {KEY}
    algorithm: hmac-sha256
    secret: {SECRET}
acl:
  - id: with-key
    key: {KEY}
    action: [ transfer, update ]
{remote}zone:
  - domain: {self.zone}
    storage: "{self._directory}"
    acl: with-key
{master}"""

"""``dig`` for the sandbox: as the real one, but asking the sandbox's recursor unless a server is named.

Where a real dig comes later in PATH it is run with ``@server -p port`` added; elsewhere a small dig of our
own answers the common questions. Runs as a script, so it imports nothing of this package.
"""

from __future__ import annotations

import ipaddress
import os
import shlex
import stat
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.reversename

SERVER_VARIABLE = "SANDBOX_DNS_SERVER"
PORT_VARIABLE = "SANDBOX_DNS_PORT"
DIRECTORY_VARIABLE = "SANDBOX_DIG_DIR"
_SANDBOX_NET = ipaddress.ip_network("127.0.53.0/24")
_NO_REPLY = 9
"""dig's exit status where no server replied."""


def install(directory: Path, server: str, port: int) -> Path:
    """Write an executable ``dig`` into ``directory`` for this server and port."""
    directory.mkdir(parents=True, exist_ok=True)
    script = directory / "dig"
    settings = {SERVER_VARIABLE: server, PORT_VARIABLE: str(port), DIRECTORY_VARIABLE: str(directory)}
    words = [*(f"{name}={shlex.quote(value)}" for name, value in settings.items()), "exec"]
    words += [shlex.quote(sys.executable), "-I", shlex.quote(str(Path(__file__).resolve())), '"$@"']
    script.write_text("#!/bin/sh\n" + " ".join(words) + "\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return script


def find_dig(path: str, own_directory: str) -> str | None:
    """The first ``dig`` in PATH outside our own directory."""
    own = os.path.realpath(own_directory)
    for directory in path.split(os.pathsep):
        if directory and os.path.realpath(directory) != own:
            candidate = os.path.join(directory, "dig")
            if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
                return candidate
    return None


def complete(arguments: Sequence[str], server: str, port: int) -> list[str]:
    """The arguments with server and port added where they are missing.

    A sandbox name server given by name is replaced by its address (the system's resolver does not know it).
    No port is added for a server outside the sandbox.
    """
    found: list[str] = []
    ours, named, has_port = True, False, False
    for given in arguments:
        argument = given
        if argument.startswith("@"):
            named = True
            address = _address(argument[1:], server, port)
            ours = ours and _in_sandbox(address)
            argument = "@" + address
        has_port = has_port or (argument.startswith("-p") and (argument == "-p" or argument[2:].isdigit()))
        found.append(argument)
    if ours and not has_port:
        found = ["-p", str(port), *found]
    return found if named else [f"@{server}", *found]


def _in_sandbox(server: str) -> bool:
    try:
        return ipaddress.ip_address(server) in _SANDBOX_NET
    except ValueError:
        return False


def _address(server: str, recursor: str, port: int) -> str:
    try:
        ipaddress.ip_address(server)
        return server
    except ValueError:
        pass
    try:
        reply = dns.query.udp(dns.message.make_query(server, "A"), recursor, timeout=2, port=port)
    except (dns.exception.DNSException, OSError):
        return server
    found = [rdata.address for rrset in reply.answer if rrset.rdtype == dns.rdatatype.A for rdata in rrset]
    return found[0] if found and _in_sandbox(found[0]) else server


@dataclass(slots=True)
class Command:
    """What the small dig understood of its arguments."""

    server: str = ""
    port: int = 53
    questions: list[tuple[str, str]] = field(default_factory=list)
    short: bool = False
    recurse: bool = True
    tcp: bool = False


def parse(arguments: Sequence[str]) -> Command:
    """Read dig's usual arguments; options that only change the looks are ignored.

    Raises ValueError for a value that makes no sense.
    """
    command = Command()
    rtype = None
    rest = iter(arguments)
    for argument in rest:
        if argument.startswith("@"):
            command.server = argument[1:]
        elif argument.startswith("+"):
            _flag(command, argument[1:].lower())
        elif argument.startswith("-p"):
            command.port = int(argument[2:] or next(rest, ""))
        elif argument == "-x":
            name = dns.reversename.from_address(next(rest, "")).to_text()
            command.questions.append((name, "PTR"))
        elif argument in ("-t", "-q", "-c"):
            value = next(rest, "")
            if argument == "-q":
                command.questions.append((value, rtype or "A"))
            elif argument == "-t":
                rtype = _retype(command, value.upper())
        elif argument.startswith("-") or argument.upper() in ("IN", "CH"):
            continue
        elif _is_type(argument) and "." not in argument:
            rtype = _retype(command, argument.upper())
        else:
            command.questions.append((argument, rtype or "A"))
            rtype = None
    if not command.questions:
        command.questions.append((".", rtype or "NS"))
    return command


def _flag(command: Command, flag: str) -> None:
    if flag in ("short", "noshort"):
        command.short = flag == "short"
    elif flag in ("rec", "recurse", "rdflag", "norec", "norecurse", "nordflag"):
        command.recurse = not flag.startswith("no")
    elif flag in ("tcp", "vc", "notcp", "novc"):
        command.tcp = not flag.startswith("no")


def _retype(command: Command, rtype: str) -> str | None:
    """A type after a name belongs to that name; before any name, to the next."""
    dns.rdatatype.from_text(rtype)
    if not command.questions:
        return rtype
    command.questions[-1] = (command.questions[-1][0], rtype)
    return None


def _is_type(word: str) -> bool:
    try:
        dns.rdatatype.from_text(word)
    except (dns.exception.DNSException, ValueError):
        return False
    return True


def ask(command: Command, qname: str, qtype: str) -> tuple[dns.message.Message, float]:
    """One query; the reply and how long it took in milliseconds. Raises OSError or DNSException."""
    query = dns.message.make_query(dns.name.from_text(qname), qtype, use_edns=0, payload=1232)
    if not command.recurse:
        query.flags &= ~dns.flags.RD
    begin = time.monotonic()
    if command.tcp:
        reply = dns.query.tcp(query, command.server, timeout=5, port=command.port)
    else:
        reply, _ = dns.query.udp_with_fallback(query, command.server, timeout=5, port=command.port)
    return reply, (time.monotonic() - begin) * 1000


def render(command: Command, reply: dns.message.Message, took: float) -> str:
    """Text in dig's layout."""
    if command.short:
        return "".join(rdata.to_text() + "\n" for rrset in reply.answer for rdata in rrset)
    flags = dns.flags.to_text(reply.flags).lower()
    counts = [sum(len(rrset) for rrset in part) for part in (reply.answer, reply.authority, reply.additional)]
    lines = [
        ";; Got answer:",
        f";; ->>HEADER<<- opcode: QUERY, status: {dns.rcode.to_text(reply.rcode())}, id: {reply.id}",
        f";; flags: {flags}; QUERY: 1, ANSWER: {counts[0]}, AUTHORITY: {counts[1]}, ADDITIONAL: {counts[2]}",
        "",
        ";; QUESTION SECTION:",
        *(f";{q.name}\t\tIN\t{dns.rdatatype.to_text(q.rdtype)}" for q in reply.question),
    ]
    sections = (("ANSWER", reply.answer), ("AUTHORITY", reply.authority), ("ADDITIONAL", reply.additional))
    for title, rrsets in sections:
        if rrsets:
            lines += ["", f";; {title} SECTION:"]
        for rrset in rrsets:
            kind = dns.rdatatype.to_text(rrset.rdtype)
            lines += [f"{rrset.name}\t{rrset.ttl}\tIN\t{kind}\t{rdata.to_text()}" for rdata in rrset]
    server = f"{command.server}#{command.port}"
    lines += ["", f";; Query time: {took:.0f} msec", f";; SERVER: {server}({command.server})", ""]
    return "\n".join(lines) + "\n"


def run(arguments: Sequence[str]) -> int:
    """The small dig. Exit status as dig's: 0 for any reply, 9 for none, 1 for bad arguments."""
    try:
        command = parse(arguments)
    except (dns.exception.DNSException, ValueError) as error:
        print(f";; bad arguments: {error}", file=sys.stderr)
        return 1
    status = 0
    for qname, qtype in command.questions:
        try:
            reply, took = ask(command, qname, qtype)
        except (dns.exception.DNSException, OSError) as error:
            print(f";; no servers could be reached ({error})")
            status = _NO_REPLY
            continue
        print(render(command, reply, took), end="")
    return status


def main() -> int:
    """Run the real dig with the sandbox's server, or the small one."""
    server, port = os.environ[SERVER_VARIABLE], int(os.environ[PORT_VARIABLE])
    arguments = complete(sys.argv[1:], server, port)
    real = find_dig(os.environ.get("PATH", ""), os.environ.get(DIRECTORY_VARIABLE, ""))
    if real is not None:
        os.execv(real, [real, *arguments])
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())

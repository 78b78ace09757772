"""From the report of the probe's pod and the addresses of the status to one of six outcomes, each with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from mailegress.api.text import enumerated
from mailegress.api.validation import is_public_ipv4
from mailegress.model.mail import NoRoute
from mailegress.tools.probe.report import Report
from mailegress.tools.probe.smtp import PORT, Connection

FORM = "Request to remove email sending limitations"


class Outcome(Enum):
    """``value``: its word in JSON, and the exit code."""

    OPEN = ("open", 0)
    BLOCKED = ("blocked", 3)
    REFUSED = ("refused", 4)
    OTHER_ADDRESS = ("otherAddress", 5)
    REJECTED = ("rejected", 6)
    NO_VERDICT = ("noVerdict", 7)

    @property
    def word(self) -> str:
        return self.value[0]

    @property
    def code(self) -> int:
        return self.value[1]


class Evidence(StrEnum):
    """Who named the address from which the connection came."""

    SERVER = "server"
    ECHO = "echo"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Source:
    """From which address the connection came; empty = nobody named it. ``note``: what was said beside it."""

    address: str = ""
    evidence: Evidence = Evidence.NONE
    note: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``in_status``: None = the address is not known."""

    outcome: Outcome
    message: str
    to_do: str
    source: Source = Source()
    in_status: bool | None = None


def judge(report: Report, wanted: Sequence[str], target: str, namespace: str) -> Verdict:
    """``wanted``: the addresses in the status of the MailEgress; ``target``: to whom mail was to go."""
    source = _source(report)
    found = _connected(report, wanted, source) or _not_connected(report, target, namespace)
    return replace(found, source=source, in_status=source.address in wanted if source.address else None)


def _not_connected(report: Report, target: str, namespace: str) -> Verdict:
    talk = report.conversation
    server = _server(report)
    if talk.connection is Connection.NOT_TRIED:
        return Verdict(
            Outcome.NO_VERDICT,
            f"No connection was made: {talk.problem}.",
            _no_route(report, target, namespace),
        )
    if talk.connection is Connection.TIMEOUT:
        return Verdict(
            Outcome.BLOCKED,
            f"Port {PORT} is blocked: {server} gives {talk.problem}.",
            f'AWS blocks outbound port {PORT} until the owner of the account has sent the form "{FORM}", '
            "which applies to one account and region. If that was done, let port 25 to all addresses out in the "
            "security group of the node, in the network ACL of its subnet and in the NetworkPolicies of namespace "
            f"{namespace}. To see whether it is the server, try another domain.",
        )
    if talk.connection is Connection.UNREACHABLE:
        return Verdict(
            Outcome.BLOCKED,
            f"Port {PORT} cannot be reached: {server}: {talk.problem}.",
            "The node has no route to it, or something on the way rejects it: check the route table of the "
            "node's subnet (0.0.0.0/0 to the NAT gateway) and the NetworkPolicies of namespace "
            f"{namespace}.",
        )
    return Verdict(
        Outcome.REFUSED,
        f"Connections to port {PORT} are refused: {server}.",
        f"The answer came back, so AWS does not block port {PORT}. The server takes no mail there, or a firewall "
        "rejects it: try another domain. If every domain refuses, a NetworkPolicy or an egress firewall of the "
        "cluster rejects port 25.",
    )


def _connected(report: Report, wanted: Sequence[str], source: Source) -> Verdict | None:
    """None without a connection."""
    if report.conversation.connection is not Connection.OPEN:
        return None
    server = _server(report)
    if not source.address or source.address in wanted:
        return _greeted(report, server, source)
    if not wanted:
        return Verdict(
            Outcome.NO_VERDICT,
            f"Port {PORT} of {server} is open, and mail leaves from {source.address}, but the status has no address.",
            "Repeat it when `kubectl mailegress status` shows the addresses of the MailEgress.",
        )
    return Verdict(
        Outcome.OTHER_ADDRESS,
        f"Mail leaves from {source.address}, which is not in the status ({enumerated(sorted(wanted))}). "
        f"Port {PORT} of {server} is open.",
        "Compare the route table of the node's subnet: 0.0.0.0/0 has to lead to the NAT gateway of the "
        "MailEgress. A node with a public address of its own, another group of nodes and hostNetwork have other "
        f"ways out. Correct the route, or name in spec.elasticIPs what has {source.address}.",
    )


def _greeted(report: Report, server: str, source: Source) -> Verdict:
    """The port is open, and the address is one of the status or not known."""
    talk = report.conversation
    refusal = next((r for r in (talk.banner, talk.ehlo) if r is not None and not r.positive), None)
    if refusal is not None:
        step = "greets with" if refusal is talk.banner else "answers EHLO with"
        later = " It may accept later." if refusal.code < 500 else ""
        return Verdict(
            Outcome.REJECTED,
            f"Port {PORT} is open, but {server} {step} {refusal.code} {refusal.text}".rstrip() + ".",
            f"Follow the server's text.{later} It usually names a block list or the PTR of the address: run "
            "`mailegress check` on it.",
        )
    if talk.problem or talk.ehlo is None:
        return Verdict(
            Outcome.NO_VERDICT,
            f"Something accepts connections on port {PORT} of {server}, but it does not speak SMTP to the end: "
            f"{talk.problem or 'no reply to EHLO'}.",
            "Repeat it with a longer --timeout-seconds, then with another domain. If no server greets, a proxy on "
            f"the way takes the connections to port {PORT}.",
        )
    if source.address:
        return Verdict(
            Outcome.OPEN,
            f"Port {PORT} is open, and mail leaves from {source.address}, which is in the status.",
            "Nothing.",
        )
    return Verdict(
        Outcome.OPEN,
        f"Port {PORT} is open: {server} answers. From which address mail leaves is not known.",
        "To find it, probe a server that names its client in the reply to EHLO, or give --address-from the URL of a "
        "service that answers with its caller's address.",
    )


def _source(report: Report) -> Source:
    """From which address the connection came, who said so, and what was said against it."""
    seen = report.conversation.seen
    public = [address for address in seen if is_public_ipv4(address)]
    echo = report.echo
    if len(public) == 1:
        note = ""
        if echo is not None and echo.address and echo.address != public[0]:
            note = f"--address-from names {echo.address}: that port takes another way than port {PORT}"
        return Source(public[0], Evidence.SERVER, note)
    note = ""
    if len(public) > 1:
        note = f"the server names several addresses ({', '.join(public)})"
    elif seen:
        note = f"the server names {seen[0]}, which is not public: a proxy or load balancer is in front of it"
    if echo is not None and echo.problem:
        note = "; ".join(filter(None, (note, f"--address-from gave no address: {echo.problem}")))
    if echo is not None and is_public_ipv4(echo.address):
        return Source(echo.address, Evidence.ECHO, note)
    return Source(note=note)


def _server(report: Report) -> str:
    same = report.host in ("", report.address)
    return report.address if same else f"{report.host} [{report.address}]"


def _no_route(report: Report, target: str, namespace: str) -> str:
    remedies = {
        NoRoute.NO_DOMAIN: "Give a domain that exists: what follows the @ in the address of a recipient.",
        NoRoute.NULL_MX: f"{target} takes no mail at all (RFC 7505); give another domain.",
        NoRoute.NO_ADDRESS: "Give another domain, or correct the MX records if it is yours.",
        NoRoute.IPV6_ONLY: "An Elastic IP is IPv4: give a domain whose mail servers have an IPv4 address.",
        NoRoute.NO_ANSWER: f"The pod gets no answer from DNS: let port 53 out in the NetworkPolicies of namespace "
        f"{namespace}, and look at the cluster's DNS. To leave DNS out, give the address of a mail server with --to.",
    }
    return remedies[report.no_route or NoRoute.NO_ANSWER]

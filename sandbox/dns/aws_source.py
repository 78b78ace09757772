"""The AWS sandbox's publication as the DNS sandbox's source."""

from __future__ import annotations

import re

from sandbox.aws.model.publish import Publication
from sandbox.dns.source import PublicZone
from sandbox.dns.values import Records, absolute

_ESCAPE = re.compile(r"\\(\d{3}|.)")


class AwsSource:
    """Adapts names (octal escapes in Route 53, decimal in DNS text); wildcards are the name servers' work."""

    def __init__(self, publication: Publication) -> None:
        self._publication = publication

    def public_zones(self) -> list[PublicZone]:
        return [
            PublicZone(zone.id, zone.name, tuple(absolute(server) for server in zone.name_servers))
            for zone in self._publication.public_zones()
        ]

    def lookup(self, zone_id: str, server_name: str, qname: str) -> Records | None:
        name = _ESCAPE.sub(_octal, qname) if "\\" in qname else qname
        try:
            found = self._publication.lookup(zone_id, server_name, name)
        except KeyError:  # deleted, or served by others by now
            return None
        if found.wildcard or not found.exists:
            return None
        return found.rrsets

    def ptr(self, ip: str) -> tuple[str, int] | None:
        return self._publication.ptr(ip)


def _octal(match: re.Match[str]) -> str:
    text = match.group(1)
    return f"\\{int(text) if len(text) == 3 else ord(text):03o}"

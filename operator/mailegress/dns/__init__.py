"""Authoritative and recursive look-ups. The only importer of dnspython."""

from mailegress.dns.query import DnsQuery, DnsTimeout, Server
from mailegress.dns.service import DnsService
from mailegress.dns.settings import DnsSettings, SettingError, named_server
from mailegress.dns.wiring import build_dns, wire_query

__all__ = [
    "DnsQuery",
    "DnsService",
    "DnsSettings",
    "DnsTimeout",
    "Server",
    "SettingError",
    "build_dns",
    "named_server",
    "wire_query",
]

"""Settings are refused with the value and the remedy named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.dns import DnsSettings, Server, SettingError, parse_server, parse_servers


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.7", Server("192.0.2.7", "192.0.2.7", 53)),
        (" 192.0.2.7:5353 ", Server("192.0.2.7:5353", "192.0.2.7", 5353)),
        ("2001:db8::1", Server("2001:db8::1", "2001:db8::1", 53)),
        ("[2001:DB8::1]", Server("2001:db8::1", "2001:db8::1", 53)),
        ("[2001:db8::1]:5353", Server("[2001:db8::1]:5353", "2001:db8::1", 5353)),
        ("1.1.1.1", Server("Cloudflare 1.1.1.1", "1.1.1.1", 53)),
        ("8.8.8.8:53", Server("Google 8.8.8.8", "8.8.8.8", 53)),
    ],
)
def test_server_forms(text: str, server: Server) -> None:
    assert parse_server(text) == server


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("dns.google", "not an IP address"),
        ("", "not an IP address"),
        ("1.1.1", "not an IP address"),
        ("1.1.1.1:", "from 1 to 65535"),
        ("1.1.1.1:0", "from 1 to 65535"),
        ("1.1.1.1:65536", "from 1 to 65535"),
        ("1.1.1.1:²", "from 1 to 65535"),
        ("1.1.1.1:dns", "from 1 to 65535"),
        ("[1.1.1.1]:53", "without them"),
        ("[2001:db8::1]5353", "not an IP address"),
        ("2001:db8::1:53:99:99:99:99:99", "not an IP address"),
    ],
)
def test_server_forms_refused(text: str, hint: str) -> None:
    with pytest.raises(SettingError, match=hint) as refused:
        parse_server(text)
    assert repr(text) in str(refused.value)


def test_lists() -> None:
    assert parse_servers("off") == parse_servers("") == parse_servers(" None ") == ()
    assert [s.port for s in parse_servers("127.0.53.1,127.0.53.2:54", default_port=5353)] == [5353, 54]
    with pytest.raises(SettingError, match="named twice"):
        parse_servers("9.9.9.9, 9.9.9.9:53")


def test_defaults_reach_the_public_dns() -> None:
    settings = DnsSettings()
    assert len({s.address for s in settings.roots}) == 13
    assert [s.address for s in settings.resolvers] == ["1.1.1.1", "8.8.8.8", "9.9.9.9"]
    assert {s.port for s in (*settings.roots, *settings.resolvers)} == {settings.authority_port} == {53}


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"roots": ()}, "root"),
        ({"authority_port": 70000}, "70000"),
        ({"timeout_seconds": 0.0}, "timeout_seconds"),
        ({"max_queries": 0}, "max_queries"),
        ({"delegation_seconds": float("nan")}, "delegation_seconds"),
        ({"min_cache_seconds": 601.0}, "delegation_seconds"),
        ({"max_backoff_seconds": 0.5}, "backoff_seconds"),
    ],
)
def test_values_refused(change: dict[str, object], hint: str) -> None:
    with pytest.raises(SettingError, match=hint):
        replace(DnsSettings(), **change)  # type: ignore[arg-type]

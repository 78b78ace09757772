"""Settings are refused with the value and the remedy named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailegress.dns import DnsSettings, Server, SettingError, named_server


@pytest.mark.parametrize(
    ("address", "port", "name"),
    [
        ("192.0.2.7", 53, "192.0.2.7"),
        ("192.0.2.7", 5353, "192.0.2.7:5353"),
        ("2001:db8::1", 53, "2001:db8::1"),
        ("2001:db8::1", 5353, "[2001:db8::1]:5353"),
        ("1.1.1.1", 53, "Cloudflare 1.1.1.1"),
        ("8.8.8.8", 5353, "Google 8.8.8.8:5353"),
    ],
)
def test_a_server_has_a_name_for_messages(address: str, port: int, name: str) -> None:
    assert named_server(address, port) == Server(name, address, port)


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

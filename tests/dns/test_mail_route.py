"""Which server takes the mail of a domain, as the resolvers answer."""

from __future__ import annotations

import pytest

from mailegress.dns import DnsSettings
from mailegress.dns.mail_route import MailRoutes, system_resolvers
from mailegress.model.mail import MailServer, NoMailServer, NoRoute
from tests.support.internet import RESOLVERS, Internet, VirtualTime, Zone, absolute

DOMAIN = "shop.example.com"


@pytest.fixture
def example(internet: Internet) -> Zone:
    return internet.zones[absolute("example.com")]


async def find(internet: Internet, settings: DnsSettings, time: VirtualTime) -> MailServer:
    routes = MailRoutes(settings, internet, time.clock, time.sleep)
    return await time.run(routes.find(DOMAIN))


async def test_the_best_mail_server_with_an_address_is_taken(
    internet: Internet, settings: DnsSettings, time: VirtualTime, example: Zone
) -> None:
    example.put(DOMAIN, "MX", "20 second.example.com.", "10 first.example.com.", "5 gone.example.com.")
    example.put("first.example.com", "A", "198.51.100.25", "198.51.100.26")
    example.put("second.example.com", "A", "198.51.100.27")
    assert await find(internet, settings, time) == MailServer("first.example.com", "198.51.100.25")


async def test_without_mx_records_the_domain_itself_is_the_server(
    internet: Internet, settings: DnsSettings, time: VirtualTime, example: Zone
) -> None:
    example.put(DOMAIN, "A", "198.51.100.25")
    assert await find(internet, settings, time) == MailServer(DOMAIN, "198.51.100.25")


@pytest.mark.parametrize(
    ("records", "kind", "says"),
    [
        ([(DOMAIN, "MX", "0 .")], NoRoute.NULL_MX, "null MX"),
        (
            [(DOMAIN, "MX", "10 mx.example.com."), ("mx.example.com", "AAAA", "2001:db8::25")],
            NoRoute.IPV6_ONLY,
            "IPv6",
        ),
        ([(DOMAIN, "MX", "10 gone.example.com.")], NoRoute.NO_ADDRESS, "gone.example.com has no address"),
        ([(DOMAIN, "TXT", '"text"')], NoRoute.NO_ADDRESS, "has no address"),
        ([], NoRoute.NO_DOMAIN, "does not exist"),
    ],
)
async def test_a_domain_without_a_server_has_a_reason(
    records: list[tuple[str, str, str]],
    kind: NoRoute,
    says: str,
    internet: Internet,
    settings: DnsSettings,
    time: VirtualTime,
    example: Zone,
) -> None:
    for record in records:
        example.put(*record)
    with pytest.raises(NoMailServer, match=says) as raised:
        await find(internet, settings, time)
    assert raised.value.kind is kind


async def test_the_next_resolver_is_asked_where_one_gives_no_answer(
    internet: Internet, settings: DnsSettings, time: VirtualTime, example: Zone
) -> None:
    example.put(DOMAIN, "A", "198.51.100.25")
    internet.moods[RESOLVERS[0].address] = "silent"
    assert (await find(internet, settings, time)).host == DOMAIN
    for mood in ("silent", "servfail", "refused"):
        internet.moods.update({server.address: mood for server in RESOLVERS})
        with pytest.raises(NoMailServer, match=f"no answer for {DOMAIN} MX") as raised:
            await find(internet, settings, time)
        assert raised.value.kind is NoRoute.NO_ANSWER


def test_the_resolvers_of_the_machine() -> None:
    text = "search mail.svc.cluster.local\nnameserver 10.96.0.10\n# nameserver 192.0.2.9\nnameserver fe80::1%eth0\n"
    assert [s.address for s in system_resolvers(text)] == ["10.96.0.10", "fe80::1"]
    assert len(system_resolvers("nameserver 192.0.2.1\n" * 5)) == 3
    assert system_resolvers("options ndots:5\nnameserver\n") == ()

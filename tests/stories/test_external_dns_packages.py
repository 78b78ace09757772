"""The A record is made by external-dns's own packages in the zone of a real name server, Knot DNS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sandbox.externaldns import ExternalDns, crd
from tests.stories.test_external_dns import EXTERNAL, FAST, HOST, ZONE, endpoint, records
from tests.support.externaldns.knot import Knot
from tests.support.externaldns.run import ExternalDnsPackages
from tests.support.stories.story import Story

SERVERS = {f"ns1.{ZONE}.": "127.0.53.240", f"ns2.{ZONE}.": "127.0.53.241"}


class Servers(NamedTuple):
    primary: Knot
    secondary: Knot


@pytest.fixture
def servers(bare_story: Story, tmp_path: Path) -> Iterator[Servers]:
    """A zone at two servers, to which its parent delegates, and an external-dns that writes to the primary."""
    story = bare_story
    story.plane.install_crds(crd())
    port = story.cloud.dns_port
    glue = {name: [address] for name, address in SERVERS.items()}
    with (
        Knot(tmp_path / "primary", ZONE, SERVERS, port) as primary,
        Knot(tmp_path / "secondary", ZONE, SERVERS, port, primary) as secondary,
        ExternalDnsPackages(primary) as packages,
        ExternalDns(story.plane, packages, namespace=story.namespace),
    ):
        story.cloud.dns("delegate", zone=ZONE, ns=list(SERVERS), glue=glue)
        yield Servers(primary, secondary)
        story.cloud.dns("undelegate", zone=ZONE)


def test_external_dns_itself_makes_changes_and_removes_the_record(
    bare_story: Story, servers: Servers
) -> None:
    """No PTR is set while the secondary lacks the record. Then: a rename with another address, a change at the
    provider, and the deletion, each as external-dns carries it out."""
    story = bare_story
    old, new = story.eips(2)
    story.start_operator(**FAST)
    meg = story.meg("outbound", HOST, [old], forward=EXTERNAL)
    meg.until(lambda: "A" in servers.primary.at(HOST), "external-dns to make the record")
    assert servers.primary.at(HOST)["A"] == (300, (old.public_ip,))
    assert servers.primary.at(HOST)["TXT"], "the registry's record, beside which the operator works"
    story.passes(meg)
    meg.wait("ForwardReady", "False", "WaitingForForward")
    assert f"ns2.{ZONE} answers that the name does not exist" in meg.condition("ForwardReady")[2]
    assert story.writes() == 0, "no PTR before every authoritative server has the record"
    servers.secondary.follow()
    meg.wait()
    assert story.ptr(old) == HOST
    meg.spec(hostname=f"new.{ZONE}", elasticIPs=[{"allocationID": new.allocation_id}]).wait()
    meg.until(lambda: records(story) == {f"new.{ZONE}": [new.public_ip]}, "the old name to be retired")
    assert (story.ptr(old), story.ptr(new)) == (None, f"new.{ZONE}")
    meg.until(lambda: servers.primary.at(HOST) == {}, "external-dns to delete the old record and its own")
    servers.primary.put(f"new.{ZONE}", 300, ("192.0.2.99",))
    made = {"A": (300, (new.public_ip,))}
    meg.until(lambda: made.items() <= servers.primary.at(f"new.{ZONE}").items(), "external-dns to restore it")
    meg.wait()
    meg.delete()
    assert endpoint(story) is None
    assert servers.primary.at(f"new.{ZONE}") == {}
    assert story.ptr(new) is None
    assert story.calls("ChangeResourceRecordSets") == []
    assert ("Warning", "RecordLeftInPlace") not in meg.events()

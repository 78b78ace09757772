"""``make demo-external-dns``: one MailEgress whose A record external-dns makes, from apply to Ready to gone."""

from __future__ import annotations

from pathlib import Path

from sandbox.demo import Demo, DemoError, fail, in_sandbox, indented, say, title
from sandbox.externaldns import ExternalDns, SandboxZone, crd
from sandbox.externaldns.model import ExternalDnsModel
from sandbox.local import Sandbox
from sandbox.pace import describe
from sandbox.seed import NAT_EIPS
from sandbox.tools import ToolError

ZONE, HOSTNAME, NAME = "example.net", "mta.example.net", "elsewhere"
ENDPOINT = f"mailegress-{NAME}"
MANIFEST = f"""apiVersion: mailegress.io/v1alpha1
kind: MailEgress
metadata:
  name: {NAME}
spec:
  hostname: {HOSTNAME}
  forward:
    management: ExternalDNS
  elasticIPs:
"""


def run(scale: float) -> int:
    """The whole demo; the process's exit status."""
    say(
        "The A record is at another DNS provider: the operator writes a DNSEndpoint, external-dns makes the record,"
    )
    say(
        "and the PTR follows when every authoritative server returns it. Here with a stand-in for external-dns."
    )
    say(describe(scale))
    try:
        definition = crd()
    except (ToolError, OSError) as error:
        return fail(error, "")
    title("Start the sandbox")
    if in_sandbox(scale, lambda sandbox: _play(sandbox, scale, definition), external_dns=True) is None:
        return 1
    say("\nEverything is stopped and removed.")
    say("DEMO OK")
    return 0


def _play(sandbox: Sandbox, scale: float, definition: Path) -> bool:
    sandbox.plane.install_crds(definition)
    sandbox.cloud.dns("zone-put", zone=ZONE)
    with ExternalDns(sandbox.plane, ExternalDnsModel(SandboxZone(sandbox.cloud.dns, ZONE))):
        ExternalDnsDemo(sandbox, scale).scenes()
    return True


class ExternalDnsDemo(Demo):
    """The scenes, in their order."""

    def scenes(self) -> None:
        """Raises DemoError or CalledProcessError when the promise is not kept."""
        addresses = sorted(NAT_EIPS.values())
        before = self._show_ptrs()
        title("Apply a MailEgress with management ExternalDNS")
        manifest = self._sandbox.directory / "external-dns.yaml"
        manifest.write_text(MANIFEST + "".join(f"    - publicIP: {ip}\n" for ip in addresses))
        say(indented(manifest.read_text()))
        self._show("kubectl", "apply", "-f", str(manifest))
        self._show("kubectl", "wait", "mailegress", NAME, "--for=condition=Ready", "--timeout=240s")
        title("The DNSEndpoint that the operator wrote, and what public DNS returns")
        self._show("kubectl", "get", "dnsendpoint", ENDPOINT, "-o", "jsonpath={.spec}")
        found = sorted(self._show("dig", "+short", HOSTNAME, "A").split())
        if found != addresses:
            raise DemoError(f"{HOSTNAME} has the addresses {found}, wanted {addresses}")
        self._show_ptrs()
        title("Delete it: first the PTRs, then the DNSEndpoint, then the object")
        self._show("kubectl", "delete", "-f", str(manifest), "--timeout=240s")
        if left := self._show("kubectl", "get", "dnsendpoint", "-o", "name").strip():
            raise DemoError(f"left behind: {left}")
        say("  (with the caches of the resolvers emptied)")
        self._sandbox.cloud.dns("flush")
        if left := self._show("dig", "+short", HOSTNAME, "A").strip():
            raise DemoError(f"{HOSTNAME} still has the addresses {left}")
        if self._show_ptrs() != before:
            raise DemoError("the PTRs are not as they were before")

"""`kubectl mailegress probe` on the node, with a real mail server: each outcome, and what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .cluster import E2eError
from .mail_server import CLOSED_DOMAIN, MAIL_ZONE, NULL_DOMAIN, MailHost
from .release import GONE_S, USERS, Release

NAME = "nat-gateway"
LISTED, OTHER = "203.0.113.10", "203.0.113.99"
"""An address of the NAT gateway in the status, and one that nobody set a PTR for."""
_WITHIN_S = 300.0
_ROLE, _USER = "mailegress-prober", "prober"
_BLOCKED, _REFUSED, _OTHER_ADDRESS, _NO_VERDICT = 3, 4, 5, 7


def probe_port_25(release: Release, mail: MailHost) -> None:
    """Raises E2eError when a promise is not kept."""
    probe = Probe(release, mail)
    with release.steps.step("a mail server on the internet, and a person who may probe"):
        probe.prepare()
    with mail.running():
        probe.open()
        probe.other_address()
        probe.blocked()
        probe.refused()
        probe.nothing_to_reach()
    probe.cannot_run()
    with release.steps.step("no Job and no pod of the probes is left"):
        probe.clean_up()


class Probe:
    """Runs the installed program as somebody who has the shipped role in one namespace, which admits restricted pods
    only."""

    def __init__(self, release: Release, mail: MailHost) -> None:
        self._release, self._mail = release, mail
        self._cluster, self._steps = release.cluster, release.steps
        self._kubeconfig = Path()

    def prepare(self) -> None:
        kubectl = self._cluster.kubectl
        kubectl("label", "namespace", USERS, "pod-security.kubernetes.io/enforce=restricted")
        kubectl("create", "serviceaccount", _USER, "-n", USERS)
        kubectl(
            *("create", "rolebinding", _USER, f"--clusterrole={_ROLE}"),
            *(f"--serviceaccount={USERS}:{_USER}", "-n", USERS),
        )
        self._kubeconfig = self._cluster.plane.service_account_kubeconfig(USERS, _USER)

    def open(self) -> None:
        with self._steps.step("probe: open; Postfix accepts the PTR that the operator set") as facts:
            self._mail.leave_from(LISTED)
            seen = self._probe(0, MAIL_ZONE)
            # Postfix names its client only in a refusal.
            self._expect(seen, outcome="open", leavesFrom=None, inStatus=None)
            self._expect(seen["banner"], code=220)
            if "Postfix" not in seen["banner"]["text"]:
                raise E2eError(f"this is not the banner of a Postfix: {seen['banner']}")
            seen = self._probe(0, MAIL_ZONE, "--address-from", self._mail.echo)
            self._expect(seen, outcome="open", leavesFrom=LISTED, inStatus=True, evidence="echo")
            facts["banner"] = seen["banner"]["text"]

    def other_address(self) -> None:
        with self._steps.step("probe: mail leaves from an address that is not in the status") as facts:
            self._mail.leave_from(OTHER)
            seen = self._probe(_OTHER_ADDRESS, MAIL_ZONE)
            self._expect(seen, outcome="otherAddress", leavesFrom=OTHER, inStatus=False, evidence="server")
            self._expect(seen["banner"], code=450)
            facts["banner"] = seen["banner"]["text"]

    def blocked(self) -> None:
        with self._steps.step("probe: port 25 is blocked"):
            self._mail.leave_from(LISTED, blocked=True)
            seen = self._probe(
                _BLOCKED, MAIL_ZONE, "--timeout-seconds", "3", "--address-from", self._mail.echo
            )
            self._expect(seen, outcome="blocked", leavesFrom=LISTED, banner=None)

    def refused(self) -> None:
        with self._steps.step("probe: connections are refused"):
            self._mail.leave_from(LISTED)
            self._expect(self._probe(_REFUSED, CLOSED_DOMAIN), outcome="refused", banner=None)

    def nothing_to_reach(self) -> None:
        with self._steps.step("probe: a domain that takes no mail, and a pod without DNS"):
            seen = self._probe(_NO_VERDICT, NULL_DOMAIN)
            self._expect(seen, outcome="noVerdict", server=None)
            # The node's resolv.conf is empty: a pod has no resolver of its own here.
            seen = self._probe(_NO_VERDICT, MAIL_ZONE, resolvers=False)
            self._expect(seen, outcome="noVerdict", server=None)
            if "NetworkPolicies" not in seen["toDo"]:
                raise E2eError(f"a pod without DNS gets another remedy: {seen['toDo']}")

    def cannot_run(self) -> None:
        with self._steps.step("probe: an image that cannot be pulled, a quota that is used up"):
            self._fails("cannot be pulled", "--image", "registry.invalid/mailegress:none")
            self._cluster.kubectl("create", "quota", "none", "--hard=pods=0", "-n", USERS)
            self._fails("ResourceQuota")
            self._cluster.kubectl("delete", "quota", "none", "-n", USERS)

    def clean_up(self) -> None:
        words = ("jobs,pods", "-n", USERS)
        self._cluster.wait(
            lambda: not self._cluster.object(*words)["items"], GONE_S, "the probes' pods to be gone"
        )
        self._cluster.kubectl("delete", "rolebinding,serviceaccount", _USER, "-n", USERS)
        self._cluster.kubectl("label", "namespace", USERS, "pod-security.kubernetes.io/enforce-")

    def _probe(self, code: int, target: str, *words: str, resolvers: bool = True) -> dict[str, Any]:
        """The document that the program prints. Raises E2eError if it ends with another code."""
        given = ["--resolvers", ",".join(self._release.cloud.recursors)] if resolvers else []
        done = self._run("--to", target, "-o", "json", *given, *words)
        if done.returncode != code:
            raise E2eError(
                f"the probe of {target} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}"
            )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _fails(self, says: str, *words: str) -> None:
        done = self._run("--to", MAIL_ZONE, *words)
        if done.returncode != 1 or says not in done.stderr:
            raise E2eError(
                f"the probe was to fail with {says!r}, and ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).parent / "kubectl-mailegress"
        return subprocess.run(
            [str(program), "probe", NAME, "-n", USERS, *words],
            env=self._cluster.plane.environ(self._kubeconfig),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )

    @staticmethod
    def _expect(found: Mapping[str, Any], **wanted: object) -> None:
        seen = {name: found[name] for name in wanted}
        if seen != wanted:
            raise E2eError(f"the probe shows {seen}, not {wanted}:\n{json.dumps(dict(found), indent=2)}")

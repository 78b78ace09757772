"""Where the API server is and who we are, from a pod's files or a kubeconfig."""

from __future__ import annotations

import base64
import json
import os
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import TestServer

from mailegress.kube.client import KubeClient, KubeNoAnswer, KubeRefused
from mailegress.kube.credentials import (
    Credentials,
    CredentialsError,
    ExecPlugin,
    discover,
    in_cluster,
    kubeconfig,
)
from mailegress.kube.proxies import from_environment
from mailegress.kube.transport import connect
from tests.support.http_api import HttpApi
from tests.support.simulation.apiserver import CLUSTER_UID
from tests.support.simulation.apiwire import Fault


def _write(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """The directory that the kubelet mounts."""
    directory = tmp_path / "serviceaccount"
    directory.mkdir()
    (directory / "token").write_text("first\n")
    (directory / "ca.crt").write_text("the cluster's own")
    return directory


async def test_the_pods_token_is_read_again_when_the_kubelet_replaces_it(pod: Path) -> None:
    credentials = in_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}, pod)
    assert credentials.server == "https://10.0.0.1:6443"
    assert await credentials.headers() == {"Authorization": "Bearer first"}
    (pod / "next").write_text("second\n")
    (pod / "next").rename(pod / "token")
    assert await credentials.headers() == {"Authorization": "Bearer second"}
    assert "second" not in repr(credentials)


def test_an_ipv6_service_address_gets_brackets(pod: Path) -> None:
    assert in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1"}, pod).server == "https://[fd00::1]:443"


async def test_a_token_file_that_vanishes_is_named(pod: Path) -> None:
    credentials = in_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, pod)
    (pod / "token").unlink()
    with pytest.raises(CredentialsError, match="serviceaccount/token cannot be read"):
        await credentials.headers()


def test_outside_of_a_pod_there_is_no_service_account(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="not running in a pod"):
        in_cluster({}, tmp_path)


async def test_a_kubeconfig_gives_server_token_and_ca(tmp_path: Path) -> None:
    ca = "-----BEGIN CERTIFICATE-----\n"
    cluster = {
        "server": "https://k:6443/",
        "certificate-authority-data": base64.b64encode(ca.encode()).decode(),
    }
    credentials = kubeconfig(_write(tmp_path / "config", cluster, {"token": "secret"}))
    assert (credentials.server, credentials.ca_data) == ("https://k:6443", ca)
    assert await credentials.headers() == {"Authorization": "Bearer secret"}
    assert "secret" not in repr(credentials)


async def test_files_are_found_beside_the_kubeconfig_and_passwords_work(tmp_path: Path) -> None:
    (tmp_path / "tok").write_text("from-file")
    credentials = kubeconfig(_write(tmp_path / "config", {"server": "https://k"}, {"tokenFile": "tok"}))
    assert await credentials.headers() == {"Authorization": "Bearer from-file"}
    user = {"username": "a", "password": "b"}
    credentials = kubeconfig(_write(tmp_path / "config", {"server": "https://k"}, user))
    assert await credentials.headers() == {"Authorization": "Basic YTpi"}


@pytest.mark.parametrize(
    ("cluster", "user", "complaint"),
    [
        ({}, {}, "has no server"),
        ({"server": "https://k"}, {"auth-provider": {"name": "gcp"}}, "auth-provider"),
        ({"server": "https://k"}, {"client-certificate-data": "YQ=="}, "but not both"),
        ({"server": "https://k", "certificate-authority": "missing.pem"}, {}, "certificate-authority"),
        ({"server": "https://k"}, {"exec": {"args": []}}, "has no command"),
        ({"server": "https://k"}, {"as": "admin", "as-groups": ["g"]}, r"impersonates .*\(as, as-groups\)"),
        ({"server": "https://k"}, {"as-uid": "u"}, "impersonates another user"),
        ({"server": "https://k", "proxy-url": "socks5://p:1"}, {}, "proxy-url"),
        ({"server": "https://k", "proxy-url": "p:3128"}, {}, "proxy-url"),
    ],
)
def test_an_unusable_kubeconfig_is_refused_with_one_clear_error(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(CredentialsError, match=complaint):
        kubeconfig(_write(tmp_path / "config", cluster, user))


def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path / "config", {"server": "https://k"}, {})
    with pytest.raises(CredentialsError, match="'elsewhere'"):
        kubeconfig(path, "elsewhere")


def test_garbage_certificates_are_refused_when_they_are_used() -> None:
    with pytest.raises(CredentialsError, match="certificates for https://k"):
        Credentials(server="https://k", ca_data="garbage").ssl_context()


def test_discovery_prefers_the_named_file_then_the_pod_then_the_environment(tmp_path: Path) -> None:
    named = _write(tmp_path / "named", {"server": "https://named"}, {})
    other = _write(tmp_path / "other", {"server": "https://other"}, {})
    environ = {
        "KUBECONFIG": f"{tmp_path / 'missing'}{os.pathsep}{other}",
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    }
    assert discover(str(named), None, environ).server == "https://named"
    with pytest.raises(CredentialsError, match="service-account"):
        discover(None, None, environ)
    del environ["KUBERNETES_SERVICE_HOST"]
    assert discover(None, None, environ).server == "https://other"
    with pytest.raises(CredentialsError, match="no way to a cluster"):
        discover(None, None, {"KUBECONFIG": str(tmp_path / "missing")})


# ---------------------------------------------------------------- credential plugins


class Plugin:
    """A credential plugin on disk that counts its runs."""

    def __init__(self, directory: Path, answer: str, exit_status: int = 0) -> None:
        self._runs = directory / "runs"
        self.path = directory / "plugin"
        body = (
            f"#!{sys.executable}\nimport os, sys\n"
            f"seen = os.environ['KUBERNETES_EXEC_INFO'] + os.environ['EXTRA']\n"
            f"open({str(self._runs)!r}, 'a').write(seen + '\\n')\n"
            f"print({answer!r})\nprint('no session', file=sys.stderr)\nsys.exit({exit_status})\n"
        )
        self.path.write_text(body)
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)

    def runs(self) -> list[str]:
        return self._runs.read_text().splitlines() if self._runs.exists() else []


def _answer(**status: Any) -> str:
    return json.dumps(
        {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    )


def _user(command: str) -> dict[str, Any]:
    env = [{"name": "EXTRA", "value": "here"}]
    return {"exec": {"command": command, "apiVersion": "client.authentication.k8s.io/v1", "env": env}}


async def test_a_plugin_is_asked_once_until_shortly_before_its_token_expires(tmp_path: Path) -> None:
    plugin = Plugin(tmp_path, _answer(token="t1", expirationTimestamp="2026-01-01T00:15:00Z"))
    credentials = kubeconfig(_write(tmp_path / "config", {"server": "https://k"}, _user("./plugin")))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert credentials.exec_plugin is not None
    credentials.exec_plugin.now = lambda: now
    for _ in range(3):
        assert await credentials.headers() == {"Authorization": "Bearer t1"}
    assert len(plugin.runs()) == 1
    assert "ExecCredential" in plugin.runs()[0]
    assert plugin.runs()[0].endswith("here")
    now += timedelta(minutes=14, seconds=30)
    await credentials.headers()
    assert len(plugin.runs()) == 2
    credentials.discard()
    now -= timedelta(minutes=10)
    await credentials.headers()
    assert len(plugin.runs()) == 3


@pytest.mark.parametrize(
    ("answer", "exit_status", "complaint"),
    [
        (_answer(token="t"), 3, "exit status 3: no session"),
        ("not json", 0, "printed no ExecCredential"),
        (_answer(clientCertificateData="x"), 0, "gave no token"),
    ],
)
async def test_a_plugin_that_fails_is_named(
    tmp_path: Path, answer: str, exit_status: int, complaint: str
) -> None:
    path = Plugin(tmp_path, answer, exit_status).path
    plugin = ExecPlugin(str(path), (), {"EXTRA": ""}, "client.authentication.k8s.io/v1")
    with pytest.raises(CredentialsError, match=complaint):
        await plugin.token()


async def test_a_plugin_that_is_not_installed_is_named() -> None:
    plugin = ExecPlugin("no-such-plugin-anywhere", (), {}, "v1")
    with pytest.raises(CredentialsError, match="'no-such-plugin-anywhere' cannot be run"):
        await plugin.token()


async def test_a_401_makes_the_client_look_at_its_credentials_again_once(api: Any, pod: Path) -> None:
    credentials = Credentials(server=api.url, token_file=pod / "token")
    refusal = Fault("GET", "/namespaces", 401)
    api.server.faults.append(refusal)
    async with connect(credentials) as transport:
        client = KubeClient(transport, clock=lambda: 0.0)
        assert await client.get_namespace_uid() == CLUSTER_UID
        assert len(api.requests) == 2
        refusal.times = 100
        with pytest.raises(KubeRefused, match="401") as caught:
            await client.get_namespace_uid()
        assert caught.value.code == 401
        assert len(api.requests) == 4
        (pod / "token").write_text("replaced")
        refusal.times = 0
        assert await client.get_namespace_uid() == CLUSTER_UID
    assert [*dict.fromkeys(api.tokens)] == ["Bearer first", "Bearer replaced"]


def test_a_pod_without_the_clusters_certificate_authority_is_refused(pod: Path) -> None:
    """Public authorities are no substitute."""
    (pod / "ca.crt").unlink()
    with pytest.raises(CredentialsError, match=r"certificate authority .*ca\.crt is missing"):
        in_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, pod)


@pytest.mark.parametrize(
    ("credentials", "warning"),
    [
        (Credentials("http://k"), "not https"),
        (Credentials("https://k", insecure=True), "not verified"),
        (Credentials("https://k"), None),
    ],
)
def test_a_connection_that_is_not_protected_is_logged(credentials: Credentials, warning: str | None) -> None:
    found = " ".join(credentials.warnings())
    assert (warning is None and not found) or (warning is not None and warning in found)


async def test_the_warning_is_logged_when_the_connection_is_opened(
    api: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(Credentials(api.url)):
        pass
    assert "not https" in caplog.text


PROXY = {"HTTPS_PROXY": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("server", "environ", "proxy"),
    [
        ("https://k8s.example.com", PROXY, "http://proxy:3128"),
        ("https://k8s.example.com", {"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ("https://k8s.example.com", {"HTTP_PROXY": "http://proxy:3128"}, None),
        ("http://k8s.example.com", {"HTTP_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ("https://k8s.example.com", {**PROXY, "NO_PROXY": "a.example.org, example.com"}, None),
        ("https://k8s.example.com", {**PROXY, "no_proxy": ".example.com"}, None),
        ("https://example.com", {**PROXY, "NO_PROXY": ".example.com"}, "http://proxy:3128"),
        ("https://k8s.example.com", {**PROXY, "NO_PROXY": "s.example.com"}, "http://proxy:3128"),
        ("https://k8s.example.com:6443", {**PROXY, "NO_PROXY": "example.com:443"}, "http://proxy:3128"),
        ("https://k8s.example.com:6443", {**PROXY, "NO_PROXY": "example.com:6443"}, None),
        ("https://10.0.0.1:443", {**PROXY, "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://10.0.0.1:443", {**PROXY, "NO_PROXY": "172.16.0.0/12,nonsense/99"}, "http://proxy:3128"),
        ("https://[fd00::1]:443", {**PROXY, "NO_PROXY": "fd00::1"}, None),
        ("https://k8s.example.com", {**PROXY, "NO_PROXY": "*"}, None),
        ("https://127.0.0.1:6443", PROXY, None),
        ("https://localhost:6443", PROXY, None),
        ("https://k8s.example.com", {"HTTPS_PROXY": "socks5://proxy"}, None),
    ],
)
def test_the_proxy_variables_mean_what_they_mean_to_kubectl(
    server: str, environ: dict[str, str], proxy: str | None
) -> None:
    assert from_environment(server, environ) == proxy


def test_the_kubeconfigs_proxy_and_server_name_are_used(tmp_path: Path) -> None:
    cluster = {"server": "https://k", "proxy-url": "http://u:secret@p:1", "tls-server-name": "kubernetes"}
    found = kubeconfig(_write(tmp_path / "config", cluster, {}), environ=PROXY)
    assert found.options() == {"proxy": "http://u:secret@p:1", "server_hostname": "kubernetes"}
    assert "secret" not in repr(found)
    found = kubeconfig(_write(tmp_path / "config", {"server": "https://k"}, {}), environ=PROXY)
    assert found.options() == {"proxy": "http://proxy:3128"}


async def test_requests_go_through_the_proxy(api: Any) -> None:
    """The proxy is asked for the absolute URL of a server that does not exist."""
    async with connect(Credentials("http://api.invalid", proxy=api.url)) as transport:
        assert await KubeClient(transport, clock=lambda: 0.0).get_namespace_uid() == CLUSTER_UID


@pytest.mark.parametrize("code", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(api: Any, code: int) -> None:
    there = {"Location": f"{api.url}/api/v1/namespaces/kube-system"}
    api.server.faults.append(Fault("GET", "/namespaces", code, headers=there))
    async with connect(Credentials(api.url, token="t")) as transport:
        with pytest.raises(KubeNoAnswer, match=f"redirect \\({code}\\)"):
            await KubeClient(transport, clock=lambda: 0.0).get_namespace_uid()
    assert len(api.requests) == 1


@pytest.fixture
def self_signed(tmp_path: Path) -> tuple[Path, Path]:
    """Certificate and key for the name kubernetes.default.svc."""
    name, key, certificate = "kubernetes.default.svc", tmp_path / "key.pem", tmp_path / "certificate.pem"
    openssl = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        [*openssl.split(), "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", *files],
        check=True,
        capture_output=True,
    )
    return certificate, key


async def test_the_certificate_is_checked_against_the_tls_server_name(
    self_signed: tuple[Path, Path],
) -> None:
    """A server at 127.0.0.1 whose certificate is for another name."""
    name, certificate, key = "kubernetes.default.svc", *self_signed
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    running = TestServer(HttpApi().app(), scheme="https")
    await running.start_server(ssl=context)
    try:
        url = f"https://127.0.0.1:{running.port}"
        for expected, works in ((name, True), (None, False), ("elsewhere", False)):
            credentials = Credentials(url, ca_data=certificate.read_text(), server_name=expected)
            async with connect(credentials) as transport:
                client = KubeClient(transport, clock=lambda: 0.0)
                if works:
                    assert await client.get_namespace_uid() == CLUSTER_UID
                else:
                    with pytest.raises(KubeNoAnswer, match="certificate"):
                        await client.get_namespace_uid()
    finally:
        await running.close()

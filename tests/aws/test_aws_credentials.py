"""Credentials that come later or change are picked up, and what keeps them away is named."""

from __future__ import annotations

import json
import logging
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from mailegress.aws.api import AwsError, Service
from mailegress.aws.errors import classify
from mailegress.aws.sdk.client import BotoApi
from mailegress.aws.sdk.sessions import FILES_CHECKED_EVERY, REBUILD_CAP, Clients
from mailegress.aws.settings import BotoSettings, RoleSettings
from mailegress.telemetry.metrics import Metrics
from sandbox.aws.client import SandboxAws
from sandbox.aws.local import ServedAws

REGION = "eu-west-1"
OTHER = "222222222222"
ROLE = f"arn:aws:iam::{OTHER}:role/zones"
SECRET = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in [n for n in os.environ if n.startswith("AWS_") or n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return monkeypatch


@pytest.fixture
def served(environ: pytest.MonkeyPatch) -> Iterator[SandboxAws]:
    with ServedAws() as aws:
        environ.setenv("AWS_ENDPOINT_URL", aws.url)
        yield SandboxAws(aws.url)


def write_keys(path: Path, key: str) -> None:
    """As a Secret that is mounted into a pod: another file takes the old one's place."""
    fresh = path.with_suffix(".new")
    fresh.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n")
    fresh.replace(path)


def api(clock: Any = None, **settings: Any) -> BotoApi:
    made = BotoApi(BotoSettings(region=REGION, **settings), Metrics())
    if clock is not None:
        made._clients._clock = clock
    return made


async def failure(aws: BotoApi) -> AwsError:
    with pytest.raises(AwsError) as caught:
        await aws.list_hosted_zones()
    return caught.value


# ---------------------------------------------------------------- late and changed credentials


async def test_keys_in_a_file_that_comes_later_are_found(served: SandboxAws, tmp_path: Path) -> None:
    clock = Hand()
    aws = api(clock)
    assert (await failure(aws)).code == "NoCredentials"
    write_keys(tmp_path / "credentials", "AKIANEW")
    clock.now += FILES_CHECKED_EVERY
    await aws.list_hosted_zones()


async def test_keys_in_the_environment_of_an_agent_that_comes_later_are_found(
    served: SandboxAws, environ: pytest.MonkeyPatch
) -> None:
    """EKS Pod Identity's agent may start after the operator. It is not asked at each call."""
    clock = Hand()
    aws = api(clock)
    with Agent() as agent:
        agent.down = True
        environ.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url)
        first = await failure(aws)
        assert classify(first).reason == "CredentialsUnavailable"
        asked = agent.asked
        for _ in range(20):
            await failure(aws)
        assert agent.asked == asked, "not asked again before the back-off ends"
        agent.down = False
        clock.now += REBUILD_CAP
        await aws.list_hosted_zones()


async def test_a_web_identity_token_that_comes_later_is_found(
    served: SandboxAws, environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served.run("put_role", arn=ROLE, web_identity=True)
    environ.setenv("AWS_ROLE_ARN", ROLE)
    environ.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    clock = Hand()
    aws = api(clock)
    assert classify(await failure(aws)).reason == "CredentialsUnavailable"
    (tmp_path / "token").write_text("token")
    clock.now += REBUILD_CAP
    await aws.list_hosted_zones()


async def test_instance_metadata_that_comes_later_is_found(
    served: SandboxAws, environ: pytest.MonkeyPatch
) -> None:
    """The role of an instance may be attached after the operator started."""
    environ.setenv("AWS_EC2_METADATA_DISABLED", "false")
    environ.setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "1")
    clock = Hand()
    aws = api(clock)
    with Agent() as agent:
        agent.down = True
        environ.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", agent.url)
        assert classify(await failure(aws)).reason == "CredentialsUnavailable"
        assert agent.asked
        agent.down = False
        clock.now += REBUILD_CAP
        await aws.list_hosted_zones()


@pytest.mark.parametrize("role", [RoleSettings(), RoleSettings(ROLE)])
async def test_a_rotated_key_file_is_read_again(
    served: SandboxAws, tmp_path: Path, role: RoleSettings
) -> None:
    served.run("put_role", arn=ROLE)
    write_keys(tmp_path / "credentials", "AKIAOLD")
    clock = Hand()
    aws = api(clock, route53=role)
    await aws.list_hosted_zones()
    write_keys(tmp_path / "credentials", "AKIANEW")
    served.run("revoke_key", access_key="AKIAOLD")
    clock.now += FILES_CHECKED_EVERY
    await aws.list_hosted_zones()
    assert served.log(service="route53")[-1]["outcome"] == "ok"


@pytest.mark.parametrize(("jitter", "calls", "refused"), [(0.0, 95, 0), (0.0, 100, 1), (0.999, 100, 1)])
async def test_a_key_that_is_refused_is_looked_up_again_with_a_back_off(
    served: SandboxAws, environ: pytest.MonkeyPatch, jitter: float, calls: int, refused: int
) -> None:
    environ.setenv("AWS_ACCESS_KEY_ID", "AKIAOLD")
    environ.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    clock = Hand()
    aws = api(clock)
    environ.setattr(aws._clients._rng, "random", lambda: jitter)
    await aws.list_hosted_zones()
    served.run("revoke_key", access_key="AKIAOLD")
    made: list[str] = []
    own = Clients._own

    def counted(clients: Clients) -> Any:
        made.append("session")
        return own(clients)

    environ.setattr(Clients, "_own", counted)
    for _ in range(calls):
        error = await failure(aws)
        assert classify(error).reason == "CredentialsUnavailable"
        clock.now += 3
    assert 5 <= len(made) <= 15, "300 seconds: 1, 2, 4 … 60 seconds apart, never at each call"
    environ.setenv("AWS_ACCESS_KEY_ID", "AKIANEW")
    clock.now += REBUILD_CAP
    # At most one more call is refused: none if the last one came at the end of a back-off and dropped the old key.
    for _ in range(refused):
        assert classify(await failure(aws)).reason == "CredentialsUnavailable"
    await aws.list_hosted_zones()


async def test_new_credentials_are_announced_once(served: SandboxAws, tmp_path: Path) -> None:
    """Whatever was read with the old ones may belong to another account."""
    served.run("register_key", access_key="AKIAOTHER", account=OTHER)
    write_keys(tmp_path / "credentials", "AKIAOLD")
    aws, told = api(clock := Hand()), []
    aws.on_renewal(Service.EC2, lambda: told.append(Service.EC2))
    aws.on_renewal(Service.ROUTE53, lambda: told.append(Service.ROUTE53))
    first = await aws.get_caller_identity(Service.EC2, REGION)
    assert told == []
    write_keys(tmp_path / "credentials", "AKIAOTHER")
    clock.now += FILES_CHECKED_EVERY
    assert await aws.get_caller_identity(Service.EC2, REGION) == OTHER != first
    assert told == [Service.EC2, Service.ROUTE53]


# ---------------------------------------------------------------- causes on this side


async def test_a_token_file_that_cannot_be_read_is_named(
    served: SandboxAws, environ: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environ.setenv("AWS_ROLE_ARN", ROLE)
    environ.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/nowhere/token")
    aws = api()
    caplog.set_level(logging.WARNING, logger="mailegress")
    for _ in range(3):
        error = await failure(aws)
    fault = classify(error)
    assert fault.reason == "CredentialsUnavailable"
    assert "cannot read /var/run/secrets/nowhere/token: No such file or directory" in fault.message
    assert error.service is Service.STS
    told = [
        r for r in caplog.records if r.name.startswith("mailegress") and "nowhere/token" in r.getMessage()
    ]
    assert len(told) == 1, "logged once"


async def test_the_pod_identity_token_file_is_named(served: SandboxAws, environ: pytest.MonkeyPatch) -> None:
    environ.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")
    environ.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/run/nowhere/eks-pod-identity-token")
    fault = classify(await failure(api()))
    assert fault.reason == "CredentialsUnavailable"
    assert "/var/run/nowhere/eks-pod-identity-token" in fault.message


async def test_a_credentials_host_that_is_not_allowed_is_named(
    served: SandboxAws, environ: pytest.MonkeyPatch
) -> None:
    environ.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://credentials.example.com/v1")
    fault = classify(await failure(api()))
    assert fault.reason == "CredentialsUnavailable"
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI has the host credentials.example.com" in fault.message


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
@pytest.mark.parametrize("role", [RoleSettings(), RoleSettings(ROLE)])
async def test_a_line_break_in_a_key_is_named_and_the_key_is_not_shown(
    served: SandboxAws, environ: pytest.MonkeyPatch, name: str, role: RoleSettings
) -> None:
    values = {
        "AWS_ACCESS_KEY_ID": "AKIATESTTEST",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": "tokentoken",
    }
    for variable, value in values.items():
        environ.setenv(variable, value + "\n" * (variable == name))
    error = await failure(api(route53=role))
    fault = classify(error)
    assert fault.reason == "CredentialsUnavailable"
    assert f"{name} has a line break at its end" in fault.message
    assert not any(value in fault.message + str(error) for value in values.values())


async def test_a_refused_connection_names_service_host_and_variable(
    served: SandboxAws, environ: pytest.MonkeyPatch
) -> None:
    static_keys(environ)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        environ.setenv("AWS_ENDPOINT_URL_STS", f"http://{place}")
        error = await failure(api(route53=RoleSettings(ROLE)))
    fault = classify(error)
    assert fault.reason == "EndpointUnreachable"
    assert fault.message.startswith(
        f"AssumeRole: no connection to AWS STS at {place} (AWS_ENDPOINT_URL_STS): connection refused; "
    )
    assert (error.service, error.sent) == (Service.STS, False), "not Route 53: it was not asked"


async def test_a_host_that_does_not_exist_is_named(environ: pytest.MonkeyPatch) -> None:
    static_keys(environ)
    environ.setenv("AWS_ENDPOINT_URL_ROUTE_53", "https://route53.invalid")
    fault = classify(await failure(api()))
    assert fault.reason == "EndpointUnreachable"
    assert "route53.invalid (AWS_ENDPOINT_URL_ROUTE_53): the host name cannot be resolved" in fault.message


async def test_a_dead_proxy_is_named_without_its_password(environ: pytest.MonkeyPatch) -> None:
    static_keys(environ)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        environ.setenv("HTTPS_PROXY", f"http://user:pass-word@{place}")
        error = await failure(api())
    fault = classify(error)
    assert fault.reason == "EndpointUnreachable"
    assert (
        f"the proxy {place} (HTTPS_PROXY) on the way to route53.amazonaws.com failed: connection refused"
        in (fault.message)
    )
    assert "pass-word" not in fault.message + str(error)


async def test_a_certificate_that_is_not_trusted_names_the_remedy(
    environ: pytest.MonkeyPatch, self_signed: str
) -> None:
    static_keys(environ)
    environ.setenv("AWS_ENDPOINT_URL_ROUTE_53", self_signed)
    fault = classify(await failure(api()))
    assert fault.reason == "EndpointUnreachable"
    assert "is not trusted: self-signed certificate; " in fault.message
    assert "AWS_CA_BUNDLE" in fault.message


async def test_an_endpoint_that_is_not_aws_is_named(environ: pytest.MonkeyPatch) -> None:
    static_keys(environ)
    with Agent() as page:
        page.html = True
        environ.setenv("AWS_ENDPOINT_URL", page.url)
        for call in (api().list_hosted_zones, lambda: api().describe_addresses(REGION)):
            for status in (200, 404):
                page.status = status
                with pytest.raises(AwsError) as caught:
                    await call()
                fault = classify(caught.value)
                assert fault.reason == "EndpointUnreachable", fault
                assert f"127.0.0.1:{page.port} answers" in fault.message


async def test_an_unencrypted_endpoint_of_a_configuration_file_is_refused(
    environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    static_keys(environ)
    (tmp_path / "config").write_text("[default]\nendpoint_url = http://192.0.2.1:1\n")
    fault = classify(await failure(api()))
    assert fault.reason == "EndpointUnreachable"
    assert "192.0.2.1:1 of route53 is not encrypted" in fault.message


# ---------------------------------------------------------------- where web identity is asked


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "sts.eu-west-1.amazonaws.com"),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
    ],
)
@pytest.mark.parametrize("roles", ["none", "ec2", "both"])
async def test_web_identity_asks_the_regional_sts(
    environ: pytest.MonkeyPatch, tmp_path: Path, region: str, host: str, roles: str
) -> None:
    (tmp_path / "token").write_text("token")
    environ.setenv("AWS_REGION", region)
    environ.setenv("AWS_ROLE_ARN", ROLE)
    environ.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    with Proxy() as proxy:
        environ.setenv("HTTPS_PROXY", proxy.url)
        assumed = RoleSettings(ROLE)
        settings = BotoSettings(
            region=region,
            ec2=RoleSettings() if roles == "none" else assumed,
            route53=assumed if roles == "both" else RoleSettings(),
        )
        aws = BotoApi(settings, Metrics())
        for call in (aws.list_hosted_zones, lambda: aws.describe_addresses(region)):
            with pytest.raises(AwsError) as caught:
                await call()
            assert caught.value.service is Service.STS
        assert set(proxy.asked) == {f"{host}:443"}


# ---------------------------------------------------------------- who calls


async def test_the_identity_and_the_endpoints_are_logged_once(
    served: SandboxAws, environ: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served.run("put_role", arn=ROLE)
    static_keys(environ)
    caplog.set_level(logging.INFO, logger="mailegress")
    aws = api(route53=RoleSettings(ROLE))
    for _ in range(2):
        assert [services for services, _ in aws.identities()] == ["ec2", "route53"]
    told = [r.getMessage() for r in caplog.records if "AWS identity" in r.getMessage()]
    host = served.url.removeprefix("http://")
    assert len(told) == 2
    assert all(f"endpoints={host}" in line for line in told)
    assert f"account={OTHER}" in told[1]
    assert f":assumed-role/zones/mailegress account={OTHER}" in told[1]


# ---------------------------------------------------------------- peers


def static_keys(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    environ.setenv("AWS_SECRET_ACCESS_KEY", "secret")


class Agent:
    """The credentials endpoint of a container, or a page in its place."""

    def __init__(self) -> None:
        self.down = self.html = False
        self.status = 200
        self.asked = 0
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                agent.asked += 1
                keys = {
                    "Code": "Success",
                    "AccessKeyId": "ASIATEST",
                    "SecretAccessKey": "secret",
                    "Token": "token",
                    "Expiration": "2099-01-01T00:00:00Z",
                }
                body = b"<html><body>Hello</body></html>" if agent.html else json.dumps(keys).encode()
                self.send_response(500 if agent.down else agent.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.do_GET()

            do_PUT = do_POST

            def log_message(self, *_: Any) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Agent:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown()
        self._server.server_close()


class Proxy:
    """Refuses every CONNECT and remembers where it was to lead."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                proxy.asked.append(self.path)
                self.send_error(403)

            def log_message(self, *_: Any) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[str]:
    """A server with a certificate that nobody vouches for."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "1",
            "-keyout", str(key), "-out", str(certificate),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"https://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()

"""Where the API server is and how to prove who we are: in-cluster service account or kubeconfig."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from mailegress.kube import proxies

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_EXEC_TIMEOUT_SECONDS = 60.0
_EXEC_MARGIN_SECONDS = 60.0


class CredentialsError(Exception):
    """No usable way to the API server. The message says which file or setting is at fault; it holds no
    secret.
    """


@dataclass(slots=True)
class Credentials:
    """One API server and one identity. Tokens from files are read again whenever the file changes."""

    server: str
    ca_file: str | None = None
    ca_data: str | None = None
    insecure: bool = False
    server_name: str | None = None
    """The name that the server's certificate must carry, where it is not the server's host (``tls-server-name``)."""
    proxy: str | None = field(default=None, repr=False)
    """URL of the HTTP proxy in front of the server; it may hold a password."""
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    basic: str | None = field(default=None, repr=False)
    client_certificate: tuple[str, str] | None = field(default=None, repr=False)
    """PEM of the certificate and of its key."""
    exec_plugin: ExecPlugin | None = None
    namespace: str = "default"
    """The one that commands for people mean if none is named."""
    _read: tuple[tuple[int, int, int], str] | None = field(default=None, repr=False)

    async def headers(self) -> Mapping[str, str]:
        """The Authorization header, if this identity has one. Raises :class:`CredentialsError`."""
        if self.basic is not None:
            return {"Authorization": f"Basic {self.basic}"}
        token = self.token
        if self.token_file is not None:
            token = self._token_from_file(self.token_file)
        elif self.exec_plugin is not None:
            token = await self.exec_plugin.token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def options(self) -> dict[str, str]:
        """Options of aiohttp for each request, besides its headers."""
        found = {"proxy": self.proxy, "server_hostname": self.server_name}
        return {name: value for name, value in found.items() if value is not None}

    def warnings(self) -> tuple[str, ...]:
        """What an administrator should know about this connection, to be logged at the start."""
        if not self.server.startswith("https://"):
            return (f"{self.server} is not https: token and objects are sent unencrypted.",)
        if self.insecure:
            return (f"insecure-skip-tls-verify: the certificate of {self.server} is not verified.",)
        return ()

    def discard(self) -> None:
        """Forget what is cached."""
        self._read = None
        if self.exec_plugin is not None:
            self.exec_plugin.discard()

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS settings of the kubeconfig; None for plain HTTP. Raises :class:`CredentialsError`."""
        if not self.server.startswith("https://"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file, cadata=self.ca_data)
            if self.insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self.client_certificate is not None:
                _load_pair(context, *self.client_certificate)
        except (OSError, ValueError) as error:
            raise CredentialsError(f"certificates for {self.server} cannot be used: {error}") from error
        return context

    def _token_from_file(self, path: Path) -> str:
        """The file's token. A stat per request is cheap; the kubelet replaces the file by renaming a symbolic
        link.
        """
        try:
            info = path.stat()
            stamp = (info.st_ino, info.st_mtime_ns, info.st_size)
            if self._read is None or self._read[0] != stamp:
                self._read = (stamp, path.read_text().strip())
        except OSError as error:
            raise CredentialsError(f"the token file {path} cannot be read: {error.strerror}") from error
        return self._read[1]


@dataclass(slots=True)
class ExecPlugin:
    """A client-go credential plugin (client.authentication.k8s.io), such as ``aws eks get-token``. Tokens
    only.
    """

    command: str
    args: tuple[str, ...]
    env: Mapping[str, str]
    api_version: str
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _token: str | None = field(default=None, repr=False)
    _expires: datetime | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def token(self) -> str:
        """The plugin's token, kept until a minute before it expires. Raises :class:`CredentialsError`."""
        async with self._lock:
            if self._token is None or (
                self._expires is not None
                and (self._expires - self.now()).total_seconds() < _EXEC_MARGIN_SECONDS
            ):
                self._token, self._expires = self._parse(await self._run())
            return self._token

    def discard(self) -> None:
        self._token = None

    async def _run(self) -> bytes:
        info = {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        env = {**os.environ, **self.env, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        try:
            process = await asyncio.create_subprocess_exec(
                self.command,
                *self.args,
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise CredentialsError(
                f"the kubeconfig's credential plugin {self.command!r} cannot be run: {error.strerror}"
            ) from error
        try:
            async with asyncio.timeout(_EXEC_TIMEOUT_SECONDS):
                out, complaint = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise CredentialsError(f"the credential plugin {self.command!r} gave no answer") from None
        if process.returncode != 0:
            text = complaint.decode(errors="replace").strip()[-300:]
            raise CredentialsError(
                f"the credential plugin {self.command!r} failed with exit status {process.returncode}: {text}"
            )
        return out

    def _parse(self, out: bytes) -> tuple[str, datetime | None]:
        try:
            status = json.loads(out)["status"]
            token, expires = status.get("token"), status.get("expirationTimestamp")
            when = datetime.fromisoformat(expires.replace("Z", "+00:00")) if expires else None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CredentialsError(
                f"the credential plugin {self.command!r} printed no ExecCredential"
            ) from None
        if not isinstance(token, str) or not token:
            raise CredentialsError(
                f"the credential plugin {self.command!r} gave no token (certificates are not supported)"
            )
        return token, when


def in_cluster(environ: Mapping[str, str] = os.environ, directory: Path = SERVICE_ACCOUNT) -> Credentials:
    """The pod's own service account. Raises :class:`CredentialsError` outside of a pod."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    token, ca = directory / "token", directory / "ca.crt"
    if not host or not token.is_file():
        raise CredentialsError("not running in a pod with a service-account token")
    if not ca.is_file():
        # Public certificate authorities are no substitute: any of them could vouch for another server.
        raise CredentialsError(
            f"the cluster's certificate authority {ca} is missing; mount it beside the token"
        )
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    own = directory / "namespace"
    return Credentials(
        server=server,
        ca_file=str(ca),
        token_file=token,
        proxy=proxies.from_environment(server, environ),
        namespace=own.read_text().strip() if own.is_file() else "default",
    )


def kubeconfig(
    path: Path, context: str | None = None, environ: Mapping[str, str] = os.environ
) -> Credentials:
    """One kubeconfig file, its current context unless another is named. Raises :class:`CredentialsError`."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise CredentialsError(f"the kubeconfig {path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise CredentialsError(f"{path} is no kubeconfig")
    chosen = context or document.get("current-context")
    if not chosen:
        raise CredentialsError(f"the kubeconfig {path} has no current context; name one")
    scope = _named(document, "contexts", "context", chosen, path)
    cluster = _named(document, "clusters", "cluster", scope.get("cluster"), path)
    user = _named(document, "users", "user", scope.get("user"), path) if scope.get("user") else {}
    if not cluster.get("server"):
        raise CredentialsError(f"the cluster of context {chosen!r} in {path} has no server")
    if user.get("auth-provider"):
        raise CredentialsError(
            f"context {chosen!r} in {path} uses an auth-provider, removed in Kubernetes 1.26; use exec"
        )
    _refuse_impersonation(user, chosen, path)
    server = str(cluster["server"]).rstrip("/")
    certificate = _pem(user, "client-certificate", path)
    key = _pem(user, "client-key", path)
    if (certificate is None) != (key is None):
        raise CredentialsError(
            f"context {chosen!r} in {path} has a client certificate or a key, but not both"
        )
    basic = None
    if user.get("username") is not None and user.get("password") is not None:
        basic = base64.b64encode(f"{user['username']}:{user['password']}".encode()).decode()
    return Credentials(
        server=server,
        ca_data=_pem(cluster, "certificate-authority", path),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        server_name=str(cluster["tls-server-name"]) if cluster.get("tls-server-name") else None,
        proxy=_proxy(cluster, chosen, path) or proxies.from_environment(server, environ),
        token=user.get("token"),
        token_file=_beside(path, user["tokenFile"]) if user.get("tokenFile") else None,
        basic=basic,
        client_certificate=(certificate, key) if certificate is not None and key is not None else None,
        exec_plugin=_exec(user["exec"], path) if user.get("exec") else None,
        namespace=str(scope.get("namespace") or "default"),
    )


def discover(
    kubeconfig_path: str | None, context: str | None, environ: Mapping[str, str] = os.environ
) -> Credentials:
    """A named kubeconfig, else the pod's service account, else ``$KUBECONFIG`` or ``~/.kube/config``."""
    if kubeconfig_path:
        return kubeconfig(Path(kubeconfig_path).expanduser(), context, environ)
    if context is None and environ.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster(environ)
    candidates = [p for p in environ.get("KUBECONFIG", "").split(os.pathsep) if p] or ["~/.kube/config"]
    for candidate in candidates:
        path = Path(candidate).expanduser()
        if path.is_file():
            return kubeconfig(path, context, environ)
    raise CredentialsError(
        f"no way to a cluster: not in a pod, and none of these kubeconfigs exists: {', '.join(candidates)}"
    )


def _refuse_impersonation(user: Mapping[str, Any], context: str, path: Path) -> None:
    found = sorted(
        name for name in ("as", "as-uid", "as-groups", "as-user-extra", "as-user-extras") if user.get(name)
    )
    if found:
        raise CredentialsError(
            f"context {context!r} in {path} impersonates another user ({', '.join(found)}), which the operator does "
            "not support: its requests would carry the kubeconfig's own identity; use credentials of that user instead"
        )


def _proxy(cluster: Mapping[str, Any], context: str, path: Path) -> str | None:
    url = cluster.get("proxy-url")
    if not url:
        return None
    if not proxies.usable(str(url)):
        raise CredentialsError(
            f"the proxy-url of context {context!r} in {path} is no http:// or https:// URL; other kinds of proxies "
            "are not supported"
        )
    return str(url)


def _named(
    document: Mapping[str, Any], plural: str, singular: str, name: object, path: Path
) -> dict[str, Any]:
    for entry in document.get(plural) or []:
        if isinstance(entry, dict) and entry.get("name") == name:
            value = entry.get(singular)
            return value if isinstance(value, dict) else {}
    raise CredentialsError(f"the kubeconfig {path} has no {singular} {name!r}")


def _beside(path: Path, name: str) -> Path:
    """Relative paths in a kubeconfig are relative to the file."""
    return path.parent / Path(name).expanduser()


def _pem(section: Mapping[str, Any], name: str, path: Path) -> str | None:
    """PEM text from ``name``-data (base64) or from the file that ``name`` points to."""
    data, file = section.get(f"{name}-data"), section.get(name)
    try:
        if data:
            return base64.b64decode(data).decode()
        return _beside(path, file).read_text() if file else None
    except (OSError, ValueError, binascii.Error) as error:
        raise CredentialsError(f"{name} in the kubeconfig {path} cannot be read") from error


def _exec(section: Mapping[str, Any], path: Path) -> ExecPlugin:
    command = section.get("command")
    if not command:
        raise CredentialsError(f"the exec plugin in the kubeconfig {path} has no command")
    # client-go: a command with a slash is relative to the kubeconfig, a bare name is looked up in PATH.
    located = str(_beside(path, command)) if "/" in command else command
    return ExecPlugin(
        command=located,
        args=tuple(str(arg) for arg in section.get("args") or ()),
        env={str(e["name"]): str(e.get("value", "")) for e in section.get("env") or ()},
        api_version=str(section.get("apiVersion", "client.authentication.k8s.io/v1")),
    )


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Python's ssl reads key pairs from files only; this one lives for a moment, readable by us alone."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:
        pair.write(f"{certificate}\n{key}\n")
        pair.flush()
        context.load_cert_chain(pair.name)

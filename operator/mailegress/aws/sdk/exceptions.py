"""Exceptions of the SDK as :class:`AwsError`.

A request that did not reach AWS is reported with its host and the cause, in the same words at every attempt, and
without credentials. ``aws/errors.py`` decides which reason of a condition an error becomes.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from botocore import exceptions as sdk

from mailegress.aws.api import AwsError, Service
from mailegress.aws.endpoints import host_of, override_of, proxy_variable
from mailegress.telemetry.logs import redact

_CREDENTIAL_CALLS = {
    "assume-role": "AssumeRole",
    "assume-role-with-web-identity": "AssumeRoleWithWebIdentity",
}
_NAMES = {Service.EC2: "EC2", Service.ROUTE53: "Route 53", Service.STS: "STS"}
_PROVIDERS = {
    "container-role": "EKS Pod Identity or the container's credentials endpoint",
    "iam-role": "the instance metadata service (IMDS)",
}
_NO_CREDENTIALS: tuple[type[Exception], ...] = (
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.CredentialRetrievalError,
    sdk.MetadataRetrievalError,
    sdk.RefreshWithMFAUnsupportedError,
    sdk.InvalidConfigError,
    sdk.ConfigParseError,
    sdk.ConfigNotFound,
    sdk.ProfileNotFound,
    sdk.TokenRetrievalError,
    sdk.UnauthorizedSSOTokenError,
    sdk.UnknownCredentialError,
    sdk.InfiniteLoopConfigError,
)
_NETWORK = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.ENETUNREACH: "network unreachable",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ETIMEDOUT: "no answer",
}


class CredentialsFailed(Exception):
    """Credentials could not be fetched. ``method``: the SDK's name of their source, or empty."""

    def __init__(self, method: str, cause: Exception) -> None:
        super().__init__(f"{method or 'credentials'}: {type(cause).__name__}")
        self.method = method
        self.cause = cause


class MalformedCredentials(Exception):
    """A credential that no request could carry. The text names its place, never its value."""


class InsecureEndpoint(Exception):
    """An endpoint to which credentials would go unencrypted."""


def translate(
    service: Service,
    operation: str,
    error: Exception,
    endpoint: str = "",
    environ: Mapping[str, str] = os.environ,
) -> AwsError:
    """An exception of the SDK as :class:`AwsError`. A request counts as sent unless the exception rules it out.

    ``endpoint``: the URL that the request was for, if it is known.
    """
    if isinstance(error, CredentialsFailed):
        return _credentials(service, operation, error, environ)
    if isinstance(error, sdk.ClientError):
        return _refused(service, operation, error, endpoint)
    if isinstance(error, MalformedCredentials):
        return AwsError(service, operation, "MalformedCredentials", str(error), sent=False)
    if isinstance(error, InsecureEndpoint):
        return AwsError(service, operation, "InvalidEndpoint", str(error), sent=False)
    if isinstance(error, sdk.ReadTimeoutError):
        return AwsError(service, operation, "Timeout", str(error))
    if isinstance(error, sdk.ParamValidationError):
        return AwsError(service, operation, "ParamValidation", str(error), sent=False)
    if isinstance(error, _NO_CREDENTIALS):
        return AwsError(service, operation, "NoCredentials", str(error), sent=False)
    found = _unreached(service, operation, error, endpoint, environ)
    if found is not None:
        return found
    if isinstance(error, sdk.HTTPClientError):
        if "header value" in str(error) or "header name" in str(error):
            # The text shows the header, and in it the access key.
            text = "the access key or the session token contains a character that no HTTP header can carry"
            return AwsError(service, operation, "MalformedCredentials", text, sent=False)
        return AwsError(service, operation, "ConnectionError", str(error))
    if type(error).__name__ == "ResponseParserError":
        text = f"{host_of(endpoint) or 'the endpoint'} answers, but not as AWS does"
        return AwsError(service, operation, "NotAWS", text)
    if isinstance(error, sdk.InvalidRegionError | sdk.UnknownEndpointError | sdk.NoRegionError):
        return AwsError(service, operation, "InvalidEndpoint", str(error), sent=False)
    if isinstance(error, ValueError) and str(error).startswith("Invalid endpoint"):
        # The URL itself is not shown: it may carry a password.
        variable = override_of(service, environ)
        text = f"the value of {variable} is not a URL" if variable else "the configured endpoint is not a URL"
        return AwsError(service, operation, "InvalidEndpoint", text, sent=False)
    return AwsError(service, operation, "InvalidResponse", f"{type(error).__name__}: {error}")


def _refused(service: Service, operation: str, error: sdk.ClientError, endpoint: str) -> AwsError:
    details = error.response.get("Error", {})
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code, message = str(details.get("Code") or ""), str(details.get("Message") or "")
    if error.operation_name != operation:
        # Credentials are fetched inside the call: AssumeRole or AssumeRoleWithWebIdentity was refused.
        return AwsError(Service.STS, error.operation_name, code, message, status, sent=False)
    if not code and operation == "ChangeResourceRecordSets" and status == 400:
        # botocore parses the alternate root element <InvalidChangeBatch> as an empty code and message.
        code = "InvalidChangeBatch"
    if code in ("", str(status)) and 300 <= status < 500:
        # How botocore reads a reply without an error document: AWS always sends one.
        text = f"{host_of(endpoint) or 'the endpoint'} answers HTTP {status} without an AWS error"
        return AwsError(service, operation, "NotAWS", text, status)
    return AwsError(service, operation, code, message, status)


def _credentials(
    service: Service, operation: str, failed: CredentialsFailed, environ: Mapping[str, str]
) -> AwsError:
    """The failed call is the one that fetched the credentials, not the one that needed them."""
    cause = failed.cause
    fetch = _CREDENTIAL_CALLS.get(failed.method)
    if fetch is not None:
        service, operation = Service.STS, fetch
    if isinstance(cause, sdk.ClientError):
        refused = translate(Service.STS, cause.operation_name, cause, environ=environ)
        refused.sent = False
        return refused
    if isinstance(cause, OSError) and cause.filename:
        text = f"cannot read {redact(str(cause.filename))}: {cause.strerror or type(cause).__name__}"
        return AwsError(service, operation, "CredentialsFile", text, sent=False)
    if isinstance(cause, ValueError) and str(cause).startswith("Unsupported host"):
        host = urlsplit(environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")).hostname or "(none)"
        text = f"AWS_CONTAINER_CREDENTIALS_FULL_URI has the host {host}, which the AWS SDK does not allow"
        return AwsError(service, operation, "CredentialsHost", text, sent=False)
    if isinstance(cause, ValueError) and "Auth token" in str(cause):
        place = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") or "AWS_CONTAINER_AUTHORIZATION_TOKEN"
        text = f"the authorization token in {redact(place)} contains a line break"
        return AwsError(service, operation, "MalformedCredentials", text, sent=False)
    error = translate(service, operation, cause, environ=environ)
    if error.code == "InvalidResponse":
        source = _PROVIDERS.get(failed.method, "the credential source")
        return AwsError(
            service, operation, "NoCredentials", f"{source} failed: {type(cause).__name__}", sent=False
        )
    error.sent = False
    return error


def _unreached(
    service: Service, operation: str, error: Exception, endpoint: str, environ: Mapping[str, str]
) -> AwsError | None:
    """The error of a request that did not reach its endpoint; None if it is another error."""
    url = str(getattr(error, "kwargs", {}).get("endpoint_url") or endpoint)
    host = host_of(url) or "the endpoint"
    variable = override_of(service, environ)
    place = f"AWS {_NAMES[service]} at {host}" + (f" ({variable})" if variable else "")
    if isinstance(error, sdk.ProxyConnectionError):
        name, proxy = proxy_variable(urlsplit(url).scheme or "https", environ)
        proxy = proxy or host_of(str(getattr(error, "kwargs", {}).get("proxy_url", "")))
        text = f"the proxy {proxy} ({name or 'HTTPS_PROXY'}) on the way to {host} failed: {_cause(error)}"
        return AwsError(service, operation, "ProxyError", text, sent=False)
    if isinstance(error, sdk.SSLError):
        text = f"the certificate of {place} is not trusted: {_cause(error)}"
        return AwsError(service, operation, "UntrustedCertificate", text, sent=False)
    if isinstance(error, sdk.EndpointConnectionError | sdk.ConnectTimeoutError):
        text = f"no connection to {place}: {_cause(error)}"
        return AwsError(service, operation, "ConnectionError", text, sent=False)
    return None


def _cause(error: Exception) -> str:
    """The innermost cause in fixed words."""
    for inner in _chain(error):
        if isinstance(inner, ssl.SSLCertVerificationError):
            return inner.verify_message or "certificate verification failed"
        if isinstance(inner, ssl.SSLError):
            return f"TLS failed ({inner.reason or type(inner).__name__})"
        if isinstance(inner, socket.gaierror) or type(inner).__name__ == "NameResolutionError":
            return "the host name cannot be resolved"
        if isinstance(inner, TimeoutError) or type(inner).__name__ == "ConnectTimeoutError":
            return "no answer"
        if isinstance(inner, OSError) and inner.errno in _NETWORK:
            return _NETWORK[inner.errno]
        if isinstance(inner, OSError) and str(inner).startswith("Tunnel connection failed"):
            return redact(str(inner))
    if isinstance(error, sdk.ConnectTimeoutError):
        return "no answer"
    return "no connection"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exceptions inside an exception, the innermost ones first."""
    seen: list[BaseException] = []
    due: list[object] = [error]
    while due and len(seen) < 16:
        item = due.pop()
        if not isinstance(item, BaseException) or item in seen:
            continue
        seen.append(item)
        kwargs = getattr(item, "kwargs", {})
        due += [item.__context__, item.__cause__, getattr(item, "original_error", None), *item.args]
        due += [getattr(item, "reason", None), kwargs.get("error") if isinstance(kwargs, dict) else None]
    return reversed(seen)

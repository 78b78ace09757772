"""What can go wrong between a user's command and a control plane that answers."""

from __future__ import annotations


class ControlPlaneError(Exception):
    """A control plane cannot be found, built, started or asked.

    The message is complete: what was tried, what came of it (with the end of the log that says so) and what
    the user can do.
    """


class BuildError(ControlPlaneError):
    """The Go build is not possible here, or failed."""


class ReleaseError(ControlPlaneError):
    """A published release cannot be downloaded in time, or does not match its checksum."""


class KubectlError(ControlPlaneError):
    """A kubectl call that had to succeed did not; carries its exit status and standard error."""

    def __init__(self, args: tuple[str, ...], returncode: int, stderr: str) -> None:
        super().__init__(f"`kubectl {' '.join(args)}` ended with status {returncode}:\n{stderr.strip()}")
        self.returncode = returncode
        self.stderr = stderr

"""The program ``kubectl-mailegress``, which kubectl finds on PATH as ``kubectl mailegress``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, NoReturn

import typer

PROGRAM = "kubectl mailegress"

app = typer.Typer(
    name=PROGRAM,
    help="Read MailEgresses, and ask the operator to reconcile, suspend or resume them, with your own rights.",
    no_args_is_help=True,
    # kubectl completes plugins in another way: see completion.py.
    add_completion=False,
    pretty_exceptions_enable=False,
    # Without it, --help does not wait for rich.
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="Name of a MailEgress.", metavar="NAME", show_default=False)]
Names = Annotated[
    list[str], typer.Argument(help="Names of MailEgresses.", metavar="NAME...", show_default=False)
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace", "-n", help="Namespace. Default: that of the kubeconfig's context.", metavar="NAMESPACE"
    ),
]
Kubeconfig = Annotated[
    str | None,
    typer.Option(help="Kubeconfig file. Default: KUBECONFIG, else ~/.kube/config.", metavar="FILE"),
]
Context = Annotated[
    str | None, typer.Option(help="Context of the kubeconfig. Default: its current one.", metavar="CONTEXT")
]
Output = Annotated[
    str, typer.Option("--output", "-o", help="text, or json for programs.", metavar="text|json")
]
# Of probe.
Target = Annotated[
    str,
    typer.Option(
        help="Domain of a recipient, whose mail server is contacted, or the IPv4 address of a server.",
        metavar="DOMAIN|ADDRESS",
    ),
]
Image = Annotated[
    str | None,
    typer.Option(
        help="Image of the pod. Default: the operator's own image of this version.",
        metavar="IMAGE",
        envvar="MAILEGRESS_PROBE_IMAGE",
    ),
]
PullSecret = Annotated[
    str | None,
    typer.Option(help="Secret of the namespace with the login of the image's registry.", metavar="NAME"),
]
Node = Annotated[str | None, typer.Option(help="Node on which the pod runs. Default: any.", metavar="NAME")]
AddressFrom = Annotated[
    str | None,
    typer.Option(
        help="URL of a service that answers with its caller's IPv4 address. Default: none is asked.",
        metavar="URL",
    ),
]
Resolvers = Annotated[
    str,
    typer.Option(
        help="Resolvers, address or address:port, comma-separated. Default: those of the pod.",
        metavar="ADDRESSES",
    ),
]
TimeoutSeconds = Annotated[
    str, typer.Option(help="Seconds to wait for the connection; for a reply, three times as long.")
]


@app.command(
    epilog="Examples: kubectl mailegress status -A; kubectl mailegress status outbound -n mail --watch"
)
def status(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of a MailEgress. Default: all.", metavar="NAME", show_default=False),
    ] = None,
    namespace: Namespace = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Every namespace, not only one.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Print it again whenever it changes, until Ctrl-C.")
    ] = False,
    output: Output = "text",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Show MailEgresses: one sentence, then per address what is wanted, what AWS has and what DNS answers.

    Exit code: 0 = shown, 1 = the cluster cannot be read or there is no such object, 2 = wrong usage.
    """
    if output not in ("text", "json"):
        _refuse(f"--output {output!r} is not known; give text or json")
    if all_namespaces and (name is not None or namespace is not None):
        _refuse("-A shows all objects; give it without a name and without -n")
    from mailegress.tools.plugin import status as shown

    _run(
        shown.show(
            shown.Wanted(name, namespace, all_namespaces),
            kubeconfig,
            context,
            watch=watch,
            as_json=output == "json",
        )
    )


@app.command(epilog="Example: kubectl mailegress reconcile outbound -n mail")
def reconcile(
    names: Names, namespace: Namespace = None, kubeconfig: Kubeconfig = None, context: Context = None
) -> None:
    """Let the operator read everything about a MailEgress again at once."""
    _change("reconcile", names, namespace, kubeconfig, context)


@app.command(epilog="Example: kubectl mailegress suspend outbound -n mail")
def suspend(
    names: Names, namespace: Namespace = None, kubeconfig: Kubeconfig = None, context: Context = None
) -> None:
    """Hold back every write to AWS for a MailEgress (spec.suspend). The status stays up to date."""
    _change("suspend", names, namespace, kubeconfig, context)


@app.command(epilog="Example: kubectl mailegress resume outbound -n mail")
def resume(
    names: Names, namespace: Namespace = None, kubeconfig: Kubeconfig = None, context: Context = None
) -> None:
    """End a suspension."""
    _change("resume", names, namespace, kubeconfig, context)


@app.command(
    "import",
    epilog="Examples: kubectl mailegress import --region eu-west-1 --tag use=mail > megs.yaml; "
    "kubectl mailegress import --region eu-west-1 --terraform state.json > megs.yaml",
)
def import_(
    region: Annotated[
        list[str],
        typer.Option(help="AWS region; the first is the operator's default. Repeatable.", metavar="REGION"),
    ],
    tag: Annotated[
        list[str] | None,
        typer.Option(help="Only Elastic IPs with this tag. Repeatable.", metavar="KEY=VALUE"),
    ] = None,
    terraform: Annotated[
        str | None,
        typer.Option(help="Output of `terraform show -json`, instead of the account.", metavar="FILE"),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Namespace in the manifests.", metavar="NAMESPACE")
    ] = None,
) -> None:
    """Write manifests for Elastic IPs that have PTRs already, and report what can be adopted. Read-only.

    Manifests go to standard output, the report to standard error. AWS is read with your own credentials.

    Exit code: 0 = all can be adopted, 1 = some cannot, or nothing can be read, 2 = wrong usage.
    """
    from mailegress.api.validation import is_region

    for text in region:
        if not is_region(text):
            _refuse(f"--region {text!r} is not an AWS region; give one such as eu-west-1")
    if tag and terraform is not None:
        _refuse("--tag selects in an account; give it without --terraform")
    tags = tuple(sorted((key, value) for key, _, value in (text.partition("=") for text in tag or ())))
    if not all(key for key, _ in tags) or not all("=" in text for text in tag or ()):
        _refuse("--tag needs a key and a value; give it as KEY=VALUE")
    from mailegress.tools.plugin import imports

    _run(imports.run(imports.Source(tuple(dict.fromkeys(region)), tags, terraform, namespace)))


@app.command(epilog="Example: kubectl mailegress orphans --region eu-west-1")
def orphans(
    region: Annotated[
        str,
        typer.Option(
            help="Any AWS region of the account's partition.", metavar="REGION", envvar="AWS_REGION"
        ),
    ] = "us-east-1",
    owner_id: Annotated[
        list[str] | None,
        typer.Option(
            help="Owner ID of the operator. Default: that of this cluster. Repeatable.", metavar="ID"
        ),
    ] = None,
    output: Output = "text",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """List ownership records in Route 53 whose MailEgress does not exist any more. Read-only.

    The cluster is read with your kubeconfig, AWS with your own credentials.

    Exit code: 0 = there is none, 1 = there are some, or nothing can be read, 2 = wrong usage.
    """
    if output not in ("text", "json"):
        _refuse(f"--output {output!r} is not known; give text or json")
    from mailegress.tools.plugin import orphans as found

    _run(found.run(owner_id or (), region, kubeconfig, context, as_json=output == "json"))


@app.command(
    epilog="Examples: kubectl mailegress probe outbound --to example.net -n mail; "
    "kubectl mailegress probe outbound --to 198.51.100.25 --address-from https://checkip.amazonaws.com -o json"
)
def probe(
    name: Name,
    to: Target,
    namespace: Namespace = None,
    image: Image = None,
    image_pull_secret: PullSecret = None,
    node: Node = None,
    address_from: AddressFrom = None,
    resolvers: Resolvers = "",
    timeout_seconds: TimeoutSeconds = "20",
    output: Output = "text",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """See from inside the cluster whether mail can leave on port 25, and from which address it does.

    A Job in the namespace of the MailEgress, created with your own rights and deleted afterwards, connects once to the
    mail server of a domain, reads banner and EHLO reply, and leaves. No mail is sent.

    Exit code: 0 = open, 3 = blocked, 4 = refused, 5 = open, but mail leaves from an address that is not in the status,
    6 = open, but the server rejects the client, 7 = no verdict, 1 = the probe cannot run, 2 = wrong usage.
    """
    if output not in ("text", "json"):
        _refuse(f"--output {output!r} is not known; give text or json")
    from mailegress.tools.plugin import probe_options

    try:
        wanted = probe_options.wanted(
            name, to, namespace, image, image_pull_secret, node, address_from, resolvers, timeout_seconds
        )
    except ValueError as error:
        _refuse(str(error))
    from mailegress.tools.plugin import probe as probing

    _run(probing.run(wanted, kubeconfig, context, as_json=output == "json"), interrupted=130)


@app.command()
def version() -> None:
    """Print the version."""
    from mailegress import __version__

    typer.echo(f"kubectl-mailegress {__version__}")


def _change(
    what: str, names: list[str], namespace: str | None, kubeconfig: str | None, context: str | None
) -> None:
    from mailegress.tools.plugin import changes

    _run(changes.change(changes.Change(what), names, namespace, kubeconfig, context))


def _run(work: Coroutine[Any, Any, int], interrupted: int = 0) -> None:
    """The exit code of a command; what it cannot do is one line on standard error."""
    from mailegress.tools.plugin.cluster import Problem

    # Before asyncio installs its own handler, which does not end a write that waits for a reader.
    signal.signal(signal.SIGINT, _stop)
    try:
        code = asyncio.run(work)
    except Problem as problem:
        typer.echo(f"{PROGRAM}: {problem}", err=True)
        code = 1
    except KeyboardInterrupt:
        code = interrupted
    except BrokenPipeError:
        # Whoever read it has seen enough; the interpreter must not complain at its end either.
        sys.stderr.close()
        code = 0
    raise typer.Exit(code)


def _stop(number: int, frame: object) -> None:
    """Ctrl-C. What nobody reads is thrown away, also what the interpreter writes at its end."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    raise KeyboardInterrupt


def _refuse(problem: str) -> NoReturn:
    typer.echo(f"{PROGRAM}: {problem}", err=True)
    raise typer.Exit(2)

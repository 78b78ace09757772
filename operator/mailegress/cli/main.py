"""The command line: ``mailegress run``, ``check``, ``check-config``, ``version``."""

from __future__ import annotations

import inspect
import logging
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from mailegress import __version__
from mailegress.cli.check import EXAMPLES, EXIT_USAGE, check
from mailegress.cli.probe import smtp_probe
from mailegress.cli.settings import Settings, specs

app = typer.Typer(
    name="mailegress",
    help="Keeps the forward and reverse DNS of AWS mail egress addresses in agreement.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with the values of local variables could print credentials.
    pretty_exceptions_enable=False,
)


def _with_settings(command: Callable[[Settings], None]) -> Callable[..., None]:
    """Give a command one option per setting, and call it with the validated settings.

    Every option arrives as text: the parsers of :mod:`mailegress.cli.settings` judge them all at once, while
    typer would stop at the first.
    """

    def wrapper(**texts: str | None) -> None:
        # Imported late: it knows the regions of AWS, which --help does not need.
        from mailegress.cli.loading import SettingsError, load_settings

        try:
            settings = load_settings(texts, os.environ)
        except SettingsError as error:
            typer.echo(f"mailegress: {error}", err=True)
            raise typer.Exit(EXIT_USAGE) from None
        command(settings)

    parameters = [
        inspect.Parameter(
            spec.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=spec.default or None,
            annotation=Annotated[
                str | None,
                typer.Option(
                    spec.flag,
                    envvar=spec.env,
                    help=spec.help + ("" if spec.default else f" Default: {spec.shown_default}."),
                    show_default=bool(spec.default),
                    metavar=_metavar(spec.name),
                    rich_help_panel=spec.panel,
                ),
            ],
        )
        for spec in specs()
    ]
    vars(wrapper)["__signature__"] = inspect.Signature(parameters)
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    wrapper.__doc__ = command.__doc__
    wrapper.__name__ = command.__name__
    return wrapper


def _metavar(name: str) -> str:
    suffix = name.rpartition("_")[2].upper()
    known = {"SECONDS", "MS", "RATE", "PERCENT", "ARN", "ADDRESS", "PORT"}
    return suffix if suffix in known else "VALUE"


def _run(settings: Settings) -> None:
    """Run the operator until SIGTERM.

    Credentials come from the AWS SDK's own chain (IRSA, Pod Identity, variables), endpoints from
    AWS_ENDPOINT_URL*.
    """
    from mailegress.cli.loading import unknown_variables
    from mailegress.telemetry import logs

    logs.configure(settings.log_format, settings.log_level)
    for line in unknown_variables(os.environ):
        logging.getLogger(__name__).warning(line)
    # Imported late, so that --help, version and a wrong setting do not wait for the SDKs.
    from mailegress.cli.run import run_operator

    raise typer.Exit(run_operator(settings))


def _check_config(settings: Settings) -> None:
    """Validate the settings and print them, with the AWS endpoints and the identity that the operator would use.

    Of AWS only the caller's identity is asked. The exit code is that of the settings: 0, or 2 if one cannot be used.
    """
    from mailegress.telemetry import logs

    # What is wrong is printed below; the log would repeat it.
    logs.configure("text", "error")
    _print_settings(settings)
    from mailegress.cli.identity import identity_lines

    for line in identity_lines(settings):
        typer.echo(line)
    typer.echo(
        "The settings are valid. Of AWS only the caller's identity was asked; the API server was not contacted."
    )


def _print_settings(settings: Settings) -> None:
    from mailegress.cli.loading import shown_value, unknown_variables

    width = max(len(spec.flag) for spec in specs())
    for spec in specs():
        value: Any = getattr(settings, spec.name)
        shown = shown_value(spec, value) or f"({spec.shown_default})"
        typer.echo(f"{spec.flag:<{width}}  {shown}")
    for line in unknown_variables(os.environ):
        typer.echo(f"warning: {line}", err=True)


app.command("run")(_with_settings(_run))
app.command("check-config")(_with_settings(_check_config))
app.command("check", epilog=EXAMPLES, context_settings={"ignore_unknown_options": True})(check)
app.command("smtp-probe", hidden=True)(smtp_probe)


@app.command("version")
def version() -> None:
    """Print the version."""
    typer.echo(f"mailegress {__version__} (Python {sys.version_info.major}.{sys.version_info.minor})")

"""`silence add`, `list` and `expire`."""

from typing import Annotated

import typer

from monitor.cli.options import ConfigPath, Json, config_path

silence = typer.Typer(
    name="silence",
    help="Do not hear of some alerts for a while. What still fires when a silence ends is told then, once.",
    no_args_is_help=True,
)


@silence.command()
def add(
    context: typer.Context,
    matchers: Annotated[
        list[str], typer.Argument(metavar="LABEL=VALUE...", help="All must hold, globs too: account=hedge rule=Liq*")
    ],
    comment: Annotated[str, typer.Option(help="Why.")],
    author: Annotated[str, typer.Option(help="Who says so.", envvar="USER")],
    lasts: Annotated[str | None, typer.Option("--for", help="How long, for example 2h.")] = None,
    until: Annotated[str | None, typer.Option(help="Its end, for example 2026-12-01T06:00:00Z.")] = None,
    start: Annotated[str | None, typer.Option(help="Its beginning; default now.")] = None,
    unless: Annotated[str | None, typer.Option(help='Lifts it when things get worse: "equity<50000".')] = None,
    config: ConfigPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Silence the alerts that match; prints the silence's id. A label given twice may have either value."""
    from monitor.commands.silence import add_silence  # noqa: PLC0415 - help must start at once

    said = {"comment": comment, "author": author, "duration": lasts, "ends_at": until, "starts_at": start}
    raise typer.Exit(add_silence(config_path(context, config), matchers, said, unless, as_json=as_json))


@silence.command("list")
def list_silences(
    context: typer.Context,
    config: ConfigPath = None,
    *,
    ended: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    as_json: Json = False,
) -> None:
    """The silences of the configuration and those made at run time."""
    from monitor.commands.silence import show_silences  # noqa: PLC0415

    raise typer.Exit(show_silences(config_path(context, config), ended=ended, as_json=as_json))


@silence.command()
def expire(context: typer.Context, silence_id: str, config: ConfigPath = None, *, as_json: Json = False) -> None:
    """End a silence now."""
    from monitor.commands.silence import end_silence  # noqa: PLC0415

    raise typer.Exit(end_silence(config_path(context, config), silence_id, as_json=as_json))

"""`ack`, `why`, `deliveries` and `replay`: who was told what, what came of it, and who looks after it."""

from typing import Annotated, Literal

import typer

from monitor.cli.options import ConfigPath, Json, config_path

DeliveryState = Literal["dead", "failing", "waiting", "sent"]


def ack(
    context: typer.Context,
    alert_id: str,
    author: Annotated[str, typer.Option(help="Who takes care of it.", envvar="USER")],
    comment: Annotated[str, typer.Option(help="What is being done.")],
    config: ConfigPath = None,
    *,
    as_json: Json = False,
) -> None:
    """Acknowledge an alert: no more reminders and no escalation, unless it gets worse. Its end is told."""
    from monitor.commands.ack import acknowledge  # noqa: PLC0415 - help must start at once

    raise typer.Exit(acknowledge(config_path(context, config), alert_id, author, comment, as_json=as_json))


def why(context: typer.Context, alert_id: str, config: ConfigPath = None, *, as_json: Json = False) -> None:
    """An alert's story: what was seen, who was told and when, and what they answered. Also of a message: ntf_…"""
    from monitor.commands.why import why as told  # noqa: PLC0415

    raise typer.Exit(told(config_path(context, config), alert_id, as_json=as_json))


def deliveries(
    context: typer.Context,
    config: ConfigPath = None,
    state: Annotated[DeliveryState | None, typer.Option(help="Only these; default: dead and failing.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only those of this channel.")] = None,
    *,
    dead: Annotated[bool, typer.Option("--dead", help="Only what was given up: the same as --state dead.")] = False,
    as_json: Json = False,
) -> None:
    """What has not arrived: given up (dead) or tried again (failing), the worst first."""
    from monitor.commands.deliveries import list_deliveries  # noqa: PLC0415

    if dead and state not in (None, "dead"):
        raise typer.BadParameter(f"with --state {state} it contradicts", param_hint="--dead")
    raise typer.Exit(list_deliveries(config_path(context, config), "dead" if dead else state, channel, as_json=as_json))


def replay(
    context: typer.Context,
    notification_id: Annotated[str | None, typer.Argument(metavar="ID", help="As in `deliveries --dead`.")] = None,
    config: ConfigPath = None,
    channel: Annotated[str | None, typer.Option(help="Only those of this channel.")] = None,
    *,
    dead: Annotated[bool, typer.Option("--dead", help="All dead messages.")] = False,
    as_json: Json = False,
) -> None:
    """Send a dead message again, as it was; a paused channel is tried at once."""
    from monitor.commands.deliveries import replay as send_again  # noqa: PLC0415

    if dead == (notification_id is not None):
        raise typer.BadParameter("name one message, or say --dead for all of them", param_hint="ID")
    raise typer.Exit(send_again(config_path(context, config), notification_id, channel, as_json=as_json))

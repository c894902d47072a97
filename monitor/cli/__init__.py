"""The command line. A command imports what it runs, so that help starts at once."""

import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from monitor.cli.options import CONFIG_HELP, ConfigPath, Json
from monitor.cli.options import config_path as _path
from monitor.cli.sent import ack, deliveries, replay, why
from monitor.cli.silence import silence

app = typer.Typer(
    name="balance-monitor",
    help="Watches balances where they live, alerts by YAML rules, and never takes not knowing for zero.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(silence)

#: Contract section 2: it ran and failed, usage or configuration.
FAILED, USAGE = 1, 2

_TEST_CONFIG_HELP = "For test files that name no `config:`; default the nearest config.yaml upwards of each."
#: Only the outermost one reads the environment, else the variable would beat an option before the command.
RootConfigPath = Annotated[
    Path | None, typer.Option("--config", "-c", help=CONFIG_HELP, envvar="BALANCE_MONITOR_CONFIG")
]
Level = Literal["debug", "info", "warning", "error"]


def main() -> None:
    """Run the command line; unexpected errors keep their traceback, expected ones are one line."""
    from monitor.errors import ConfigError, MonitorError  # noqa: PLC0415 - help must start at once

    try:
        app()
    except ConfigError as error:
        for mistake in error.mistakes:
            print(mistake, file=sys.stderr)
        sys.exit(USAGE)
    except MonitorError as error:
        print(f"balance-monitor: {error}", file=sys.stderr)
        sys.exit(FAILED)


def _version(wanted: bool) -> None:
    if wanted:
        from monitor import __version__  # noqa: PLC0415

        print(f"balance-monitor {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    config: RootConfigPath = None,
    version: Annotated[  # noqa: ARG001 - typer calls it back
        bool, typer.Option("--version", help="Print the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = config


@app.command()
def run(
    context: typer.Context,
    config: ConfigPath = None,
    roles: Annotated[str, typer.Option(help="Which parts to run: poll, deliver, api.")] = "poll,deliver,api",
    log_level: Annotated[Level | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Run the daemon: poll, judge, deliver, and serve the HTTP API."""
    if hasattr(signal, "SIGHUP"):
        # Until somebody listens to it, it would end us; what it asks for is done anyway: the files are read.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from monitor.app import ROLES, run_daemon  # noqa: PLC0415

    chosen = frozenset(role.strip() for role in roles.split(","))
    if unknown := chosen - ROLES:
        said = f"{', '.join(sorted(unknown))}: the roles are poll, deliver, api"
        raise typer.BadParameter(said, param_hint="--roles")
    raise typer.Exit(run_daemon(_path(context, config), chosen, log_level))


@app.command()
def demo(
    seconds: Annotated[str | None, typer.Option("--for", help="End after this long, for example 30s.")] = None,
    *,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the daemon's log too.")] = False,
) -> None:
    """Run the real daemon against simulated providers and a local chat; needs no key and no network."""
    from monitor.clock import wall_clock  # noqa: PLC0415
    from monitor.demo.show import SHORTEST, show  # noqa: PLC0415
    from monitor.fields import duration, duration_text  # noqa: PLC0415
    from monitor.process import run_async  # noqa: PLC0415

    try:
        length = None if seconds is None else duration(seconds)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from None
    if length is not None and length < SHORTEST:
        raise typer.BadParameter(f"the script needs {duration_text(SHORTEST)} at least", param_hint="--for")
    raise typer.Exit(run_async(lambda: show(length, wall_clock, verbose=verbose)))


@app.command()
def check(
    context: typer.Context,
    config: ConfigPath = None,
    *,
    no_secrets: Annotated[bool, typer.Option("--no-secrets", help="Do not read secrets (for CI).")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="What a reload would close, open or change.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --diff: for machines.")] = False,
) -> None:
    """Read configuration and rules; print every mistake, or a one-screen summary."""
    if diff:
        if no_secrets:
            raise typer.BadParameter("the store cannot be read without its secrets", param_hint="--diff")
        from monitor.commands.diff import check_diff  # noqa: PLC0415 - help must start at once

        raise typer.Exit(check_diff(_path(context, config), as_json=as_json))
    if as_json:
        raise typer.BadParameter("only with --diff", param_hint="--json")
    from monitor.clock import wall_clock  # noqa: PLC0415
    from monitor.commands.checks import summary  # noqa: PLC0415
    from monitor.config import load  # noqa: PLC0415

    loaded = load(_path(context, config), secrets=not no_secrets)
    print(summary(loaded, wall_clock()))


@app.command()
def schema(
    what: Annotated[Literal["config", "rules", "tests"], typer.Argument(help="config, rules or tests")],
) -> None:
    """Print the JSON Schema of the configuration, of rule files or of rule tests, for editors."""
    import json  # noqa: PLC0415

    from monitor.commands.checks import schema as schema_of  # noqa: PLC0415

    print(json.dumps(schema_of(what), indent=2, ensure_ascii=False))


@app.command("test")
def run_rule_tests(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Test files: rules/tests/*.yaml.")],
    config: Annotated[Path | None, typer.Option("--config", "-c", help=_TEST_CONFIG_HELP)] = None,
    *,
    as_json: Json = False,
) -> None:
    """Run rule tests on a virtual clock: what your rules would do, and whom they would tell.

    Exit 1 and a readable diff when one fails, exit 2 when a file is wrong in itself.
    """
    from monitor.ruletest.report import run_tests  # noqa: PLC0415

    raise typer.Exit(run_tests(files, config or context.find_root().obj, as_json=as_json))


@app.command()
def backtest(
    context: typer.Context,
    config: ConfigPath = None,
    since: Annotated[str, typer.Option(help="How far back: 30d, or a date like 2026-11-01.")] = "30d",
    rule: Annotated[list[str] | None, typer.Option(help="Only this rule; may be repeated.")] = None,
    account: Annotated[list[str] | None, typer.Option(help="Only this account; may be repeated.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Replay stored history through the rules: what would have been sent, per rule, channel and week.

    Reads only, also beside a running daemon. To try other rules, name a configuration with the same store:
    --config other.yaml.
    """
    from monitor.backtest import backtest as replay  # noqa: PLC0415

    raise typer.Exit(replay(_path(context, config), since, rule or [], account or [], as_json=as_json))


@app.command()
def poll(context: typer.Context, account: str, config: ConfigPath = None, *, as_json: Json = False) -> None:
    """Poll one account once and print the snapshot; stores nothing."""
    from monitor.commands.poll import poll_once  # noqa: PLC0415

    raise typer.Exit(poll_once(_path(context, config), account, as_json=as_json))


@app.command()
def status(context: typer.Context, config: ConfigPath = None, *, as_json: Json = False) -> None:
    """Accounts, ages, firing alerts, dead deliveries, lag."""
    from monitor.commands.status import show_status  # noqa: PLC0415

    raise typer.Exit(show_status(_path(context, config), as_json=as_json))


@app.command()
def explain(
    context: typer.Context,
    rule: str,
    account: Annotated[str | None, typer.Argument(help="Default: all, when the rule judges only a few.")] = None,
    config: ConfigPath = None,
    *,
    as_json: Json = False,
) -> None:
    """What a rule reads, how old that is, its verdict, and what would change it. Asks no provider."""
    from monitor.explain import explain as explained  # noqa: PLC0415

    raise typer.Exit(explained(_path(context, config), rule, account, as_json=as_json))


for _command in (ack, why, deliveries, replay):
    app.command()(_command)


@app.command()
def drill(
    context: typer.Context,
    rule: str,
    config: ConfigPath = None,
    account: Annotated[str | None, typer.Option(help="Default: the first that the rule matches.")] = None,
    severity: Annotated[
        Literal["info", "warning", "critical"] | None, typer.Option(help="Default: the rule's worst.")
    ] = None,
    wait: Annotated[str | None, typer.Option(help="Wait so long for the acknowledgement, for example 5m.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """A breach that never was, through the real routes, templates and channels, marked as a drill.

    Exit 0 when every channel took it and, with --wait, somebody acknowledged it in time.
    """
    from monitor.commands.drill import drill as staged  # noqa: PLC0415

    raise typer.Exit(staged(_path(context, config), rule, account, severity, wait, as_json=as_json))


@app.command("send-test")
def send_test(context: typer.Context, channel: str, config: ConfigPath = None) -> None:
    """Send a real test message to a channel through the real path."""
    from monitor.commands.send_test import send_test_message  # noqa: PLC0415

    raise typer.Exit(send_test_message(_path(context, config), channel))

"""What the commands share: where the configuration is, and how to answer machines."""

from pathlib import Path
from typing import Annotated

import typer

CONFIG_HELP = "The configuration file, before or after the command; default config.yaml."
ConfigPath = Annotated[Path | None, typer.Option("--config", "-c", help=CONFIG_HELP)]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]
DEFAULT_CONFIG = Path("config.yaml")


def config_path(context: typer.Context, config: Path | None) -> Path:
    """The configuration that is meant; ConfigError when none is named and none is here."""
    from monitor.errors import ConfigError  # noqa: PLC0415 - help must start at once

    named: Path | None = config or context.find_root().obj
    if named is None and not DEFAULT_CONFIG.exists():
        hint = "name another with --config PATH or $BALANCE_MONITOR_CONFIG, or begin with a copy of config.example.yaml"
        raise ConfigError([f"there is no {DEFAULT_CONFIG} here: {hint}"])
    return named or DEFAULT_CONFIG

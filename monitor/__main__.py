"""`python -m monitor` is the command `balance-monitor`."""

from monitor.cli import main

main()

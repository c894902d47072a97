"""Ports of loopback for servers that are started later, again, or never."""

import socket
import sys

#: Bound, never listening, and open to whoever binds them by number: nobody is given one of these who asks for any port.
_held: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody else is given while this process runs, listened on or not."""
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    port: int = probe.getsockname()[1]
    if sys.platform == "linux":
        _held.append(probe)
    else:
        # There a server could not have it either.
        probe.close()
    return port

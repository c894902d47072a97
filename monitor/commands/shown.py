"""How lines get onto a terminal: what is wider than that goes on below, set in."""

from rich.console import Console
from rich.text import Text

from monitor.redact import redact

#: By so much what goes on below is set in, beyond the line itself.
INDENT = 4
#: On a terminal narrower than this there is no room to set anything in.
NARROW = 40


def say(console: Console, line: str | Text, style: str = "") -> None:
    """A line, without secrets. Where nobody watches (a file, a pipe) it stays one line, however long."""
    text = line if isinstance(line, Text) else Text(redact(line), style)
    if not console.is_terminal or console.width < NARROW or text.cell_len <= console.width:
        console.print(text, soft_wrap=True)
        return
    lead = len(text.plain) - len(text.plain.lstrip()) + INDENT
    first, *more = text.wrap(console, console.width - lead)
    for part in (first, *(Text(" " * lead).append_text(one) for one in more)):
        part.rstrip()
        console.print(part, soft_wrap=True)

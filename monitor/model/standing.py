"""How the configuration of this process stands among those that other processes run on the same store.

Every configuration that is started or reloaded takes the next generation. A record carries the one it was last judged
by, and an older one does not judge it again: so alerts do not flap between two configurations while a deploy is under
way. Whoever runs an older one goes on with the accounts that no newer one has touched.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

#: Of two processes that wait for one account the same may come first for ever; so long an older one lets the newest go
#: first. Far more than the two can be apart, and little for an account that only the older one has.
PATIENCE = timedelta(seconds=0.25)


class Held(NamedTuple):
    """How a configuration stands: the newest one's generation, whether it is that, and whether nobody runs another.

    `missed`: it was silent for so long that others took it for gone, and may have seen off what only it has.
    """

    generation: int
    newest: bool
    alone: bool
    missed: bool = False


@dataclass(slots=True)
class Standing:
    """What this process knows of that. `name` is that of its configuration, `met` the highest generation that it found
    in a record.

    `newest`: no other configuration was started or reloaded since; `alone`: no process runs another one.
    """

    generation: int = 0
    newest: bool = True
    alone: bool = True
    met: int = 0
    name: str = ""

    @property
    def patience(self) -> timedelta:
        """How long what is due is left to others."""
        return timedelta(0) if self.newest else PATIENCE

    def take(self, held: Held) -> bool:
        """Take over what the store says; whether that is news. An older configuration keeps its generation."""
        news = held.missed or (held.newest, held.alone) != (self.newest, self.alone)
        if held.newest:
            self.generation = held.generation
        self.newest, self.alone = held.newest, held.alone
        return news

    def meet(self, generation: int) -> None:
        """A record was found that this generation has judged."""
        self.met = max(self.met, generation)


#: Of a process that has nobody beside it.
SOLE = Standing()

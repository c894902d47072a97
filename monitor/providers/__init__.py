"""The registry: a new provider is one file and one line here."""

from typing import Annotated

from pydantic import Field

from monitor.fields import by_type
from monitor.providers.base import ProviderSettings
from monitor.providers.cryptofuse import Cryptofuse
from monitor.providers.kaiko import Kaiko
from monitor.providers.kuna import Kuna
from monitor.providers.pacifica import Pacifica

#: Every provider's settings; `type` tells which.
AnyProvider = Annotated[
    Cryptofuse
    | Kaiko
    | Kuna
    | Pacifica,
    Field(discriminator="type"),
]  # fmt: skip
#: Type in the configuration → its settings.
PROVIDERS: dict[str, type[ProviderSettings]] = by_type(AnyProvider)

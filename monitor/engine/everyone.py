"""The accounts of the configuration and those made at run time, as one mapping."""

from collections.abc import Iterator, Mapping

from monitor.model.record import Account


class Everyone(Mapping[str, Account]):
    """Two sets of accounts as one, always as they are now; no name is in both."""

    def __init__(self, configured: Mapping[str, Account], watched: Mapping[str, Account]) -> None:
        self._configured, self._watched = configured, watched

    def __getitem__(self, name: str) -> Account:
        found = self._configured.get(name)
        return self._watched[name] if found is None else found

    def __contains__(self, name: object) -> bool:
        return name in self._configured or name in self._watched

    def __iter__(self) -> Iterator[str]:
        yield from self._configured
        yield from self._watched

    def __len__(self) -> int:
        return len(self._configured) + len(self._watched)

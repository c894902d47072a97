"""Something whose every call may be the last thing a process does."""


class PowerCut(BaseException):
    """Not an Exception, so no bulkhead can mistake it for a bug and carry on."""


class Fused:
    """Lets the power fail at the `blow`-th chance, of which every call has two: before and after."""

    def __init__(self, thing, chances, blow):
        self._thing, self._chances, self._blow = thing, chances, blow

    def __getattr__(self, name):
        async def call(*args, **kwargs):
            self._spark()
            result = await getattr(self._thing, name)(*args, **kwargs)
            self._spark()
            return result

        return call

    def _spark(self):
        if next(self._chances) == self._blow:
            raise PowerCut

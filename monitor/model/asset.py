"""How an asset is named: `USDT` on whatever network, or `USDT@TRON`."""


def bare(asset: str) -> str:
    """Its name without the network."""
    return asset.partition("@")[0]


def selects(wanted: str, asset: str) -> bool:
    """Whether a name means an asset; a bare one means it on every network."""
    return wanted in (asset, bare(asset))

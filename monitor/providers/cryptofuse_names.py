"""Which asset CryptoFuse means: codes mix currency and network (`usdttrc20`, `USDTERC20`, `usdt` + `ETH`)."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec

from monitor.errors import ProviderGarbled
from monitor.providers.answers import plausible_code
from monitor.providers.http import decode

#: Token standards and chain names → the network as we write it.
NETWORKS = {
    "TRC20": "TRX", "TRON": "TRX",
    "ERC20": "ETH", "ETHEREUM": "ETH",
    "BEP20": "BSC", "BEP2": "BNB", "BINANCE SMART CHAIN": "BSC",
    "SPL": "SOL", "SOLANA": "SOL",
    "POLYGON": "MATIC", "ARBITRUM": "ARB", "OPTIMISM": "OP", "AVALANCHE": "AVAX", "AVAXC": "AVAX",
    "BITCOIN": "BTC", "LITECOIN": "LTC",
}  # fmt: skip
#: A token standard at the end of a code always names the network.
_STANDARDS = ("TRC20", "ERC20", "BEP20")
#: A chain's letters do so only behind a coin that lives on many chains: CONSOL is not CON on Solana.
_CHAINS = (
    "BSC",
    "SOL",
    "MATIC",
    "POLYGON",
    "ARB",
    "OP",
    "AVAXC",
    "AVAX",
    "TON",
    "ETH",
    "TRX",
    "BASE",
    "ALGO",
    "NEAR",
)
_TRAVELLERS = ("USDT", "USDC", "DAI", "TUSD", "BUSD")


def asset(code: str, blockchain: str | None = None, known: Mapping[str, str] | None = None) -> str:
    """`CODE`, or `CODE@NETWORK` where the network is not the coin's own.

    `known` (upper-case codes, from the configuration or the provider's list) decides before the suffixes.
    """
    if known and (told := known.get(code.strip().upper())):
        return told
    return _told_apart(code, blockchain)


@lru_cache(maxsize=4096)
def _told_apart(code: str, blockchain: str | None) -> str:
    coin, network = _split(plausible_code(code).upper())
    if network is None and blockchain and blockchain.strip():
        network = plausible_code(blockchain).upper()
    return named(coin, network)


def named(coin: str, network: str | None) -> str:
    """An asset from a coin and a network by any of its names."""
    short = NETWORKS.get(network.upper(), network.upper()) if network else coin
    return coin if short == coin else f"{coin}@{short}"


def _split(code: str) -> tuple[str, str | None]:
    for suffix in _STANDARDS:
        if len(code) > len(suffix) and code.endswith(suffix):
            return code.removesuffix(suffix), suffix
    for coin in _TRAVELLERS:
        if code.startswith(coin) and code[len(coin) :] in _CHAINS:
            return coin, code[len(coin) :]
    return code, None


def renamed(bare: str, present: Iterable[str]) -> bool:
    """Whether a bare name stood for what now appears with its network."""
    return "@" not in bare and any(name.startswith(f"{bare}@") for name in present)


class _Currency(msgspec.Struct):
    currency: str
    token: str | None = None
    blockchain: str | None = None


class _Currencies(msgspec.Struct):
    currencies: list[_Currency] | None = None
    results: list[_Currency] | None = None
    result: list[_Currency] | None = None


def currencies(body: bytes) -> dict[str, str]:
    """`GET /currencies/?full=true&min_max=true` as upper-case code → asset. No outer key is documented."""
    if body.lstrip()[:1] == b"[":
        rows = decode(body, list[_Currency])
    else:
        answer = decode(body, _Currencies)
        rows = answer.currencies or answer.results or answer.result or []
    if not rows:
        raise ProviderGarbled("the list of currencies is empty")
    return {row.currency.upper(): _listed(row) for row in rows}


def _listed(row: _Currency) -> str:
    coin, network = _split(plausible_code(row.currency).upper())
    return named((row.token or coin).upper(), row.blockchain or network)

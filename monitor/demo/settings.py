"""The configuration and the rules of the demo, as a user would write them."""

CONFIG = """\
version: 1
store: {{url: "embedded:./data"}}
http: {{listen: "127.0.0.1:{api}"}}
defaults: {{interval: 500ms, timeout: 5s}}
providers:
  casino:
    type: cryptofuse
    base_url: {bank}/fuse
    auth: {{api_key: demo-fuse-key}}
    accounts:
      hot-wallet: {{wallet_id: 550e8400-e29b-41d4-a716-446655440000, labels: {{role: hot}}}}
  custody:
    type: kuna
    base_url: {bank}/kuna
    auth: {{api_key: demo-kuna-key}}
    rate_limit: {{requests: 10, per: 1s}}
    accounts:
      treasury: {{wallet_id: 1f44b1c7-0f8f-4a39-9d1c-0b8f3f4d0a55, assets: [USDT]}}
  chain:
    type: kaiko
    base_url: {bank}/kaiko
    auth: {{api_key: demo-kaiko-key}}
    accounts:
      cold-storage: {{addresses: [bc1qdemo0cold0storage], labels: {{role: cold}}}}
  perps:
    type: pacifica
    base_url: {bank}/pacifica/api/v1
    rate_limit: {{requests: 100000, per: 1m}}
    accounts:
      hedge: {{address: 42trU9A5demoHedgeAccount}}
guard: {{deadline: 10s, hold_ttl: {{default: 1m}}}}
channels:
  chat: {{type: webhook, url: "{chat}/chat", secret: "{secret}"}}
route: {{channels: [chat], group_by: [rule, account, asset], group_wait: 0s, group_interval: 100ms}}
rules: [rules.yaml]
"""

RULES = """\
rules:
  - alert: HotWalletLow
    type: low_balance
    match: {role: hot}
    assets: [USDT]
    below: 80_000
    resolve_above: 100_000
    severity: critical
  - alert: GasLow
    type: low_balance
    match: {role: hot}
    assets: [ETH]
    below: "0.5"
  - alert: LargeOutflow
    type: large_outflow
    assets: [USDT]
    above: 100_000
  - alert: ColdStorageOutflow
    type: large_outflow
    match: {role: cold}
    above: "0.1"
  - alert: FundsLocked
    type: high_balance
    match: {provider: custody}
    measure: locked
    above: 0
    severity: critical
  - alert: Liquidated
    type: liquidation
  - alert: ProviderDown
    type: provider_down
    after: 2s
    severity: critical
"""

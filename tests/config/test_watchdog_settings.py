"""What a configuration may say of heartbeats and control targets."""

import pytest

from monitor.config import load
from monitor.errors import ConfigError

SMALL = "version: 1\nrules: []\n"


def mistakes(tmp_path, text):
    (tmp_path / "config.yaml").write_text(SMALL + text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "config.yaml", environment={})
    return [line.partition("config.yaml:")[2] for line in caught.value.mistakes]


def warnings(tmp_path, text):
    (tmp_path / "config.yaml").write_text(SMALL + text)
    return [line for line in load(tmp_path / "config.yaml", environment={}).warnings if "channel" not in line]


@pytest.mark.parametrize(
    "target", ["1.1.1.1", "dns.google:", "a b:53", "user@host:53", "https://1.1.1.1:53", ":53", "h:99999"]
)
def test_a_target_is_a_host_and_a_port(tmp_path, target):
    [said] = mistakes(tmp_path, f'connectivity: {{targets: ["{target}"]}}')

    assert "connectivity.targets[0]" in said
    assert "write it like 1.1.1.1:53" in said


@pytest.mark.parametrize("target", ["1.1.1.1:53", "dns.google:443", "[2606:4700:4700::1111]:53", "127.0.0.1:1"])
def test_names_and_addresses_of_both_kinds_are_targets(tmp_path, target):
    (tmp_path / "config.yaml").write_text(f'{SMALL}connectivity: {{targets: ["{target}"]}}')

    assert load(tmp_path / "config.yaml").connectivity.targets == (target,)


def test_connectivity_without_targets_is_a_mistake(tmp_path):
    [said] = mistakes(tmp_path, "connectivity: {targets: []}")

    assert "needs at least 1" in said


def test_a_target_that_egress_forbids_is_a_mistake(tmp_path):
    text = 'egress: {deny_private: true}\nconnectivity: {targets: ["1.1.1.1:53", "10.0.0.1:53"]}'

    [said] = mistakes(tmp_path, text)
    assert said == "4: connectivity.targets[1]: egress forbids this address, so it would never answer"


@pytest.mark.parametrize(
    ("beat", "said"),
    [
        ("{url: {env: HC_PING}}", "HC_PING"),
        ("{url: hc-ping.com/abc}", "must be https://"),
        ("{url: 'https://hc.example/x', every: 100ms}", "at least"),
        ("{every: 1m}", "is required"),
    ],
)
def test_a_heartbeat_has_a_url_and_is_no_load(tmp_path, beat, said):
    [found] = mistakes(tmp_path, f"heartbeats: [{beat}]")

    assert said in found
    assert "abc" not in found


def test_a_url_in_plain_text_or_in_the_clear_is_doubted(tmp_path):
    found = warnings(tmp_path, "heartbeats: [{url: 'http://hc.example/secret-token-of-it'}]")

    assert [one for one in ("plain text", "use https") if one not in "".join(found)] == []
    assert "secret-token-of-it" not in "".join(found)


def test_the_guard_and_the_switch_are_off_by_default(tmp_path):
    (tmp_path / "config.yaml").write_text(SMALL)
    config = load(tmp_path / "config.yaml")

    assert (config.heartbeats, config.connectivity) == ((), None)


def test_processes_may_differ_in_both(tmp_path):
    (tmp_path / "config.yaml").write_text(SMALL)
    one = load(tmp_path / "config.yaml")
    (tmp_path / "config.yaml").write_text(
        f"{SMALL}heartbeats: [{{url: 'https://hc.example/x'}}]\nconnectivity: {{targets: ['1.1.1.1:53']}}\n"
    )
    other = load(tmp_path / "config.yaml")

    assert (one.meaning == other.meaning, one.digest == other.digest) == (True, False)

import pytest
from pydantic import TypeAdapter

from monitor.channels import AnyChannel
from monitor.channels.base import loopback

READ = TypeAdapter(AnyChannel).validate_python


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_is_known_by_its_names(host):
    assert loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1.evil.example", "127.example", "localhost.example", "10.0.0.1", ""])
def test_whatever_only_begins_like_this_machine_is_another(host):
    assert not loopback(host)


@pytest.mark.parametrize(
    "settings",
    [
        {"type": "webhook", "url": "http://hook.example/x"},
        {"type": "webhook", "url": "http://127.0.0.1.evil.example/x"},
        {"type": "alertmanager", "url": "http://am:9093"},
        {"type": "alertmanager", "url": ["https://a:9093", "http://b:9093", "http://c:9093"]},
        {"type": "slack", "token": "xoxb-1", "channel": "C1", "base_url": "http://slack.example"},
    ],
)
def test_a_url_in_the_clear_is_warned_of_once(settings):
    [warning] = READ(settings).warnings()
    assert "is http: everybody on the way can read" in warning


@pytest.mark.parametrize("url", ["http://localhost/x", "http://127.0.0.1:9/x", "http://[::1]/x", "https://h/x"])
def test_nobody_is_on_the_way_to_this_machine(url):
    assert not READ({"type": "webhook", "url": url}).warnings()

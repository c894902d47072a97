"""Where the process may connect to: decided on the address that is dialled, however it was written."""

import socket

import pytest
from pydantic import ValidationError

from monitor.egress import Egress, EgressDenied, guarded

METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "fd00:ec2::254",
    "100.100.100.200",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::169.254.169.254",
]
PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.1.1",
    "192.0.0.9",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "2001::1",
    "3fff::1",
    "5f00::1",
    "100::1",
    "64:ff9b:1::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "::127.0.0.1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
]


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_are_refused_whatever_is_configured(address):
    assert not Egress().permits(address)
    assert not Egress(allow=("0.0.0.0/0", "::/0")).permits(address)
    assert not Egress(deny_private=True, allow=("0.0.0.0/0", "::/0", "169.254.169.254")).permits(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_only_on_demand(address):
    assert Egress().permits(address)
    assert not Egress(deny_private=True).permits(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address):
    assert Egress().permits(address)
    assert Egress(deny_private=True).permits(address)


@pytest.mark.parametrize(
    ("allow", "address", "permitted"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", True),
        ("10.0.0.0/8", "192.168.0.1", False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("fd00::/8", "fd12::1", True),
        ("10.1.2.3/8", "10.9.9.9", True),
    ],
)
def test_allow_names_exceptions(allow, address, permitted):
    assert Egress(deny_private=True, allow=(allow,)).permits(address) is permitted


@pytest.mark.parametrize("address", ["", "localhost", "127.1", "2130706433", "0x7f.1", "1.1.1.1.1", "[::1]"])
def test_what_is_no_address_is_not_dialled(address):
    assert not Egress().permits(address)


@pytest.mark.parametrize("allow", ["localhost", "10.0.0.0/33", "", 7.5, None])
def test_a_network_that_is_none_is_a_mistake(allow):
    with pytest.raises(ValidationError, match=r"10\.0\.0\.0/8"):
        Egress(allow=(allow,))


def test_a_refused_address_gets_no_socket_and_a_permitted_one_does():
    dial = guarded(Egress(deny_private=True))

    with pytest.raises(EgressDenied):
        dial((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80)))
    with dial((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("8.8.8.8", 80))) as made:
        assert made.family == socket.AF_INET

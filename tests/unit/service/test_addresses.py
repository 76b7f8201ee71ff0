"""Which addresses may be contacted on behalf of clients."""

from ipaddress import ip_address, ip_network

import pytest

from service.contract.problems import UrlForbidden
from service.outbound.addresses import is_permitted, is_public
from service.outbound.client import Outbound


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111"])
def test_internet_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.31.255.255",
        "192.0.0.192",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:169.254.169.254",
        "::ffff:8.8.8.8",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "2002:7f00:1::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_all_other_addresses_and_those_that_embed_one_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


def test_an_operator_may_allow_a_network_and_no_other() -> None:
    allowed = [ip_network("10.1.0.0/16"), ip_network("fd00::/64")]
    assert is_permitted(ip_address("10.1.2.3"), allowed)
    assert is_permitted(ip_address("fd00::5"), allowed)
    assert not is_permitted(ip_address("10.2.0.1"), allowed)
    assert not is_permitted(ip_address("::ffff:10.1.2.3"), allowed)


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.216.34/photo.jpg",
        "https://photos.example:8443/a/b?c=d",
        "https://[2606:4700:4700::1111]/",
        "http://under_score.internal.example./",
        "https://faß.example/",
        "http://localhost/",
    ],
)
def test_the_form_of_a_url_is_checked_without_network_access(url: str) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise AssertionError("no name is to be looked up")

    Outbound(resolve=resolve).check(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "photos.example",
        "//photos.example/",
        "file:///etc/passwd",
        "ftp://photos.example/",
        "gopher://photos.example/",
        "http:///etc/passwd",
        "http:photos.example",
        "http://photos.example:99999/",
        "http://photos.example:0/",
        "http://photos.example:port/",
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://127.0.0.1.0x/",
        "http://%31%32%37.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[fe80::1%25eth0]/",
        "http://①②⑦.⓪.⓪.①/",
        "http://１２７.0.0.1/",
        "http://169。254。169。254/",
        "http://photos。example。1/",
        "http://user@photos.example/",
        "http://user:secret@photos.example/",
        "http://photos.example\\@169.254.169.254/",
        "http://photos.example:80@169.254.169.254/",
        "http://photos.example\\.evil.example/",
        "http://photos.example\r\nHost: metadata/",
        "http://photos.example\t/",
        "http://pho tos.example/",
        "http://photos%00.example/",
        "http://photos\u200b.example/",
        "http://photos..example/",
        "http://" + "a" * 64 + ".example/",
        "http://photos.example/" + "a" * 2048,
    ],
)
def test_deceptive_urls_are_rejected(url: str) -> None:
    with pytest.raises(UrlForbidden):
        Outbound().check(url)

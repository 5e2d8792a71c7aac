"""Redirect addresses: exact strings, and what may be registered (S1 to S5, S7, decision 12)."""

from __future__ import annotations

import pytest

from oidc_provider.clients import redirects
from oidc_provider.clients.redirects import AddressInvalid
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.models import Client

REGISTERED = "https://client.example/callback?x=1"
LOOPBACK = "http://127.0.0.1:8000/callback"


def client(*addresses: str, is_native: bool = False) -> Client:
    return Client(client_id="c", redirect_uris=list(addresses), is_native=is_native)


def fault(redirect_uri: str | None, **kwargs: object) -> Fault:
    with pytest.raises(OAuthError) as caught:
        redirects.check(redirect_uri, **{"client": client(REGISTERED), "is_required": True, **kwargs})
    assert caught.value.redirect is None
    return caught.value.fault


@pytest.mark.security("S1")
@pytest.mark.spec("RFC9700-2.1")
@pytest.mark.parametrize(
    "address",
    [
        "https://client.example/callback",
        "https://client.example/callback?x=1&y=2",
        "https://client.example/callback?x=1#",
        "https://client.example/callback/?x=1",
        "https://client.example/CALLBACK?x=1",
        "https://CLIENT.example/callback?x=1",
        "https://client.example:443/callback?x=1",
        "https://client.example/callback;a?x=1",
        "https://client.example/a/../callback?x=1",
        "https://client.example/callback?x=1 ",
        "https://clientaexample/callback?x=1",
        "https://user@client.example/callback?x=1",
        "https://client.example@evil.example/callback?x=1",
        "http://client.example/callback?x=1",
        "https://evil.example/",
        "javascript:alert(1)",
        "",
    ],
)
def test_an_address_that_differs_in_anything_is_refused(address: str) -> None:
    assert fault(address) is Fault.REDIRECT_URI


def test_the_registered_address_is_taken() -> None:
    assert redirects.check(REGISTERED, client=client(REGISTERED), is_required=True) == REGISTERED


@pytest.mark.spec("RFC6749-3.1.2.3")
def test_one_registered_address_may_be_left_out_in_oauth_only() -> None:
    assert redirects.check(None, client=client(REGISTERED), is_required=False) == REGISTERED
    assert fault(None) is Fault.MISSING_REDIRECT_URI
    assert fault(None, client=client(REGISTERED, LOOPBACK), is_required=False) is Fault.MISSING_REDIRECT_URI
    assert fault(None, client=client(), is_required=False) is Fault.MISSING_REDIRECT_URI


@pytest.mark.spec("RFC8252-7.3")
@pytest.mark.parametrize(
    "registered, asked",
    [
        (LOOPBACK, "http://127.0.0.1:51234/callback"),
        (LOOPBACK, "http://127.0.0.1/callback"),
        ("http://[::1]/callback?a=b", "http://[::1]:9/callback?a=b"),
    ],
)
def test_a_native_client_chooses_its_loopback_port(registered: str, asked: str) -> None:
    assert redirects.check(asked, client=client(registered, is_native=True), is_required=True) == asked
    assert fault(asked, client=client(registered)) is Fault.REDIRECT_URI


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "asked",
    [
        "http://127.0.0.1:1@evil.example/callback",
        "http://evil.example@127.0.0.1/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1:80:80/callback",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.2:8000/callback",
        "http://127.1:8000/callback",
        "http://localhost:8000/callback",
        "http://[::1]:8000/callback",
        "https://127.0.0.1:8000/callback",
        "http://127.0.0.1:8000/callback/",
        "http://127.0.0.1:8000/callback?",
        "http://127.0.0.1:8000/callback#",
        "http://127.0.0.1:8000\\@evil.example/callback",
        "http://127.0.0.1:8000/callback\t",
        "HTTP://127.0.0.1:9/callback",
        "http://127.0.0.1:/callback",
    ],
)
def test_only_the_port_of_a_literal_loopback_address_is_free(asked: str) -> None:
    assert fault(asked, client=client(LOOPBACK, is_native=True)) is Fault.REDIRECT_URI


@pytest.mark.parametrize(
    "address, is_native, debug",
    [
        ("https://client.example/callback", False, False),
        ("https://client.example:8443/?a=b&c=%20d", False, False),
        ("http://127.0.0.1/cb", True, False),
        ("http://[::1]:7/cb", True, False),
        ("http://localhost:5000/cb", True, False),
        ("http://localhost:5000/cb", False, True),
        ("http://127.0.0.1:5000/cb", False, True),
        ("com.example.app:/callback", True, False),
    ],
)
def test_addresses_that_may_be_registered(address: str, is_native: bool, debug: bool) -> None:
    redirects.check_registrable(address, is_native=is_native, debug=debug)


@pytest.mark.security("S3")
@pytest.mark.security("S5")
@pytest.mark.security("S7")
@pytest.mark.parametrize("is_native", [True, False])
@pytest.mark.parametrize(
    "address",
    [
        "",
        "client.example",
        "//client.example/x",
        "https://",
        "https:///path",
        "https://*.example/cb",
        "https://client.example/*",
        "https://client.example/cb#",
        "https://client.example/cb#x",
        "https://user@client.example/cb",
        "https://client.example/a/../b",
        "https://client.example/a/..;x/b",
        "https://client.example/./b",
        "https://client.example/%2e%2e/b",
        "https://client.example/%2E%2E/b",
        "https://client.example/a%2fb",
        "https://client.example/a%5cb",
        "https://client.example/a%252fb",
        "https://client.example\\@evil.example/",
        "https://client.example/\x00",
        "https://client.example/ä",
        "https://client.example/a b",
        "https://cli%65nt.example/",
        "https://client.example:99999/",
        "http://client.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "myapp:/cb",
        "https://client.example/" + "x" * 2000,
    ],
)
def test_addresses_that_may_not_be_registered(address: str, is_native: bool) -> None:
    with pytest.raises(AddressInvalid):
        redirects.check_registrable(address, is_native=is_native, debug=False)


@pytest.mark.parametrize("address", ["com.example.app:/callback", "http://127.0.0.1/cb", "http://localhost/cb"])
def test_addresses_of_native_applications_are_for_those(address: str) -> None:
    with pytest.raises(AddressInvalid):
        redirects.check_registrable(address, is_native=False, debug=False)


def test_origins_are_what_browsers_send() -> None:
    for origin in ("https://app.example", "https://app.example:8443"):
        redirects.check_origin(origin, debug=False)
    redirects.check_origin("http://localhost:3000", debug=True)
    for origin in (
        "",
        "null",
        "*",
        "https://app.example/",
        "https://app.example:443",
        "https://App.example",
        "https://user@app.example",
        "https://app.example?x",
        "http://app.example",
        "http://localhost:3000",
    ):
        with pytest.raises(AddressInvalid):
            redirects.check_origin(origin, debug=False)

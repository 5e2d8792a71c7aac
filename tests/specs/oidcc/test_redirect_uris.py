"""Redirect addresses: exact strings, or nothing (RFC9700-2.1)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.specs.conformance import CALLBACK, Browser, Page, RelyingParty

pytestmark = pytest.mark.django_db


def assert_shown(party: RelyingParty, browser: Browser, address: str, **changes: str) -> None:
    """The error is shown on our page, and the address is in no header and not a link."""
    for prompt in (None, "none"):
        place = party.start(browser, redirect_uri=address, prompt=prompt, **changes)
        assert isinstance(place, Page), place
        assert (place.status, "Location" in place.headers) == (400, False)


@pytest.mark.spec("RFC9700-2.1")
@pytest.mark.security("S1")
@pytest.mark.parametrize(
    "address",
    [
        "https://rpXexample.org/callback",
        "https://rp.example.org.evil.example/callback",
        "https://evilrp.example.org/callback",
        "https://rp.example.org/callback2",
        "https://rp.example.org/callback/",
        "https://rp.example.org/",
        "https://RP.example.org/callback",
        "HTTPS://rp.example.org/callback",
        "https://rp.example.org:443/callback",
        "http://rp.example.org/callback",
    ],
)
def test_a_similar_address_is_refused(party: RelyingParty, browser: Browser, address: str) -> None:
    assert_shown(party, browser, address)


@pytest.mark.security("S1")
def test_an_address_is_never_learned_from_a_request(new_client: Callable[..., RelyingParty], browser: Browser) -> None:
    party = new_client(redirect_uris=[CALLBACK], grant_types=["authorization_code"])
    for _ in range(2):
        assert_shown(party, browser, "https://first.example/cb")


@pytest.mark.security("S2")
@pytest.mark.parametrize(
    "address",
    [
        "https://rp.example.org@evil.example/callback",
        "https://rp.example.org%40evil.example/callback",
        "https://user:pass@rp.example.org/callback",
        "https://rp.example.org\\@evil.example/callback",
        "https://evil.example\\.rp.example.org/callback",
        "https:/rp.example.org/callback",
        "https:///rp.example.org/callback",
        "//rp.example.org/callback",
        "/callback",
        "\thttps://rp.example.org/callback",
        "https://rp.example.org/callback ",
        "https://rp.example.org/call\r\nback",
    ],
)
def test_an_address_that_parsers_read_differently_is_refused(
    party: RelyingParty, browser: Browser, address: str
) -> None:
    assert_shown(party, browser, address)


@pytest.mark.security("S3")
@pytest.mark.parametrize(
    "address",
    [
        "https://rp.example.org/x/../callback",
        "https://rp.example.org/./callback",
        "https://rp.example.org/callback/..;/evil",
        "https://rp.example.org/callback/%2e%2e/evil",
        "https://rp.example.org/%2fcallback",
        "https://rp.example.org/callback%2f..%2fevil",
        "https://rp.example.org/callback/%252e%252e/evil",
    ],
)
def test_traversal_is_refused(party: RelyingParty, browser: Browser, address: str) -> None:
    assert_shown(party, browser, address)


@pytest.mark.security("S5")
@pytest.mark.parametrize(
    "address",
    [f"{CALLBACK}?x=1", f"{CALLBACK}?", f"{CALLBACK};x=1", f"{CALLBACK}#", f"{CALLBACK}#x", f"{CALLBACK}&x=1"],
)
def test_additions_to_an_address_are_refused(party: RelyingParty, browser: Browser, address: str) -> None:
    assert_shown(party, browser, address)


@pytest.mark.security("S5")
@pytest.mark.parametrize("address", ["https://rp.example.org/cb?a=1", "https://rp.example.org/cb?b=2&a=1"])
def test_a_part_of_the_query_is_not_the_query(
    new_client: Callable[..., RelyingParty], browser: Browser, address: str
) -> None:
    assert_shown(new_client(redirect_uris=["https://rp.example.org/cb?a=1&b=2"]), browser, address)


@pytest.mark.spec("RFC8252-7.3")
@pytest.mark.security("S4")
@pytest.mark.parametrize(
    ("address", "is_good"),
    [
        ("http://127.0.0.1:49152/cb", True),
        ("http://127.0.0.1/cb", True),
        ("http://127.0.0.1:1@evil.example/cb", False),
        ("http://evil@127.0.0.1:49152/cb", False),
        ("http://127.0.0.1.evil.example:49152/cb", False),
        ("http://127.0.0.1:49152/other", False),
        ("http://127.0.0.1:49152/cb?x=1", False),
        ("http://127.0.0.1:/cb", False),
        ("http://127.0.0.1:99999/cb", False),
        ("https://127.0.0.1:49152/cb", False),
        ("http://127.1:49152/cb", False),
        ("http://2130706433:49152/cb", False),
        ("http://localhost:49152/cb", False),
        ("http://[::1]:49152/cb", False),
    ],
)
def test_only_the_port_of_a_literal_loopback_address_may_differ(
    new_client: Callable[..., RelyingParty], browser: Browser, address: str, is_good: bool
) -> None:
    party = new_client(redirect_uris=["http://127.0.0.1/cb"], is_native=True, token_endpoint_auth_method="none")
    challenge = {"code_challenge": "A" * 43, "code_challenge_method": "S256"}
    if is_good:
        assert party.authorize(browser, redirect_uri=address, **challenge).code
    else:
        assert_shown(party, browser, address, **challenge)


@pytest.mark.spec("RFC6749-4.1.2.1")
@pytest.mark.security("S6")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"redirect_uri": None},
        {"client_id": "nobody", "prompt": "none"},
        {"client_id": "nobody", "request": "x"},
        {"redirect_uri": "https://evil.example/", "prompt": "none"},
        {"redirect_uri": "https://evil.example/", "response_type": None},
        {"redirect_uri": "https://evil.example/", "response_mode": "form_post"},
        {"redirect_uri": "https://evil.example/", "scope": None, "max_age": "x"},
    ],
)
def test_nothing_is_redirected_before_client_and_address_are_good(
    party: RelyingParty, browser: Browser, changes: dict[str, str | None]
) -> None:
    place = party.start(browser, **changes)
    assert isinstance(place, Page)
    assert (place.status, "data-auto-submit" in place.text) == (400, False)
    assert not [form for form in place.forms if "evil" in form.action]
    assert 'href="https://evil' not in place.text
    assert "evil" not in place.headers["Content-Security-Policy"]


@pytest.mark.security("S6")
def test_a_disabled_client_is_unknown(party: RelyingParty, browser: Browser) -> None:
    from oidc_provider.models import Client

    row = Client.objects.get(client_id=party.client_id)
    row.is_active = False
    row.save()
    place = party.start(browser, prompt="none")
    assert isinstance(place, Page)
    assert place.status == 400


@pytest.mark.security("S36")
def test_a_client_of_another_tenant_is_unknown(party: RelyingParty, browser: Browser) -> None:
    from tests.factories import make_tenant

    make_tenant(host="other.monban.example")
    transport = browser.transport
    response = transport.get(
        f"/oauth2/authorize?{party.url(party.request()).partition('?')[2]}",
        secure=True,
        headers={"host": "other.monban.example"},
    )
    assert response.status_code == 400

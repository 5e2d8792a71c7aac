"""A tenant whose new clients sign with ES256: a stock library verifies what they get (Authlib and joserfc)."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from tests.clients.person import Person
from tests.clients.provider import Provider, RelyingPartyProcess
from tests.factories import PASSWORD

pytestmark = pytest.mark.client


@pytest.mark.spec("RFC7518-3.4")
def test_a_stock_client_of_such_a_tenant_signs_in_refreshes_and_signs_out(tmp_path: Path) -> None:
    secret = secrets.token_urlsafe(32)
    party = RelyingPartyProcess(tmp_path, client_id="notes", client_secret=secret)
    client = {
        "client_id": "notes",
        "client_secret": secret,
        "redirect_uris": [party.redirect_uri],
        "post_logout_redirect_uris": [party.post_logout_redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
    }
    configuration = {
        "tenant": {"code": "default", "id_token_signed_response_alg": "ES256"},
        "users": [{"user_name": "alice", "password": PASSWORD, "name": "Alice"}],
        "applications": [{"code": "notes", "access": "everyone", "skip_consent": True, "clients": [client]}],
    }
    with Provider(tmp_path, database_url=os.environ.get("DATABASE_URL", "")) as provider:
        provider.apply(configuration)
        party.start(provider.issuer)
        try:
            person = Person()
            begun = person.http.get(f"{party.url}/start", timeout=20, allow_redirects=False)
            for cookie in person.http.cookies:
                cookie.secure = False  # browsers take localhost as secure
            assert "Signed in as" in person.open(begun.headers["Location"]).text
            known = person.known_to(f"{party.url}/session.json")
            assert (known["claims"]["alg"], known["userinfo"]["name"]) == ("ES256", "Alice")
            assert "Signed in as" in person.open(f"{party.url}/refresh").text
            page = person.open(f"{party.url}/logout")
            assert "Signed out" in page.text or "confirm" in page.text
        finally:
            party.close()

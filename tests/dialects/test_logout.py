"""A session's end is told to clients of every dialect, under the name by which they know us."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from django.utils import timezone

from identity.context import SYSTEM
from identity.models import SessionEndReason, SSOSession
from identity.sso import sessions, sign_outs
from oidc_provider.clients import registration
from oidc_provider.dialects.base import EndpointName
from tests.dialects.party import Party
from tests.support.deliveries import send_due

pytestmark = pytest.mark.django_db

BACK, FRONT = "https://rp.example.org/back", "https://rp.example.org/front"


@pytest.fixture
def session(party: Party) -> SSOSession:
    """The session in which somebody signed in to a client that wants to be told in both ways."""
    registration.update_client(party.client, backchannel_logout_uri=BACK, frontchannel_logout_uri=FRONT)
    party.tokens()
    return SSOSession.objects.select_related("user", "tenant").get()


@pytest.mark.spec("OIDCBCL-2.4")
def test_the_logout_token_is_that_of_the_dialects_issuer(party: Party, session: SSOSession, posted: Any) -> None:
    sessions.end(session, reason=SessionEndReason.ENDED_BY_OPERATOR, context=SYSTEM)
    assert send_due(now=timezone.now(), limit=10) == 1
    ((url, fields, _internal),) = posted
    token = fields["logout_token"]
    claims = party.verify(token)  # signature, issuer and audience
    assert (url, jwt.get_unverified_header(token)["typ"]) == (BACK, "logout+jwt")
    assert (claims["sub"], claims["sid"]) == (party.user.public_id, session.sid)


@pytest.mark.spec("OIDCFCL-2")
def test_the_frame_names_the_dialects_issuer(party: Party, session: SSOSession) -> None:
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)
    handle = sign_outs.begin(session=session, return_url="", binding="browser", context=SYSTEM)
    found = sign_outs.find(handle=handle, tenant=session.tenant, bindings=["browser"])
    assert found is not None
    (frame,) = sign_outs.frames(found, context=SYSTEM)
    assert parse_qs(urlsplit(frame.url).query) == {"iss": [party.issuer], "sid": [session.sid]}


@pytest.mark.spec("OIDCBCL-2.1", "OIDCFCL-3")
def test_discovery_claims_both_ways(party: Party) -> None:
    assert {name: value for name, value in party.metadata.items() if "channel_logout" in name} == {
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
    }


@pytest.mark.spec("OIDCBCL-2.7")
def test_a_plain_sign_out_leaves_refresh_tokens_where_the_dialect_says_so(party: Party) -> None:
    tokens = party.tokens()
    sessions.end(SSOSession.objects.get(), reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)
    response = party.refresh(tokens["refresh_token"])
    assert (response.status_code == 200) == party.dialect.refresh_outlives_session


@pytest.mark.spec("OIDCRIL-3")
def test_a_refused_sign_out_is_not_called_a_sign_in(party: Party) -> None:
    """Also where the dialect's own error address shows it."""
    if EndpointName.LOGOUT not in party.dialect.endpoints:
        return  # OneAccess has a sign-out of its own, which refuses no address: it stays here
    party.sign_in()
    query = {"client_id": party.client.client_id, "post_logout_redirect_uri": "https://evil.example/"}
    answer = party.browser.get(party.path(EndpointName.LOGOUT), query, secure=True, headers={"accept": "text/html"})
    if answer.status_code == 302:
        assert answer["Location"].startswith("/error?")
        answer = party.browser.get(answer["Location"], secure=True)
    page = answer.content.decode()
    assert answer.status_code == 400
    if party.dialect.name == "tencent":  # whose refusals are JSON, which has no title
        assert answer["Content-Type"].startswith("application/json")
        return
    assert "Signing out cannot continue" in page
    assert "Sign-in cannot continue" not in page

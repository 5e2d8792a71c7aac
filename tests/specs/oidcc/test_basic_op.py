"""The modules of the Basic OP plan, and with response_mode=form_post those of the Form Post OP plan.

Each test has the name of a module of the OpenID Foundation's suite and checks what that module checks, with the
stricter outcome where the module only warns.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from tests.specs.conformance import (
    ISSUER,
    Answer,
    Browser,
    Callback,
    Page,
    RelyingParty,
    code_challenge,
    unsigned_jwt,
)

pytestmark = pytest.mark.django_db

PROFILE = {"name", "preferred_username", "updated_at"}


@pytest.fixture(params=[None, "form_post"], ids=["basic", "form-post"])
def op(request: pytest.FixtureRequest, new_client: Callable[..., RelyingParty]) -> RelyingParty:
    """The suite's client, in both plans."""
    party = new_client()
    party.response_mode = request.param
    return party


def later(**values: float) -> Any:
    """Go on in the future, as if the person had waited."""
    return time_machine.travel(timezone.now() + timedelta(**values), tick=True)


@pytest.mark.oidf("oidcc-server")
@pytest.mark.spec("OIDCC-3.1.3.3")
def test_oidcc_server(op: RelyingParty, browser: Browser) -> None:
    tokens = op.authorize(browser).tokens()
    assert tokens.body.items() >= {"token_type": "Bearer", "scope": "openid", "expires_in": 3600}.items()
    claims = tokens.claims
    assert (claims["iss"], claims["aud"]) == (ISSUER, op.client_id)
    assert len(claims["sub"]) <= 255
    assert claims["sub"].isascii()
    assert jwt.get_unverified_header(tokens.id_token)["alg"] == "RS256"


@pytest.mark.oidf("oidcc-response-type-missing")
@pytest.mark.spec("RFC6749-3.1.1")
def test_oidcc_response_type_missing(op: RelyingParty, browser: Browser) -> None:
    answer = op.authorize(browser, response_type=None)
    assert (answer.error, browser.shown) == ("invalid_request", [])


@pytest.mark.oidf("oidcc-idtoken-signature")
@pytest.mark.spec("OIDCC-2")
def test_oidcc_idtoken_signature(op: RelyingParty, browser: Browser) -> None:
    tokens = op.authorize(browser).tokens()
    header = jwt.get_unverified_header(tokens.id_token)
    published = {key["kid"]: key for key in op.api.get("/oauth2/jwks", secure=True).json()["keys"]}
    assert (header["alg"], published[header["kid"]]["alg"]) == ("RS256", "RS256")
    assert tokens.claims["sub"]


@pytest.mark.oidf("oidcc-idtoken-unsigned")
@pytest.mark.spec("OIDCC-2")
def test_oidcc_idtoken_unsigned(op: RelyingParty, new_client: Callable[..., RelyingParty]) -> None:
    # Unsigned id_tokens are not supported: not published, and not to be registered.
    assert "none" not in op.metadata["id_token_signing_alg_values_supported"]
    with pytest.raises(ValidationError) as refused:
        new_client(id_token_signed_response_alg="none")
    assert set(refused.value.message_dict) == {"id_token_signed_response_alg"}


@pytest.mark.oidf("oidcc-userinfo-get")
@pytest.mark.spec("OIDCC-5.3.1")
def test_oidcc_userinfo_get(op: RelyingParty, browser: Browser) -> None:
    tokens = op.authorize(browser).tokens()
    assert tokens.userinfo["sub"] == tokens.claims["sub"]


@pytest.mark.oidf("oidcc-userinfo-post-header")
@pytest.mark.spec("OIDCC-5.3.1")
def test_oidcc_userinfo_post_header(op: RelyingParty, browser: Browser) -> None:
    tokens = op.authorize(browser).tokens()
    headers = {"authorization": f"Bearer {tokens.access_token}"}
    response = op.api.post("/oauth2/userinfo", secure=True, headers=headers)
    assert (response.status_code, response.json()["sub"]) == (200, tokens.claims["sub"])


@pytest.mark.oidf("oidcc-userinfo-post-body")
@pytest.mark.spec("RFC6750-2.2")
def test_oidcc_userinfo_post_body(op: RelyingParty, browser: Browser) -> None:
    tokens = op.authorize(browser).tokens()
    response = op.api.post(
        "/oauth2/userinfo",
        f"access_token={tokens.access_token}",
        content_type="application/x-www-form-urlencoded",
        secure=True,
    )
    assert (response.status_code, response.json()["sub"]) == (200, tokens.claims["sub"])


@pytest.mark.oidf("oidcc-ensure-request-without-nonce-succeeds-for-code-flow")
@pytest.mark.spec("OIDCC-3.1.2.1")
def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(op: RelyingParty, browser: Browser) -> None:
    assert "nonce" not in op.authorize(browser, nonce=None).tokens().claims


@pytest.mark.oidf("oidcc-scope-profile")
@pytest.mark.spec("OIDCC-5.4")
def test_oidcc_scope_profile(op: RelyingParty, browser: Browser) -> None:
    userinfo = op.authorize(browser, scope="openid profile").tokens().userinfo
    assert set(userinfo) >= PROFILE | {"sub"}
    assert userinfo["name"] == "Alice Example"
    assert isinstance(userinfo["updated_at"], int)


@pytest.mark.oidf("oidcc-scope-email")
@pytest.mark.spec("OIDCC-5.4")
def test_oidcc_scope_email(op: RelyingParty, browser: Browser) -> None:
    tokens = op.authorize(browser, scope="openid email").tokens()
    assert tokens.userinfo == {"sub": tokens.claims["sub"], "email": "alice@example.org", "email_verified": True}
    assert "email" not in tokens.claims


@pytest.mark.oidf("oidcc-scope-address")
@pytest.mark.spec("OIDCC-5.1.1")
def test_oidcc_scope_address(op: RelyingParty, browser: Browser) -> None:
    userinfo = op.authorize(browser, scope="openid address").tokens().userinfo
    assert set(userinfo) == {"sub", "address"}
    assert userinfo["address"]["formatted"]


@pytest.mark.oidf("oidcc-scope-phone")
@pytest.mark.spec("OIDCC-5.4")
def test_oidcc_scope_phone(op: RelyingParty, browser: Browser) -> None:
    userinfo = op.authorize(browser, scope="openid phone").tokens().userinfo
    assert set(userinfo) == {"sub", "phone_number", "phone_number_verified"}
    assert userinfo["phone_number_verified"] is True


@pytest.mark.oidf("oidcc-scope-all")
@pytest.mark.spec("OIDCC-5.4")
def test_oidcc_scope_all(op: RelyingParty, browser: Browser) -> None:
    userinfo = op.authorize(browser, scope="openid address email phone profile").tokens().userinfo
    assert set(userinfo) >= PROFILE | {"sub", "address", "email", "email_verified", "phone_number"}


@pytest.mark.oidf("oidcc-alternate-happy-flow")
@pytest.mark.spec("RFC6749-3.3")
def test_oidcc_alternate_happy_flow(op: RelyingParty, browser: Browser) -> None:
    params = op.request(scope="phone email address profile openid")
    backwards = dict(reversed(params.items()))
    answer = op.finish(browser, browser.get(op.url(backwards)), params)
    tokens = answer.tokens()
    assert set(tokens.body["scope"].split()) == {"openid", "profile", "address", "email", "phone"}
    assert tokens.userinfo["sub"] == tokens.claims["sub"]


@pytest.mark.oidf("oidcc-display-page")
@pytest.mark.spec("OIDCC-3.1.2.1")
def test_oidcc_display_page(op: RelyingParty, browser: Browser) -> None:
    assert op.authorize(browser, display="page").tokens().claims["sub"]


@pytest.mark.oidf("oidcc-display-popup")
@pytest.mark.spec("OIDCC-3.1.2.1")
def test_oidcc_display_popup(op: RelyingParty, browser: Browser) -> None:
    assert op.authorize(browser, display="popup").tokens().claims["sub"]


@pytest.mark.oidf("oidcc-prompt-login")
@pytest.mark.spec("OIDCC-3.1.2.1")
def test_oidcc_prompt_login(op: RelyingParty, browser: Browser) -> None:
    first = op.authorize(browser).tokens().claims
    with later(seconds=2):
        second = op.authorize(browser, prompt="login").tokens().claims
    assert browser.sign_in_pages == 2
    assert second["sub"] == first["sub"]
    assert second["auth_time"] > first["auth_time"]


@pytest.mark.oidf("oidcc-prompt-none-not-logged-in")
@pytest.mark.spec("OIDCC-3.1.2.6")
def test_oidcc_prompt_none_not_logged_in(op: RelyingParty, browser: Browser) -> None:
    answer = op.authorize(browser, prompt="none")
    assert (answer.error, answer.params["state"], answer.params["iss"]) == (
        "login_required",
        answer.request["state"],
        ISSUER,
    )
    assert browser.shown == []


@pytest.mark.oidf("oidcc-prompt-none-logged-in")
@pytest.mark.spec("OIDCC-3.1.2.1")
def test_oidcc_prompt_none_logged_in(op: RelyingParty, browser: Browser) -> None:
    first = op.authorize(browser).tokens().claims
    browser.shown.clear()
    with later(seconds=2):
        second = op.authorize(browser, prompt="none").tokens().claims
    assert browser.shown == []
    assert (second["sub"], second["auth_time"]) == (first["sub"], first["auth_time"])


@pytest.mark.oidf("oidcc-max-age-1")
@pytest.mark.spec("OIDCC-3.1.2.1")
def test_oidcc_max_age_1(op: RelyingParty, browser: Browser) -> None:
    first = op.authorize(browser).tokens().claims
    with later(seconds=3):
        second = op.authorize(browser, max_age="1").tokens().claims
        assert timezone.now().timestamp() - second["auth_time"] < 3
    assert browser.sign_in_pages == 2
    assert second["sub"] == first["sub"]
    assert second["auth_time"] > first["auth_time"]


@pytest.mark.oidf("oidcc-max-age-10000")
@pytest.mark.spec("OIDCC-3.1.2.1")
def test_oidcc_max_age_10000(op: RelyingParty, browser: Browser) -> None:
    first = op.authorize(browser, max_age="15000").tokens().claims
    browser.shown.clear()
    with later(seconds=2):
        second = op.authorize(browser, max_age="10000").tokens().claims
    assert browser.shown == []
    assert (second["sub"], second["auth_time"]) == (first["sub"], first["auth_time"])


@pytest.mark.oidf("oidcc-ensure-request-with-unknown-parameter-succeeds")
@pytest.mark.spec("RFC6749-3.1")
def test_oidcc_ensure_request_with_unknown_parameter_succeeds(op: RelyingParty, browser: Browser) -> None:
    assert op.authorize(browser, extra="foobar").tokens().claims["sub"]


@pytest.mark.oidf("oidcc-id-token-hint")
@pytest.mark.spec("OIDCC-3.1.2.1")
def test_oidcc_id_token_hint(op: RelyingParty, browser: Browser) -> None:
    first = op.authorize(browser).tokens()
    browser.shown.clear()
    second = op.authorize(browser, prompt="none", id_token_hint=first.id_token).tokens().claims
    assert browser.shown == []
    assert (second["sub"], second["auth_time"]) == (first.claims["sub"], first.claims["auth_time"])


@pytest.mark.oidf("oidcc-login-hint")
@pytest.mark.spec("OIDCC-3.1.2.1")
def test_oidcc_login_hint(op: RelyingParty, browser: Browser) -> None:
    page = op.start(browser, login_hint="buffy@monban.example")
    assert isinstance(page, Page)
    form = page.form_with("password")
    assert form is not None
    assert form.fields["identifier"] == "buffy@monban.example"


@pytest.mark.oidf("oidcc-ui-locales")
@pytest.mark.spec("OIDCC-3.1.2.1")
@pytest.mark.parametrize(
    ("ui_locales", "language"),
    [("se", "en"), ("ja en", "ja"), ("se zh-CN", "zh-Hans"), ("not_a_tag ja-JP", "ja"), ("en", "en")],
)
def test_oidcc_ui_locales(op: RelyingParty, browser: Browser, ui_locales: str, language: str) -> None:
    params = op.request(ui_locales=ui_locales)
    page = browser.get(op.url(params))
    assert isinstance(page, Page)
    assert f'<html lang="{language}">' in page.text
    consent = browser.sign_in(page, op.user_name, op.password)
    assert isinstance(consent, Page)
    assert f'<html lang="{language}">' in consent.text
    assert op.finish(browser, consent, params).tokens().claims["sub"]


@pytest.mark.oidf("oidcc-claims-locales")
@pytest.mark.spec("OIDCC-5.2")
def test_oidcc_claims_locales(op: RelyingParty, browser: Browser) -> None:
    assert op.authorize(browser, claims_locales="se").tokens().claims["sub"]


@pytest.mark.oidf("oidcc-ensure-request-with-acr-values-succeeds")
@pytest.mark.spec("OIDCC-3.1.2.1")
def test_oidcc_ensure_request_with_acr_values_succeeds(op: RelyingParty, browser: Browser) -> None:
    supported = op.metadata["acr_values_supported"]
    claims = op.authorize(browser, acr_values=" ".join(supported)).tokens().claims
    assert claims["acr"] in supported


@pytest.mark.oidf("oidcc-codereuse")
@pytest.mark.spec("RFC6749-4.1.2")
def test_oidcc_codereuse(op: RelyingParty, browser: Browser) -> None:
    answer = op.authorize(browser)
    answer.tokens()
    again = op.exchange(answer.code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.oidf("oidcc-codereuse-30seconds")
@pytest.mark.spec("RFC6749-4.1.2")
def test_oidcc_codereuse_30seconds(op: RelyingParty, browser: Browser) -> None:
    answer = op.authorize(browser)
    tokens = answer.tokens()
    with later(seconds=31):
        assert tokens.userinfo["sub"]
        again = op.exchange(answer.code)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
        assert op.userinfo(tokens.access_token).status_code == 401


@pytest.mark.oidf("oidcc-ensure-registered-redirect-uri")
@pytest.mark.spec("RFC6749-3.1.2.4")
@pytest.mark.security("S6")
def test_oidcc_ensure_registered_redirect_uri(op: RelyingParty, browser: Browser) -> None:
    page = op.start(browser, redirect_uri=f"{op.redirect_uri}/{secrets.token_hex(4)}")
    assert isinstance(page, Page)
    assert (page.status, "redirect_uri" in page.text) == (400, True)


@pytest.mark.oidf("oidcc-ensure-post-request-succeeds")
@pytest.mark.spec("OIDCC-3.1.2.1")
def test_oidcc_ensure_post_request_succeeds(op: RelyingParty, browser: Browser) -> None:
    params = op.request()
    place = browser.post_from_another_site("/oauth2/authorize", params)
    assert op.finish(browser, place, params).tokens().claims["sub"]
    # With a session, the same POST needs no page: the browser comes back by a GET that carries its cookies.
    browser.shown.clear()
    params = op.request()
    place = browser.post_from_another_site("/oauth2/authorize", params)
    assert op.finish(browser, place, params).tokens().claims["sub"]
    assert browser.shown == []


@pytest.mark.oidf("oidcc-server-client-secret-post")
@pytest.mark.spec("RFC6749-2.3.1")
@pytest.mark.parametrize("mode", [None, "form_post"], ids=["basic", "form-post"])
def test_oidcc_server_client_secret_post(
    new_client: Callable[..., RelyingParty], browser: Browser, mode: str | None
) -> None:
    party = new_client(token_endpoint_auth_method="client_secret_post")
    party.response_mode = mode
    tokens = party.authorize(browser).tokens()
    assert tokens.userinfo["sub"] == tokens.claims["sub"]
    assert "client_secret_post" in party.metadata["token_endpoint_auth_methods_supported"]


@pytest.mark.oidf("oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported")
@pytest.mark.spec("OIDCC-6.2")
@pytest.mark.security("S43")
def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(
    op: RelyingParty, browser: Browser
) -> None:
    answer = op.authorize(browser, request_uri="https://rp.example.org/request.jwt")
    assert answer.error == "request_uri_not_supported"
    assert op.metadata["request_uri_parameter_supported"] is False


@pytest.mark.oidf("oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported")
@pytest.mark.spec("OIDCC-6.1")
@pytest.mark.security("S43")
def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(
    op: RelyingParty, browser: Browser
) -> None:
    answer = op.authorize(browser, request=unsigned_jwt({"scope": "openid profile"}))
    assert answer.error == "request_not_supported"
    assert op.metadata["request_parameter_supported"] is False


@pytest.mark.oidf("oidcc-claims-essential")
@pytest.mark.spec("OIDCC-5.5.1")
def test_oidcc_claims_essential(op: RelyingParty, browser: Browser) -> None:
    wish = json.dumps({"userinfo": {"name": {"essential": True}}})
    tokens = op.authorize(browser, claims=wish).tokens()
    assert tokens.userinfo == {"sub": tokens.claims["sub"], "name": "Alice Example"}


@pytest.mark.oidf("oidcc-ensure-request-object-with-redirect-uri")
@pytest.mark.spec("OIDCC-6.1")
@pytest.mark.security("S43")
def test_oidcc_ensure_request_object_with_redirect_uri(op: RelyingParty, browser: Browser) -> None:
    good = unsigned_jwt({"redirect_uri": op.redirect_uri})
    page = op.start(browser, redirect_uri=f"{op.redirect_uri}/{secrets.token_hex(4)}", request=good)
    assert isinstance(page, Page)
    assert (page.status, "redirect_uri" in page.text) == (400, True)


@pytest.mark.oidf("oidcc-refresh-token")
@pytest.mark.spec("RFC6749-6")
def test_oidcc_refresh_token(op: RelyingParty, new_client: Callable[..., RelyingParty], browser: Browser) -> None:
    def grant(party: RelyingParty) -> Answer:
        return party.authorize(browser, scope="openid offline_access", prompt="consent")

    first = grant(op).tokens()
    refreshed = op.refresh(first.body["refresh_token"])
    assert refreshed.status_code == 200, refreshed.content
    body = refreshed.json()
    # OIDCC-12.2: the new id_token, if there is one, speaks of the same sign-in.
    claims = op.verify(body["id_token"], nonce=first.answer.request["nonce"] if "nonce" in _claims(body) else None)
    assert {name: claims[name] for name in ("iss", "sub", "aud", "auth_time")} == {
        name: first.claims[name] for name in ("iss", "sub", "aud", "auth_time")
    }
    assert op.userinfo(body["access_token"]).json()["sub"] == first.claims["sub"]
    assert body["access_token"] != first.access_token
    # A refresh token of another client is refused (RFC6749-6).
    other = new_client()
    other.response_mode = op.response_mode
    stolen = op.refresh(grant(other).tokens().body["refresh_token"])
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")


def _claims(body: dict[str, Any]) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(body["id_token"], options={"verify_signature": False})
    return claims


@pytest.mark.oidf("oidcc-ensure-request-with-valid-pkce-succeeds")
@pytest.mark.spec("RFC7636-4.6")
def test_oidcc_ensure_request_with_valid_pkce_succeeds(op: RelyingParty, browser: Browser) -> None:
    verifier = secrets.token_urlsafe(48)
    answer = op.authorize(browser, code_challenge=code_challenge(verifier), code_challenge_method="S256")
    assert answer.tokens(code_verifier=verifier).claims["sub"]


def test_both_plans_answer_in_their_own_mode(op: RelyingParty, browser: Browser) -> None:
    callback = op.authorize(browser).callback
    assert isinstance(callback, Callback)
    assert callback.mode == (op.response_mode or "query")

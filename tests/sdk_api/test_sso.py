"""Handing a sign-in on: SSO tickets, new session_tokens, id_tokens (OneAccess-3.2.10, 3.2.11)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import jwt
import pytest
import time_machine
from django.utils import timezone

from identity import copies
from identity.keyring import keys
from identity.models import (
    AppAccount,
    Application,
    ApplicationAccess,
    AuditEvent,
    KeyPair,
    MFAMode,
    SessionParticipant,
    SessionPolicy,
    SSOSession,
    SSOTicket,
    User,
)
from identity.sign_in import sso_tickets
from identity.sso import access
from oidc_provider.clients import registration
from tests.factories import make_account, make_application, make_tenant
from tests.factories.oidc import make_client
from tests.sdk_api.phone import BackEnd, Phone, make_phone
from tests.support.at_once import at_once

SESSION_TOKEN = {"error_code": "PARAM.0023", "error_msg": "Session token invalid or expired."}
TICKET = {"error_code": "PARAM.0032", "error_msg": "SSO ticket invalid or expired."}
UNAUTHORIZED = {
    "error": "unauthorized",
    "error_description": "Full authentication is required to access this resource",
}


@pytest.fixture
def back_end(phone: Phone) -> BackEnd:
    """The back end of the phone's own application."""
    return BackEnd(phone.client, phone)


@pytest.fixture
def web(phone: Phone) -> BackEnd:
    """The back end of a web application of the same tenant."""
    return BackEnd(make_client(make_application(phone.tenant)), phone)


def ticket_of(back_end: BackEnd, session_token: str, **changes: Any) -> str:
    body = back_end.issue(session_token, **changes).json()
    ticket: str = body["sso_ticket"]
    return ticket


# Tickets ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.10.1", "OneAccess-3.2.10.2")
def test_a_ticket_tells_a_web_application_who_signed_in_at_the_app(
    phone: Phone, back_end: BackEnd, web: BackEnd
) -> None:
    User.objects.filter(pk=phone.user.pk).update(name="Alice Example")
    response = back_end.issue(phone.sign_in(), client_id=web.client.client_id)
    assert response.status_code == 200
    ticket = response.json()["sso_ticket"]
    assert response.json() == {"expire": 300, "sso_ticket": ticket}
    assert (ticket[:10], response["Cache-Control"]) == ("ssoTicket-", "no-store")
    assert ticket not in str(SSOTicket.objects.values())
    answer = web.verify(ticket)
    assert answer.status_code == 200
    assert answer.json() == {
        "code": "0",
        "message": "success",
        "data": {
            "user": {
                "name": "Alice Example",
                "id": phone.user.public_id,
                "userName": "alice",
                "email": "alice@example.org",
            }
        },
    }
    assert not answer.cookies  # decision 23: data for a back end, never a session
    assert SSOSession.objects.count() == 1
    events = AuditEvent.objects.filter(event_type__in=["ticket:grant", "ticket:validate"], outcome="success")
    assert list(events.order_by("pk").values_list("event_type", "client_id")) == [
        ("ticket:grant", web.client.client_id),
        ("ticket:validate", web.client.client_id),
    ]


@pytest.mark.spec("OneAccess-3.2.10.2")
def test_the_name_is_that_of_the_account_in_the_other_application(phone: Phone, back_end: BackEnd) -> None:
    application = make_application(phone.tenant, access=ApplicationAccess.ASSIGNED)
    AppAccount.objects.create(user=phone.user, application=application, account_name="a.example", name="Alice")
    web = BackEnd(make_client(application), phone)
    ticket = ticket_of(back_end, phone.sign_in(), client_id=web.client.client_id)
    assert web.verify(ticket).json()["data"]["user"]["userName"] == "a.example"


@pytest.mark.spec("OneAccess-3.2.10.1")
def test_without_a_client_id_the_ticket_is_for_the_caller(phone: Phone, back_end: BackEnd, web: BackEnd) -> None:
    token = phone.sign_in()
    assert back_end.verify(ticket_of(back_end, token)).json()["code"] == "0"
    assert web.verify(ticket_of(back_end, token)).json() == TICKET
    # The ticket gives the other application no right over the session.
    phone.device["X-client-id"] = web.client.client_id
    registration.update_client(web.client, may_use_sdk=True)
    assert phone.profile(phone.sign(token)).json()["error_code"] == "PARAM.0030"


@pytest.mark.spec("OneAccess-3.2.10.2")
@pytest.mark.security("S44")
def test_a_ticket_is_spent_by_the_first_question_whatever_the_answer(
    phone: Phone, back_end: BackEnd, web: BackEnd
) -> None:
    token = phone.sign_in()
    spoilt = [
        ("spent", back_end.verify),
        ("another application", web.verify),
        ("another device", lambda ticket: back_end.verify(ticket, device_fingerprint="another")),
    ]
    for why, spoil in spoilt:
        ticket = ticket_of(back_end, token)
        spoil(ticket)
        assert back_end.verify(ticket).json() == TICKET, why
    reasons = AuditEvent.objects.filter(event_type="ticket:validate", outcome="refused")
    assert set(reasons.values_list("reason", flat=True)) == {"PARAM.0032"}


@pytest.mark.security("S36")
def test_a_ticket_of_another_tenant_does_not_exist_and_is_not_spent(phone: Phone, back_end: BackEnd) -> None:
    ticket = ticket_of(back_end, phone.sign_in())
    other = make_phone(make_tenant())
    foreign = BackEnd(other.client, other)
    assert foreign.verify(ticket).json() == TICKET
    assert back_end.verify(ticket).status_code == 200


@pytest.mark.spec("OneAccess-3.2.10.2")
@pytest.mark.parametrize("spelling", ["cut", "longer", "unknown", "nul", "surrogate"])
@pytest.mark.security("S40")
def test_nothing_but_the_whole_ticket_is_taken(phone: Phone, back_end: BackEnd, spelling: str) -> None:
    ticket = ticket_of(back_end, phone.sign_in())
    wrong = {
        "cut": ticket[:-1],
        "longer": ticket + "A",
        "unknown": "ssoTicket-x",
        "nul": ticket + "\x00",
        "surrogate": "ssoTicket-\ud800",
    }[spelling]
    body = back_end.verify(wrong).json()
    assert body["error_code"] == ("COM.0400" if spelling == "surrogate" else "PARAM.0032")
    assert back_end.verify(ticket).status_code == 200


@pytest.mark.parametrize(("seconds", "is_good"), [(14, True), (16, False)])
def test_a_short_ticket_is_given_what_clocks_of_nodes_may_differ(
    phone: Phone, back_end: BackEnd, seconds: int, is_good: bool
) -> None:
    SessionPolicy.objects.filter(tenant=phone.tenant).update(sso_ticket_seconds=10)
    ticket = ticket_of(back_end, phone.sign_in())
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds)):
        assert (back_end.verify(ticket).status_code == 200) is is_good


def test_a_ticket_lasts_as_long_as_the_tenant_says_and_no_longer_than_the_session(phone: Phone) -> None:
    with time_machine.travel("2026-11-22 09:00:00Z", tick=False) as clock:
        back_end = BackEnd(phone.client, phone)
        token = phone.sign_in()
        ticket = ticket_of(back_end, token)
        clock.shift(299)
        late = ticket_of(back_end, token)
        assert back_end.verify(ticket).status_code == 200
        clock.shift(300)
        assert back_end.verify(late).json() == TICKET
        SSOSession.objects.update(expires_at=timezone.now() + timedelta(seconds=40))
        assert back_end.issue(token).json()["expire"] == 40


@pytest.mark.security("S13", "S26", "S49")
@pytest.mark.parametrize("change", ["signed out", "disabled", "tokens ended", "no account", "application disabled"])
def test_what_ended_since_the_ticket_was_made_ends_the_ticket(phone: Phone, back_end: BackEnd, change: str) -> None:
    target = make_application(phone.tenant)
    web = BackEnd(make_client(target), phone)
    token = phone.sign_in()
    ticket = ticket_of(back_end, token, client_id=web.client.client_id)
    if change == "signed out":
        assert phone.get("logout", X_signature=phone.sign(token)).status_code == 200
    if change == "disabled":
        User.objects.filter(pk=phone.user.pk).update(is_active=False)
    if change == "tokens ended":
        User.objects.filter(pk=phone.user.pk).update(epoch=phone.user.epoch + 1)
    if change == "no account":
        target.access = ApplicationAccess.ASSIGNED
        target.save()
    if change == "application disabled":
        target.is_active = False
        target.save()
        # Its client can do nothing any more, this included.
        assert web.verify(ticket).status_code == 401
        return
    assert web.verify(ticket).json() == TICKET


@pytest.mark.security("S28")
def test_an_application_that_needs_two_factors_gets_no_ticket_of_one(phone: Phone, back_end: BackEnd) -> None:
    target = make_application(phone.tenant)
    web = BackEnd(make_client(target), phone)
    token = phone.sign_in()
    early = ticket_of(back_end, token, client_id=web.client.client_id)
    Application.objects.filter(pk=target.pk).update(mfa_mode=MFAMode.ALWAYS)
    registration.update_client(web.client, may_introspect=True)  # any write lets the process read the client again
    refused = back_end.issue(token, client_id=web.client.client_id)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "APP_ACCOUNT.0001")
    assert web.verify(early).json() == TICKET
    SSOSession.objects.update(amr=["pwd", "sms"])
    assert web.verify(ticket_of(back_end, token, client_id=web.client.client_id)).status_code == 200


def test_a_ticket_needs_an_account_in_the_other_application(phone: Phone, back_end: BackEnd) -> None:
    target = make_application(phone.tenant, access=ApplicationAccess.ASSIGNED)
    client = make_client(target)
    refused = back_end.issue(phone.sign_in(), client_id=client.client_id)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "APP_ACCOUNT.0001")
    assert not SSOTicket.objects.exists()


# Whose session ---------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.10.1", "OneAccess-3.2.10.3")
@pytest.mark.security("S9", "S13", "S36")
@pytest.mark.parametrize("path", ["session-token/sso-ticket", "session-token/refresh"])
@pytest.mark.parametrize("whose", ["unknown", "another device", "another application", "another tenant", "a browser"])
def test_a_back_end_hands_on_sessions_of_its_own_application_and_device_only(
    phone: Phone, back_end: BackEnd, web: BackEnd, path: str, whose: str
) -> None:
    token, caller, changes = phone.sign_in(), back_end, {}
    if whose == "unknown":
        token = "unknown"
    if whose == "another device":
        changes = {"device_fingerprint": "another"}
    if whose == "another application":
        caller = web
    if whose == "another tenant":
        other = make_phone(make_tenant())
        caller = BackEnd(other.client, other)
    if whose == "a browser":
        SSOSession.objects.update(kind="browser")
    response = caller.post(path, caller.device(session_token=token, **changes))
    assert (response.status_code, response.json()) == (400, SESSION_TOKEN)
    event = AuditEvent.objects.filter(outcome="refused").latest("pk")
    assert (event.reason, event.client_id) == ("PARAM.0023", caller.client.client_id)


@pytest.mark.parametrize("switch", ["is_active", "may_use_sdk"])
def test_a_session_of_a_client_that_was_closed_is_handed_to_nobody(phone: Phone, switch: str) -> None:
    own = BackEnd(make_client(phone.client.catalogue_entry), phone)
    token = phone.sign_in()
    assert own.issue(token).status_code == 200
    values: dict[str, Any] = {switch: False}
    registration.update_client(phone.client, **values)
    assert own.issue(token).json() == SESSION_TOKEN
    assert own.refresh(token).json() == SESSION_TOKEN


def test_a_session_from_before_devices_were_recorded_is_handed_to_nobody(phone: Phone, back_end: BackEnd) -> None:
    token = phone.sign_in()
    SSOSession.objects.update(device_index="")
    assert back_end.issue(token).json() == SESSION_TOKEN
    assert phone.profile(phone.sign(token)).status_code == 200


def test_a_fingerprint_may_be_any_text(phone: Phone, back_end: BackEnd) -> None:
    phone.device["X-device-fingerprint"] = "设备-1".encode().decode("latin-1")  # as a header carries UTF-8
    token = phone.sign_in()
    assert back_end.issue(token, device_fingerprint=" 设备-1").status_code == 200
    assert back_end.issue(token, device_fingerprint="设备-2").json() == SESSION_TOKEN


@pytest.mark.spec("OneAccess-3.2.10.1")
def test_the_other_application_must_exist_in_the_tenant_and_be_enabled(
    phone: Phone, back_end: BackEnd, web: BackEnd
) -> None:
    token = phone.sign_in()
    foreign = make_client(make_application(make_tenant()))
    for client_id in ("unknown", foreign.client_id, "\x00", 7, ["x"]):
        assert back_end.issue(token, client_id=client_id).json()["error_code"] == "APP.0001"
    registration.update_client(web.client, is_active=False)
    assert back_end.issue(token, client_id=web.client.client_id).json()["error_code"] == "APP.0003"


# The back end itself ---------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.10")
@pytest.mark.parametrize("path", ["session-token/sso-ticket", "sso-ticket/verify", "session-token/refresh"])
def test_a_back_end_needs_a_token_with_the_right(phone: Phone, back_end: BackEnd, path: str) -> None:
    assert back_end.post(path, {}, authorization="Basic x").json() == UNAUTHORIZED
    response = back_end.http.post(f"/api/v2/tenant/sso/{path}", headers={"host": phone.host}, secure=True)
    assert (response.status_code, response.json()) == (401, UNAUTHORIZED)
    assert response["WWW-Authenticate"] == "Bearer"
    unknown = back_end.post(path, {}, authorization="Bearer unknown")
    assert (unknown.status_code, unknown.json()["error"]) == (401, "invalid_token")
    other = BackEnd(make_client(make_application(phone.tenant)), phone, right="user_all")
    refused = other.post(path, {})
    assert (refused.status_code, refused.json()) == (
        403,
        {"error": "insufficient_scope", "error_description": "Insufficient scope for this resource"},
    )
    assert 'scope="auth_api"' in refused["WWW-Authenticate"]


@pytest.mark.security("S36")
def test_a_token_is_taken_in_its_own_tenant_only(phone: Phone, back_end: BackEnd) -> None:
    token = phone.sign_in()
    phone.host = make_tenant().domains.get().host
    assert back_end.issue(token).status_code == 401


def test_on_the_shared_host_a_back_end_names_its_tenant(phone: Phone, back_end: BackEnd, settings: Any) -> None:
    token = phone.sign_in()
    settings.IDENTITY = {**settings.IDENTITY, "shared_host": "api.monban.example"}
    phone.host = "api.monban.example"
    body = back_end.device(session_token=token)
    assert back_end.post("session-token/sso-ticket", body).json()["error_code"] == "APP.0001"
    named = {"X-tenant-id": phone.tenant.public_id}
    assert back_end.post("session-token/sso-ticket", body, **named).status_code == 200
    foreign = {"X-tenant-id": make_tenant().public_id}
    assert back_end.post("session-token/sso-ticket", body, **foreign).status_code == 401


def test_a_limited_back_end_is_told_when_to_come_back(phone: Phone, back_end: BackEnd) -> None:
    registration.update_client(back_end.client, api_requests_per_minute=1)
    with time_machine.travel("2026-11-22 09:00:01Z", tick=False):
        fresh = BackEnd(back_end.client, phone)
        fresh.post("sso-ticket/verify", {})
        response = fresh.post("sso-ticket/verify", {})
    assert (response.status_code, response.json()["error_code"]) == (429, "COM.0429")
    assert int(response["Retry-After"]) > 0


@pytest.mark.parametrize("body", ["", "{}", '{"session_token": 7}', '{"sso_ticket": {}}'])
@pytest.mark.parametrize("path", ["session-token/sso-ticket", "sso-ticket/verify", "session-token/refresh"])
def test_a_member_that_is_no_text_is_as_good_as_absent(back_end: BackEnd, path: str, body: str) -> None:
    code = "PARAM.0031" if "verify" in path else "PARAM.0022"
    response = back_end.post(path, body)
    assert (response.status_code, response.json()["error_code"]) == (400, code)


@pytest.mark.spec("RFC9110-15.5.1")
@pytest.mark.parametrize("body", ["{", "[]", '{"sso_ticket": "a", "sso_ticket": "b"}'])
@pytest.mark.parametrize("path", ["session-token/sso-ticket", "sso-ticket/verify", "session-token/refresh"])
def test_a_body_that_cannot_be_read_is_refused(back_end: BackEnd, path: str, body: str) -> None:
    response = back_end.post(path, body)
    assert (response.status_code, response.json()["error_code"]) == (400, "COM.0400")


NONSENSE = [None, 7, True, [], {}, "", " ", "\x00", "\ud800", "é" * 50_000, "' OR 1=1 --", 10**400]


@pytest.mark.parametrize("member", ["session_token", "sso_ticket", "device_fingerprint", "device_ip", "agent"])
def test_nonsense_is_refused_and_nothing_breaks(phone: Phone, back_end: BackEnd, member: str) -> None:
    token = phone.sign_in()
    for path in ("session-token/sso-ticket", "sso-ticket/verify", "session-token/refresh"):
        for value in NONSENSE:
            good = {"session_token": token, "sso_ticket": "ssoTicket-unknown"}
            response = back_end.post(path, back_end.device(**{**good, member: value}))
            assert response.status_code in (200, 400), (path, value)
            if response.status_code == 200 and "refresh" in path:
                token = response.json()["session_token"]


def test_other_methods_are_refused(phone: Phone, back_end: BackEnd) -> None:
    response = back_end.http.get("/api/v2/tenant/sso/sso-ticket/verify", headers={"host": phone.host}, secure=True)
    assert (response.status_code, response["Allow"]) == (405, "POST")


# Refreshing ------------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.10.3")
@pytest.mark.security("S27")
def test_a_refresh_replaces_the_session_token_and_keeps_the_session(phone: Phone, back_end: BackEnd) -> None:
    with time_machine.travel("2026-11-22 09:00:00Z", tick=False) as clock:
        old = phone.sign_in()
        before = SSOSession.objects.get()
        clock.shift(timedelta(days=6))
        fresh = BackEnd(phone.client, phone)
        response = fresh.refresh(old)
        body = response.json()
        new = body["session_token"]
        assert response.status_code == 200
        assert body == {"session_token": new, "expire": 604800, "id_token": body["id_token"]}
        after = SSOSession.objects.get()
        assert (after.sid, after.amr, after.authenticated_at) == (before.sid, before.amr, before.authenticated_at)
        assert phone.profile(phone.sign(old)).json()["error_code"] == "PARAM.0030"
        assert fresh.refresh(old).json() == SESSION_TOKEN
        assert fresh.issue(old).json() == SESSION_TOKEN
        clock.shift(timedelta(days=6))
        assert phone.profile(phone.sign(new)).status_code == 200
    claims = jwt.decode(body["id_token"], options={"verify_signature": False})
    assert claims["sid"] == before.sid
    assert AuditEvent.objects.filter(event_type="session:refresh", outcome="success").count() == 1


def test_refreshing_ends_where_the_tenant_says_so(phone: Phone) -> None:
    SessionPolicy.objects.update(sdk_max_seconds=10 * 24 * 3600)
    copies.clear()
    with time_machine.travel("2026-11-22 09:00:00Z", tick=False) as clock:
        token = phone.sign_in()
        clock.shift(timedelta(days=6))
        body = BackEnd(phone.client, phone).refresh(token).json()
        assert body["expire"] == 4 * 24 * 3600
        clock.shift(timedelta(days=3))
        body = BackEnd(phone.client, phone).refresh(body["session_token"]).json()
        assert body["expire"] == 24 * 3600
        clock.shift(timedelta(days=1))
        assert BackEnd(phone.client, phone).refresh(body["session_token"]).json() == SESSION_TOKEN


@pytest.mark.security("S28")
def test_a_session_that_would_not_be_opened_now_is_not_refreshed(phone: Phone, back_end: BackEnd) -> None:
    token = phone.sign_in()
    SessionPolicy.objects.update(mfa_mode=MFAMode.ALWAYS)
    copies.clear()
    assert back_end.refresh(token).json() == SESSION_TOKEN
    SessionPolicy.objects.update(mfa_mode=MFAMode.NEVER)
    copies.clear()
    assert back_end.refresh(token).status_code == 200
    access.revoke_everything(user=phone.user, reason="password_changed", context=_context(phone))
    assert back_end.refresh(token).json() == SESSION_TOKEN


@pytest.mark.security("S28")
def test_a_session_that_would_not_be_opened_now_gives_no_id_token(phone: Phone) -> None:
    token = phone.sign_in()
    SessionPolicy.objects.update(mfa_mode=MFAMode.ALWAYS)
    copies.clear()
    refused = phone.post("session-token/refresh-id-token", "", X_signature=phone.sign(token))
    assert (refused.status_code, refused.json()["error_code"]) == (400, "LOGIN.0003")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("operation", ["verify", "refresh"])
def test_of_many_at_once_one_wins(operation: str) -> None:
    phone = make_phone()
    back_end = BackEnd(phone.client, phone)
    token = phone.sign_in()
    secret = ticket_of(back_end, token) if operation == "verify" else token

    answers = at_once(lambda _number: getattr(back_end, operation)(secret), times=24)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 23


# id_token --------------------------------------------------------------------------------------------------


def claims_of(phone: Phone, id_token: str) -> dict[str, Any]:
    """Verified as a relying party does: with the published keys, for the client, of the issuer."""
    claims = keys.verify(tenant=phone.tenant, token=id_token)
    assert (claims["aud"], claims["iss"]) == (phone.client.client_id, f"https://{phone.host}")
    return claims


@pytest.mark.spec("OneAccess-3.2.11.1")
def test_a_sign_in_gives_an_id_token_for_two_hours(phone: Phone) -> None:
    body = phone.login().json()
    claims = claims_of(phone, body["id_token"])
    session = SSOSession.objects.get()
    assert claims["exp"] - claims["iat"] == 7200
    assert (claims["sub"], claims["sid"]) == (phone.user.public_id, session.sid)
    assert (claims["amr"], claims["name"]) == (["pwd"], "Alice Example")
    assert claims["auth_time"] == int(session.authenticated_at.timestamp())
    assert not {"at_hash", "nonce"} & claims.keys()
    again = phone.post("session-token/refresh-id-token", "", X_signature=phone.sign(body["session_token"]))
    assert (again.status_code, set(again.json())) == (200, {"id_token"})
    renewed = claims_of(phone, again.json()["id_token"])
    assert (renewed["sid"], renewed["jti"] != claims["jti"]) == (session.sid, True)
    assert phone.profile(phone.sign(body["session_token"])).status_code == 200


@pytest.mark.spec("OneAccess-3.2.11.1")
def test_the_id_token_is_signed_and_lives_as_the_client_says(phone: Phone) -> None:
    registration.update_client(phone.client, id_token_signed_response_alg="RS512", id_token_lifetime_seconds=300)
    id_token = phone.login().json()["id_token"]
    claims = claims_of(phone, id_token)
    assert jwt.get_unverified_header(id_token)["alg"] == "RS512"
    assert claims["exp"] - claims["iat"] == 300


@pytest.mark.spec("OneAccess-3.2.11.1")
def test_a_client_without_openid_gets_no_id_token(phone: Phone) -> None:
    registration.update_client(phone.client, scopes=["profile"])
    body = phone.login().json()
    assert set(body) == {"status", "session_token", "expire"}
    back_end = BackEnd(phone.client, phone)
    assert set(back_end.refresh(body["session_token"]).json()) == {"session_token", "expire"}
    token = phone.sign_in()
    refused = phone.post("session-token/refresh-id-token", "", X_signature=phone.sign(token))
    assert (refused.status_code, refused.json()) == (
        400,
        {"error_code": "LOGIN.0003", "error_msg": "id_token generate error."},
    )


def lose_signing_keys() -> None:
    """As after a restart with another KEY_ENCRYPTION_KEYS."""
    KeyPair.objects.filter(use="sig").update(private_sealed="s1.00000000.AAAA")
    copies.clear()


@pytest.mark.spec("OneAccess-3.2.5.1")
def test_a_sign_in_whose_id_token_cannot_be_made_leaves_no_session(phone: Phone) -> None:
    lose_signing_keys()
    response = phone.login()
    assert (response.status_code, response.json()["error_code"]) == (400, "LOGIN.0003")
    assert not SSOSession.objects.filter(ended_at=None).exists()


@pytest.mark.spec("OneAccess-3.2.10.3")
def test_a_refresh_whose_id_token_cannot_be_made_changes_nothing(phone: Phone, back_end: BackEnd) -> None:
    token = phone.sign_in()
    lose_signing_keys()
    assert back_end.refresh(token).json()["error_code"] == "LOGIN.0003"
    assert phone.profile(phone.sign(token)).status_code == 200


# Costs -----------------------------------------------------------------------------------------------------


def test_what_the_hot_calls_cost(
    phone: Phone, back_end: BackEnd, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = phone.sign_in()
    first, second = ticket_of(back_end, token), ticket_of(back_end, token)
    back_end.verify(first)
    phone.profile(phone.sign(token))
    signature = phone.sign(token)
    # Session, its participant, the nonce, the nonce under another pepper, and its INSERT.
    with django_assert_num_queries(5):
        assert phone.profile(signature).status_code == 200
    # Bearer, UPDATE of the ticket, its row, the audit.
    with django_assert_num_queries(4):
        assert back_end.verify(second).status_code == 200


def test_tickets_that_are_over_are_deleted_and_where_they_led_stays(
    phone: Phone, back_end: BackEnd, web: BackEnd
) -> None:
    token = phone.sign_in()
    ticket_of(back_end, token, client_id=web.client.client_id)
    ticket_of(back_end, token)  # for the app itself, where the session is from
    now = timezone.now()
    assert sso_tickets.purge(now, 10) == 0
    assert sso_tickets.purge(now + timedelta(days=2), 10) == 2
    joined = SessionParticipant.objects.get(protocol="sdk_ticket")
    assert joined.registration == web.client.client_id


def _context(phone: Phone) -> Any:
    from identity.context import RequestContext

    return RequestContext(tenant=phone.tenant)


@pytest.mark.security("S49")
def test_who_has_lost_the_account_at_the_app_is_nobody_there_and_may_sign_out(phone: Phone, back_end: BackEnd) -> None:
    token = phone.sign_in()
    application = back_end.client.catalogue_entry
    application.access = ApplicationAccess.ASSIGNED
    application.save()
    account = make_account(phone.user, application)
    assert phone.profile(phone.sign(token)).status_code == 200
    target = BackEnd(make_client(make_application(phone.tenant)), phone)
    ticket_of(back_end, token, client_id=target.client.client_id)
    account.is_active = False
    account.save()
    refused = phone.profile(phone.sign(token))
    assert (refused.status_code, refused.json()["error_code"]) == (400, "APP_ACCOUNT.0001")
    changed = phone.post("profile/update", {"name": "New"}, X_signature=phone.sign(token))
    assert changed.json() == refused.json()
    for answer in (back_end.issue(token, client_id=target.client.client_id), back_end.refresh(token)):
        assert answer.json()["error_code"] == "PARAM.0023"
    assert phone.get("logout", X_signature=phone.sign(token)).status_code == 200

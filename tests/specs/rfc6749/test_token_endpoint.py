"""The token endpoint (RFC6749-3.2, 4, 5, 6), as a client's back end sees it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from identity.keyring import keys
from identity.models import AuditEvent, SessionEndReason
from oidc_provider.models import AccessToken, RefreshToken
from tests.factories import make_account
from tests.factories.oidc import CALLBACK, CLIENT_SECRET
from tests.support.machine import Machine, basic, end, end_the_grace, refusal

pytestmark = pytest.mark.django_db

NewMachine = Callable[..., Machine]
INVALID_GRANT = (400, "invalid_grant")
INVALID_REQUEST = (400, "invalid_request")


# The request itself ----------------------------------------------------------------------------------------


@pytest.mark.spec("RFC6749-3.2")
@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "head"])
def test_only_post_is_taken(machine: Machine, method: str) -> None:
    response = getattr(machine.http, method)("/oauth2/token")
    assert response.status_code == 405


@pytest.mark.spec("RFC6749-2.3.1")
def test_parameters_in_the_address_are_refused(machine: Machine) -> None:
    header = basic(machine.client.client_id, CLIENT_SECRET)
    response = machine.send("/oauth2/token?grant_type=client_credentials", "", HTTP_AUTHORIZATION=header)
    assert refusal(response) == INVALID_REQUEST


@pytest.mark.spec("RFC6749-3.2")
@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain"])
def test_another_content_type_is_refused(machine: Machine, content_type: str) -> None:
    response = machine.send("/oauth2/token", '{"grant_type": "client_credentials"}', content_type=content_type)
    assert refusal(response) == INVALID_REQUEST


@pytest.mark.security("S45")
@pytest.mark.spec("RFC6749-3.2")
@pytest.mark.parametrize(
    "name", ["grant_type", "code", "redirect_uri", "code_verifier", "client_id", "scope", "unknown"]
)
def test_a_repeated_parameter_is_refused(machine: Machine, name: str) -> None:
    pairs = [("grant_type", "authorization_code"), ("code", machine.code()), (name, "1"), (name, "2")]
    assert refusal(machine.post("/oauth2/token", pairs)) == INVALID_REQUEST


@pytest.mark.parametrize(
    "body",
    [
        b"grant_type=client_credentials&scope=%00",
        b"grant_type=%ff%fe",
        b"\xff\xfe\x00\x01",
        b"grant_type=authorization_code&code=%00&redirect_uri=x",
        b"grant_type=refresh_token&refresh_token=a%00b",
        b"grant_type=authorization_code&code=" + b"x" * 20_000,
        b"&".join(b"a%d=1" % number for number in range(500)),
        b"%",
        b"grant_type",
        b"grant_type=" + "令牌".encode(),
    ],
    ids=["nul", "bad utf-8", "binary", "nul code", "nul token", "long", "many", "percent", "no value", "not ascii"],
)
def test_a_body_that_makes_no_sense_is_refused_by_the_protocol(machine: Machine, body: bytes) -> None:
    response = machine.send("/oauth2/token", body, HTTP_AUTHORIZATION=basic(machine.client.client_id, CLIENT_SECRET))
    assert response.status_code == 400
    assert response.json()["error"] in {"invalid_request", "unsupported_grant_type"}
    assert AccessToken.objects.count() == 0


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/userinfo"])
def test_an_oversized_body_is_refused(machine: Machine, path: str) -> None:
    response = machine.send(path, "x=" + "y" * 2_000_000)
    assert response.status_code == 413


@pytest.mark.spec("RFC6749-5.2")
@pytest.mark.parametrize(
    "params, expected",
    [
        ({"scope": "openid"}, INVALID_REQUEST),
        ({"grant_type": "password", "username": "a", "password": "b"}, (400, "unsupported_grant_type")),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, (400, "unsupported_grant_type")),
        ({"grant_type": "implicit"}, (400, "unsupported_grant_type")),
        ({"grant_type": "authorization_code"}, INVALID_REQUEST),
        ({"grant_type": "refresh_token"}, INVALID_REQUEST),
        ({"grant_type": "authorization_code", "code": "nonsense"}, INVALID_GRANT),
        ({"grant_type": "refresh_token", "refresh_token": "nonsense"}, INVALID_GRANT),
        ({"grant_type": "client_credentials", "scope": 'a"b'}, (400, "invalid_scope")),
    ],
)
def test_each_refusal_has_its_code(machine: Machine, params: dict[str, str], expected: tuple[int, str]) -> None:
    response = machine.token(**params)
    assert refusal(response) == expected
    assert response["Cache-Control"] == "no-store"


@pytest.mark.spec("RFC6749-5.2")
@pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token", "client_credentials"])
def test_a_grant_type_that_is_not_registered_is_refused(new_machine: NewMachine, grant_type: str) -> None:
    others = [name for name in ("authorization_code", "client_credentials") if name != grant_type]
    machine = new_machine(grant_types=others)
    answer = machine.token(grant_type=grant_type, code="x", refresh_token="x")
    assert refusal(answer) == (400, "unauthorized_client")


def test_a_refusal_is_audited_without_what_was_sent(machine: Machine) -> None:
    machine.exchange("a-code-that-nobody-knows")
    event = AuditEvent.objects.filter(event_type="token:grant").latest("id")
    assert (event.outcome, event.reason) == ("refused", "authorization_code")
    assert "a-code-that-nobody-knows" not in str(event.__dict__)


# Codes -----------------------------------------------------------------------------------------------------


@pytest.mark.spec("RFC6749-4.1.3")
def test_a_redirect_uri_that_differs_is_refused(machine: Machine) -> None:
    assert refusal(machine.exchange(machine.code(), redirect_uri=CALLBACK + "/")) == INVALID_GRANT


@pytest.mark.spec("RFC6749-4.1.3")
def test_a_redirect_uri_that_was_given_must_come_again(machine: Machine) -> None:
    assert refusal(machine.exchange(machine.code(), redirect_uri=None)) == INVALID_GRANT


@pytest.mark.spec("RFC6749-4.1.3")
def test_a_redirect_uri_that_was_left_out_may_stay_out(machine: Machine) -> None:
    code = machine.code(redirect_uri="", scope="profile")
    assert machine.exchange(code, redirect_uri=None).status_code == 200


@pytest.mark.spec("RFC6749-4.1.3")
@pytest.mark.security("S9")
def test_a_code_of_another_client_is_refused_and_stays_good(new_machine: NewMachine, machine: Machine) -> None:
    code = machine.code()
    assert refusal(new_machine().exchange(code)) == INVALID_GRANT
    assert machine.exchange(code).status_code == 200


@pytest.mark.spec("RFC6749-4.1.2")
def test_a_code_expires(machine: Machine) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        code = machine.code()
        clock.shift(timedelta(seconds=61))
        assert refusal(machine.exchange(code)) == INVALID_GRANT


@pytest.mark.spec("RFC6749-4.1.2")
@pytest.mark.oidf("oidcc-codereuse")
def test_a_code_used_twice_is_refused_and_revokes_what_it_gave(machine: Machine) -> None:
    code = machine.code()
    first = machine.exchange(code).json()
    renewed = machine.refresh(first["refresh_token"]).json()
    assert refusal(machine.exchange(code)) == INVALID_GRANT
    for token in (first["access_token"], renewed["access_token"]):
        assert machine.userinfo(token).status_code == 401
    assert refusal(machine.refresh(renewed["refresh_token"])) == INVALID_GRANT
    assert AuditEvent.objects.filter(event_type="token:reuse").count() == 1


@pytest.mark.spec("RFC6749-4.1.2")
@pytest.mark.parametrize("flaw", ["secret", "verifier", "redirect_uri"])
def test_only_who_could_redeem_a_code_revokes_what_it_gave(machine: Machine, flaw: str) -> None:
    code = machine.code()
    first = machine.exchange(code).json()
    if flaw == "secret":
        machine.secret = "a-wrong-secret-of-this-client"
        assert refusal(machine.exchange(code)) == (401, "invalid_client")
    elif flaw == "verifier":
        assert refusal(machine.exchange(code, code_verifier="x" * 43)) == INVALID_GRANT
    else:
        assert refusal(machine.exchange(code, redirect_uri="https://client.example/other")) == INVALID_GRANT
    assert machine.userinfo(first["access_token"]).status_code == 200


@pytest.mark.spec("RFC6749-4.1.2")
@pytest.mark.parametrize(("lifetime", "seconds", "is_good"), [(10, 14, True), (10, 16, False), (60, 61, False)])
def test_a_short_life_is_lengthened_by_what_clocks_of_nodes_may_differ(
    new_machine: NewMachine, lifetime: int, seconds: int, is_good: bool
) -> None:
    machine = new_machine(authorization_code_lifetime_seconds=lifetime)
    code = machine.code()
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds)):
        assert (machine.exchange(code).status_code == 200) is is_good


@pytest.mark.spec("RFC6749-4.1.2")
def test_a_refused_redemption_leaves_the_code_good(machine: Machine) -> None:
    code = machine.code()
    assert refusal(machine.exchange(code, code_verifier="y" * 43)) == INVALID_GRANT
    assert machine.exchange(code).status_code == 200


@pytest.mark.security("S10")
def test_codes_and_tokens_carry_256_bits(machine: Machine) -> None:
    code = machine.code()
    body = machine.exchange(code).json()
    assert [len(value) for value in (code, body["access_token"], body["refresh_token"])] == [43, 43, 43]
    assert len({code, body["access_token"], body["refresh_token"]}) == 3


@pytest.mark.security("S26")
@pytest.mark.parametrize("event", ["user disabled", "session ended", "all tokens ended", "application disabled"])
def test_a_code_dies_with_what_it_stands_on(machine: Machine, event: str) -> None:
    code = machine.code()
    end(machine, event)
    expected = (401, "invalid_client") if event == "application disabled" else INVALID_GRANT
    assert refusal(machine.exchange(code)) == expected


# Refresh tokens --------------------------------------------------------------------------------------------


@pytest.mark.spec("RFC6749-6")
def test_a_client_without_the_grant_gets_no_refresh_token(new_machine: NewMachine) -> None:
    machine = new_machine(grant_types=["authorization_code"])
    assert "refresh_token" not in machine.tokens(scope="openid offline_access")


@pytest.mark.spec("RFC6749-6")
def test_scopes_may_be_narrowed_and_come_back(machine: Machine) -> None:
    token = machine.tokens(scope="openid profile email")["refresh_token"]
    narrowed = machine.refresh(token, scope="openid email").json()
    assert narrowed["scope"] == "openid email"
    assert "name" not in machine.userinfo(narrowed["access_token"]).json()
    assert machine.refresh(narrowed["refresh_token"]).json()["scope"] == "openid profile email"


@pytest.mark.spec("RFC6749-6")
@pytest.mark.security("S12")
@pytest.mark.parametrize("scope", ["openid phone", "openid unknown"])
def test_scopes_cannot_be_widened(machine: Machine, scope: str) -> None:
    token = machine.tokens(scope="openid profile")["refresh_token"]
    assert refusal(machine.refresh(token, scope=scope)) == (400, "invalid_scope")


@pytest.mark.security("S12")
def test_a_scope_taken_from_the_client_is_gone_at_the_next_refresh(machine: Machine) -> None:
    token = machine.tokens(scope="openid profile email")["refresh_token"]
    machine.client.scopes = ["openid", "profile"]
    machine.client.save()
    assert machine.refresh(token).json()["scope"] == "openid profile"


@pytest.mark.security("S9")
@pytest.mark.spec("RFC6749-6")
def test_a_refresh_token_of_another_client_is_refused_and_stays_good(new_machine: NewMachine, machine: Machine) -> None:
    token = machine.tokens()["refresh_token"]
    assert refusal(new_machine().refresh(token)) == INVALID_GRANT
    assert machine.refresh(token).status_code == 200


@pytest.mark.spec("RFC9700-4.14.2")
def test_reuse_of_a_refresh_token_revokes_the_family(machine: Machine) -> None:
    first = machine.tokens()
    second = machine.refresh(first["refresh_token"]).json()
    end_the_grace()
    assert refusal(machine.refresh(first["refresh_token"])) == INVALID_GRANT
    assert refusal(machine.refresh(second["refresh_token"])) == INVALID_GRANT
    for token in (first["access_token"], second["access_token"]):
        assert machine.userinfo(token).status_code == 401


def test_other_families_of_the_user_live_on(machine: Machine) -> None:
    first, other = machine.tokens(), machine.tokens()
    machine.refresh(first["refresh_token"])
    end_the_grace()
    machine.refresh(first["refresh_token"])
    assert machine.refresh(other["refresh_token"]).status_code == 200


@pytest.mark.security("S14")
def test_superseded_and_revoked_are_two_things(machine: Machine) -> None:
    token = machine.tokens()["refresh_token"]
    assert machine.revoke(token).status_code == 200
    assert refusal(machine.refresh(token)) == INVALID_GRANT
    assert not AuditEvent.objects.filter(event_type="token:reuse").exists()
    event = AuditEvent.objects.filter(event_type="token:grant", outcome="refused").latest("id")
    assert event.reason == "refresh_token_revoked"


@pytest.mark.spec("RFC9700-4.14.2")
def test_a_refresh_token_used_again_at_once_gives_a_sibling(machine: Machine) -> None:
    first = machine.tokens(scope="openid profile")
    second, sibling = (machine.refresh(first["refresh_token"]).json() for _ in range(2))
    assert sibling["refresh_token"] != second["refresh_token"]
    assert sibling["scope"] == second["scope"]
    for tokens in (first, second, sibling):
        assert machine.userinfo(tokens["access_token"]).status_code == 200
    for tokens in (second, sibling):
        assert machine.refresh(tokens["refresh_token"]).status_code == 200
    assert len(set(RefreshToken.objects.values_list("family", "expires"))) == 1


def test_audit_tells_a_use_within_the_grace_from_a_reuse(machine: Machine) -> None:
    token = machine.tokens()["refresh_token"]
    for _ in range(2):
        machine.refresh(token)
    granted = AuditEvent.objects.filter(event_type="token:grant", outcome="success").order_by("id")
    family = str(RefreshToken.objects.values_list("family", flat=True).first())
    assert [event.details.get("is_within_grace", False) for event in granted] == [False, False, True]
    assert granted[2].details["family"] == family
    assert not AuditEvent.objects.filter(event_type="token:reuse").exists()
    end_the_grace()
    machine.refresh(token)
    assert AuditEvent.objects.get(event_type="token:reuse").details["family"] == family


def test_the_grace_counts_from_the_first_use(new_machine: NewMachine) -> None:
    machine = new_machine(refresh_token_grace_seconds=20)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        token = machine.tokens()["refresh_token"]
        assert machine.refresh(token).status_code == 200
        clock.shift(timedelta(seconds=15))
        assert machine.refresh(token).status_code == 200
        clock.shift(timedelta(seconds=15))
        assert refusal(machine.refresh(token)) == INVALID_GRANT


def test_a_client_without_grace_loses_the_family_at_once(new_machine: NewMachine) -> None:
    machine = new_machine(refresh_token_grace_seconds=0)
    token = machine.tokens()["refresh_token"]
    second = machine.refresh(token).json()
    assert refusal(machine.refresh(token)) == INVALID_GRANT
    assert machine.userinfo(second["access_token"]).status_code == 401


@pytest.mark.security("S14")
def test_what_was_revoked_on_purpose_has_no_grace(machine: Machine) -> None:
    first = machine.tokens()["refresh_token"]
    second = machine.refresh(first).json()["refresh_token"]
    machine.revoke(second)
    for token in (first, second):
        assert refusal(machine.refresh(token)) == INVALID_GRANT
    assert not AuditEvent.objects.filter(event_type="token:reuse").exists()


@pytest.mark.security("S9")
def test_the_grace_is_for_the_same_client(new_machine: NewMachine, machine: Machine) -> None:
    token = machine.tokens()["refresh_token"]
    second = machine.refresh(token).json()
    assert refusal(new_machine().refresh(token)) == INVALID_GRANT
    assert machine.userinfo(second["access_token"]).status_code == 200


@pytest.mark.spec("RFC6749-6")
def test_rotation_does_not_lengthen_the_life_of_a_family(new_machine: NewMachine) -> None:
    machine = new_machine(refresh_token_lifetime_seconds=3600)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        token = machine.tokens()["refresh_token"]
        clock.shift(timedelta(minutes=50))
        token = machine.refresh(token).json()["refresh_token"]
        clock.shift(timedelta(minutes=11))
        assert refusal(machine.refresh(token)) == INVALID_GRANT


@pytest.mark.security("S26")
@pytest.mark.parametrize("scope", ["openid", "openid offline_access"])
@pytest.mark.parametrize("event", ["user disabled", "user deleted", "all tokens ended"])
def test_a_refresh_token_dies_with_its_user(machine: Machine, event: str, scope: str) -> None:
    token = machine.tokens(scope=scope)["refresh_token"]
    end(machine, event)
    assert refusal(machine.refresh(token)) == INVALID_GRANT


@pytest.mark.spec("OIDCC-11")
@pytest.mark.parametrize("event", ["session ended", "session idle"])
def test_a_refresh_token_ends_with_the_session_unless_offline(machine: Machine, event: str) -> None:
    bound = machine.tokens(scope="openid")["refresh_token"]
    offline = machine.tokens(scope="openid offline_access")["refresh_token"]
    end(machine, event)
    assert refusal(machine.refresh(bound)) == INVALID_GRANT
    answer = machine.refresh(offline)
    assert answer.status_code == 200
    assert machine.userinfo(answer.json()["access_token"]).status_code == 200


@pytest.mark.parametrize("reason", [SessionEndReason.ENDED_BY_USER, SessionEndReason.ENDED_BY_OPERATOR])
def test_ending_a_session_from_elsewhere_ends_its_offline_grants(machine: Machine, reason: str) -> None:
    offline = machine.tokens(scope="openid offline_access")["refresh_token"]
    end(machine, "session ended", reason)
    assert refusal(machine.refresh(offline)) == INVALID_GRANT


def test_an_offline_grant_outlives_the_row_of_its_session(machine: Machine) -> None:
    offline = machine.tokens(scope="openid offline_access")["refresh_token"]
    bound = machine.tokens(scope="openid")["refresh_token"]
    assert machine.session is not None
    machine.session.delete()
    answer = machine.refresh(offline).json()
    assert "sid" not in keys.verify(tenant=machine.context.tenant, token=answer["id_token"])
    assert refusal(machine.refresh(bound)) == INVALID_GRANT


def test_who_lost_the_account_gets_no_new_tokens(new_machine: NewMachine) -> None:
    machine = new_machine(application={"access": "assigned"})
    assert machine.user is not None
    account = make_account(machine.user, machine.client.catalogue_entry)
    token, code = machine.tokens()["refresh_token"], machine.code()
    account.is_active = False
    account.save()
    assert refusal(machine.refresh(token)) == INVALID_GRANT
    assert refusal(machine.exchange(code)) == INVALID_GRANT


# Client credentials ----------------------------------------------------------------------------------------


@pytest.fixture
def api_machine(new_machine: NewMachine) -> Machine:
    return new_machine(
        may_introspect=True,
        api_scopes={"orders:read": "https://orders.example", "orders:write": "https://orders.example"},
    )


@pytest.mark.spec("RFC6749-4.4.3")
def test_client_credentials_give_an_access_token_only(api_machine: Machine) -> None:
    body = api_machine.token(grant_type="client_credentials", scope="orders:read").json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert body["scope"] == "orders:read"
    described = api_machine.introspect(body["access_token"]).json()
    assert described["aud"] == "https://orders.example"
    assert described["sub"] == api_machine.client.client_id


@pytest.mark.spec("RFC6749-3.3")
def test_without_a_scope_a_client_gets_its_own(api_machine: Machine) -> None:
    body = api_machine.token(grant_type="client_credentials").json()
    assert sorted(body["scope"].split()) == ["orders:read", "orders:write"]


@pytest.mark.security("S12")
@pytest.mark.spec("RFC6749-3.3")
@pytest.mark.parametrize("scope", ["openid", "offline_access", "profile email", "admin:all", "ORDERS:READ"])
def test_client_credentials_give_no_scope_that_was_not_granted(api_machine: Machine, scope: str) -> None:
    assert refusal(api_machine.token(grant_type="client_credentials", scope=scope)) == (400, "invalid_scope")


@pytest.mark.security("S12")
def test_client_credentials_are_cut_to_what_was_granted(api_machine: Machine) -> None:
    body = api_machine.token(grant_type="client_credentials", scope="openid orders:read admin:all").json()
    assert body["scope"] == "orders:read"


@pytest.mark.spec("RFC6749-4.4")
def test_a_public_client_gets_none(new_machine: NewMachine) -> None:
    machine = new_machine(token_endpoint_auth_method="none", secret_hash="")
    machine.client.grant_types = ["authorization_code"]
    machine.client.save()
    assert refusal(machine.token(grant_type="client_credentials")) == (400, "unauthorized_client")


# Lifetimes -------------------------------------------------------------------------------------------------


def test_a_clients_lifetimes_are_used_under_the_ceiling(new_machine: NewMachine) -> None:
    machine = new_machine(access_token_lifetime_seconds=120, id_token_lifetime_seconds=300)
    body = machine.tokens()
    claims = keys.verify(tenant=machine.context.tenant, token=body["id_token"])
    assert body["expires_in"] == 120
    assert claims["exp"] - claims["iat"] == 300
    machine.client.access_token_lifetime_seconds = 10**9
    machine.client.save()
    assert machine.tokens()["expires_in"] == 24 * 3600


def test_an_access_token_expires(machine: Machine) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        token = machine.tokens()["access_token"]
        clock.shift(timedelta(seconds=3599))
        assert machine.userinfo(token).status_code == 200
        clock.shift(timedelta(seconds=1))
        assert machine.userinfo(token).status_code == 401


@pytest.mark.security("S14")
@pytest.mark.parametrize(("seconds", "status"), [(9, 200), (11, 400)])
def test_a_used_refresh_token_has_a_grace_of_ten_seconds(machine: Machine, seconds: int, status: int) -> None:
    token = machine.tokens()["refresh_token"]
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert machine.refresh(token).status_code == 200
        clock.shift(timedelta(seconds=seconds))
        assert machine.refresh(token).status_code == status

"""What operators do: create, change, unlock, reset, end, rotate; each asked for the password and audited."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from identity.events import EventType
from identity.keyring import keys
from identity.models import AppendOnlyError, AuditEvent, Delivery, KeyPair, Organization, Tenant, User
from identity.operator_groups import AUDITORS, HELP_DESK
from identity.passwords import credentials
from oidc_provider.models import CLIENT_FLAGS, LOWERING_FLAGS, Client
from tests.admin.conftest import operator_of, sign_in
from tests.factories import (
    make_account,
    make_application,
    make_operator,
    make_organization,
    make_role,
    make_tenant,
    make_user,
)
from tests.factories.oidc import make_client, make_session


def page(row: object, name: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])  # type: ignore[attr-defined]


def act(browser: Browser, row: object, action: str, **data: str) -> object:
    return browser.post(f"{page(row).removesuffix('change/')}{action}/", {"confirm": "yes", **data})


def last_event(tenant: Tenant, event: str) -> AuditEvent:
    return AuditEvent.objects.filter(tenant=tenant, event_type=event).latest("pk")


USER_FORM = {"user_name": "zhangsan", "name": "Zhang San", "email": "zhang@example.org", "extension": "{}"}


# Users


def test_a_user_is_created_through_the_service_and_audited(browser: Browser, operator: User) -> None:
    make_organization(operator.tenant, code="10000")
    data = {**USER_FORM, "new_mobile": "+8613900001111", "organization_code": "10000", "password": "Quiet-Harbour-41"}
    response = browser.post(reverse("admin:identity_user_add"), data)
    assert response.status_code == 302, re.findall(r"errorlist.*?</", response.content.decode())
    user = User.objects.get(user_name="zhangsan")
    assert (user.tenant, user.mobile, user.memberships.get().organization.code) == (
        operator.tenant,
        "+8613900001111",
        "10000",
    )
    assert credentials.check_password(user=user, password="Quiet-Harbour-41")
    event = last_event(operator.tenant, EventType.USER_CREATE)
    assert (event.actor_id, event.target_id) == (operator.public_id, user.public_id)
    assert "+8613900001111" not in str(event.changes)


def test_a_refusal_of_the_service_is_shown_at_the_form(browser: Browser, operator: User) -> None:
    make_user(operator.tenant, user_name="ZhangSan")
    response = browser.post(reverse("admin:identity_user_add"), USER_FORM)
    assert response.status_code == 200
    assert "USER.0029" in response.content.decode()
    assert User.objects.filter(tenant=operator.tenant, user_key="zhangsan").count() == 1


def test_a_change_is_audited_with_before_and_after(browser: Browser, operator: User) -> None:
    user = make_user(operator.tenant, user_name="zhangsan", work_place="Dalian")
    response = browser.post(page(user), {**USER_FORM, "work_place": "Tokyo"})
    assert response.status_code == 302, response.content.decode()[:2000]
    event = last_event(operator.tenant, EventType.USER_UPDATE)
    assert event.changes["name"] != []
    assert "work_place" in event.changes
    user.refresh_from_db()
    assert user.work_place == "Tokyo"


def test_a_locked_user_is_unlocked(browser: Browser, operator: User) -> None:
    user = make_user(operator.tenant, locked_until=timezone.now() + timedelta(minutes=5))
    assert act(browser, user, "unlock").status_code == 302
    user.refresh_from_db()
    assert user.locked_until is None
    assert last_event(operator.tenant, EventType.LOGIN_UNLOCKED).actor_id == operator.public_id


def test_a_reset_password_is_shown_once_and_must_be_changed(browser: Browser, operator: User) -> None:
    user = make_user(operator.tenant)
    session = make_session(user)
    text = act(browser, user, "reset-password").content.decode()
    password = re.search(r"data-shown-once>([^<]+)<", text)
    assert password is not None
    user.refresh_from_db()
    session.refresh_from_db()
    assert credentials.check_password(user=user, password=password[1])
    assert user.password_must_change
    assert session.ended_at is not None
    assert password[1] not in browser.get(page(user)).content.decode()
    assert password[1] not in str(list(AuditEvent.objects.values("changes", "details", "personal")))


def test_sessions_are_ended(browser: Browser, operator: User) -> None:
    user = make_user(operator.tenant)
    session = make_session(user)
    assert act(browser, user, "end-sessions").status_code == 302
    session.refresh_from_db()
    assert session.end_reason == "ended_by_operator"


def test_one_session_is_ended(browser: Browser, operator: User) -> None:
    session = make_session(make_user(operator.tenant))
    assert act(browser, session, "end").status_code == 302
    session.refresh_from_db()
    assert session.end_reason == "ended_by_operator"


def test_what_an_application_was_told_of_sign_outs_is_shown_and_tried_again(browser: Browser, operator: User) -> None:
    application = make_application(operator.tenant, code="wiki")
    values = {"tenant": operator.tenant, "kind": "test", "next_attempt_at": timezone.now()}
    row = Delivery.objects.create(
        application=application, url="https://wiki.example/out", jti="a", state="failed", attempts=5,
        last_status=503, last_error="status 503", **values,
    )  # fmt: skip
    Delivery.objects.create(url="https://other.example/out", jti="b", last_error="status 418", **values)
    listed = browser.get(f"{page(application).removesuffix('change/')}deliveries/", follow=True).content.decode()
    assert "status 503" in listed
    assert "status 418" not in listed
    assert "https://wiki.example/out" in browser.get(page(row)).content.decode()
    assert act(browser, row, "try-again").status_code == 302
    row.refresh_from_db()
    assert (row.state, row.attempts, row.jti) == ("pending", 0, "a")
    assert last_event(operator.tenant, "admin:change").changes["state"] == ["failed", "pending"]


def test_a_user_is_disabled_and_enabled(browser: Browser, operator: User) -> None:
    user = make_user(operator.tenant)
    for expected in (False, True):
        assert act(browser, user, "switch").status_code == 302
        user.refresh_from_db()
        assert user.is_active is expected


def test_a_deleted_user_leaves_no_personal_data(browser: Browser, operator: User) -> None:
    user = make_user(operator.tenant, email="gone@example.org")
    assert act(browser, user, "delete-user").status_code == 302
    user.refresh_from_db()
    assert (user.deleted_at is not None, user.email, user.user_name) == (True, "", "")


@pytest.mark.security("S37")
def test_an_operator_gives_no_rights_and_touches_no_other_operator(browser: Browser, operator: User) -> None:
    colleague = operator_of(operator.tenant)
    assert act(browser, colleague, "reset-password").status_code == 403
    assert browser.post(page(colleague), USER_FORM).status_code == 403
    browser.post(page(operator), {**USER_FORM, "is_superuser": "on", "is_staff": "on"})
    operator.refresh_from_db()
    assert (operator.name, operator.is_superuser) == ("Zhang San", False)


def test_a_superuser_makes_an_operator(tenant: Tenant) -> None:
    browser = sign_in(make_operator(tenant, is_superuser=True))
    user = make_user(tenant, user_name="zhangsan")
    group = Group.objects.get(name=HELP_DESK)
    assert browser.post(page(user), {**USER_FORM, "is_staff": "on", "groups": [group.pk]}).status_code == 302
    user.refresh_from_db()
    assert user.is_staff
    assert list(user.groups.all()) == [group]
    assert last_event(tenant, EventType.USER_UPDATE).changes == {
        "is_staff": [False, True],
        "groups": [[], [HELP_DESK]],
    }


@pytest.mark.parametrize(("group", "may_change"), [(HELP_DESK, True), (AUDITORS, False)])
def test_groups_narrow_what_an_operator_may_do(tenant: Tenant, group: str, may_change: bool) -> None:
    browser, user = sign_in(operator_of(tenant, group)), make_user(tenant)
    assert browser.get(page(user)).status_code == 200
    assert (act(browser, user, "unlock").status_code == 302) is may_change
    assert browser.get(reverse("admin:oidc_provider_client_add")).status_code == 403


# Step-up


@pytest.mark.security("S28")
def test_sensitive_pages_ask_for_the_password_first(operator: User) -> None:
    browser, user = sign_in(operator, is_confirmed=False), make_user(operator.tenant)
    client = make_client(make_application(operator.tenant))
    for address in (page(user), page(client), reverse("admin:oidc_provider_client_add")):
        for method in (browser.get, browser.post):
            answer = method(address)
            assert answer.status_code == 302
            assert answer["Location"].startswith(reverse("identity:confirm_password"))
    for row, action in ((user, "reset-password"), (client, "new-secret")):
        answer = act(browser, row, action)
        assert answer["Location"].startswith(reverse("identity:confirm_password"))
    secret_hash = client.secret_hash
    client.refresh_from_db()
    assert client.secret_hash == secret_hash


def test_nothing_happens_on_get(browser: Browser, operator: User) -> None:
    session = make_session(make_user(operator.tenant))
    assert browser.get(f"{page(session).removesuffix('change/')}end/").status_code == 200
    session.refresh_from_db()
    assert session.ended_at is None


def test_actions_demand_a_csrf_token(operator: User) -> None:
    browser = sign_in(operator)
    browser.handler.enforce_csrf_checks = True
    session = make_session(make_user(operator.tenant))
    assert act(browser, session, "end").status_code == 403


# Clients and keys


def test_a_client_is_created_and_its_secret_is_shown_once(browser: Browser, operator: User) -> None:
    data = {
        "new_name": "Wiki",
        "new_code": "wiki",
        "kind": "web",
        "dialect": "standard",
        "redirect_uris": "https://wiki.example/callback\nhttps://wiki.example/other",
        "skip_consent": "on",
    }
    response = browser.post(reverse("admin:oidc_provider_client_add"), data)
    text = response.content.decode()
    client = Client.objects.get(catalogue_entry__code="wiki")
    secret = re.search(r"data-shown-once>([^<]+)<", text)
    assert secret is not None
    assert len(secret[1]) >= 43
    host = operator.tenant.domains.get().host
    assert f"https://{host}/oauth2/token" in text
    assert f"https://{host}/.well-known/openid-configuration" in text
    assert client.redirect_uris == ["https://wiki.example/callback", "https://wiki.example/other"]
    assert client.catalogue_entry.skip_consent
    assert secret[1] not in browser.get(page(client)).content.decode()
    assert last_event(operator.tenant, EventType.CLIENT_CREATE).client_id == client.client_id


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"redirect_uris": "javascript:alert(1)"}, "redirect_uris"),
        ({"new_code": "wiki", "redirect_uris": ""}, "redirect_uris"),
    ],
)
@pytest.mark.security("S7")
def test_a_bad_client_is_refused_at_its_field(browser: Browser, change: dict[str, str], field: str) -> None:
    data = {"new_name": "Wiki", "new_code": "wiki", "kind": "web", "dialect": "standard", **change}
    response = browser.post(reverse("admin:oidc_provider_client_add"), data)
    assert response.status_code == 200
    assert response.context["form"].errors.keys() == {field}
    assert not Client.objects.exists()


def test_a_client_is_changed_through_registration(browser: Browser, operator: User) -> None:
    client = make_client(make_application(operator.tenant), name="Old")
    form = browser.get(page(client)).context["adminform"].form
    data = {name: form[name].value() for name in form.fields if form[name].value() not in (None, False)}
    data |= {"name": "New", "claims_mapping": "{}", "jwks": "null"}
    response = browser.post(page(client), data)
    assert response.status_code == 302, response.context["adminform"].form.errors
    client.refresh_from_db()
    assert client.name == "New"
    assert list(last_event(operator.tenant, EventType.CLIENT_UPDATE).changes) == ["name"]


def test_flags_are_switches_with_their_risk_beside_them(browser: Browser, operator: User) -> None:
    client = make_client(make_application(operator.tenant), dialect="pactera", name="Old")
    form = browser.get(page(client)).context["adminform"].form
    shown = dict(form.fields["flags"].choices)
    assert shown.keys() == CLIENT_FLAGS["pactera"]
    assert all("Risk: " in str(shown[name]) for name in LOWERING_FLAGS & shown.keys())
    data = {name: form[name].value() for name in form.fields if form[name].value() not in (None, False)}
    data |= {"claims_mapping": "{}", "jwks": "null", "flags": ["short_verifiers"], "refresh_token_grace_seconds": "30"}
    response = browser.post(page(client), data)
    assert response.status_code == 302, response.context["adminform"].form.errors
    client.refresh_from_db()
    assert (client.flags, client.refresh_token_grace_seconds) == ({"short_verifiers": True}, 30)
    changes = last_event(operator.tenant, EventType.CLIENT_UPDATE).changes
    assert changes["flags"] == [{}, {"short_verifiers": True}]
    form = browser.get(page(client)).context["adminform"].form
    assert form["flags"].value() == ["short_verifiers"]


def test_a_new_secret_replaces_the_old_one(browser: Browser, operator: User) -> None:
    client = make_client(make_application(operator.tenant))
    before = client.secret_hash
    assert "data-shown-once" in act(browser, client, "new-secret").content.decode()
    client.refresh_from_db()
    assert client.secret_hash != before


def test_keys_are_rotated_and_revoked(browser: Browser, operator: User) -> None:
    keys.ensure(tenant=operator.tenant, use="sig", alg="ES256")
    active = KeyPair.objects.get(tenant=operator.tenant, state="active")
    assert act(browser, active, "rotate").status_code == 302
    active.refresh_from_db()
    assert active.state == "retired"
    assert act(browser, active, "revoke").status_code == 302
    active.refresh_from_db()
    assert active.state == "revoked"
    assert last_event(operator.tenant, EventType.KEY_REVOKE).actor_id == operator.public_id


# Organisations and the trail


def test_an_organisation_cannot_be_its_own_ancestor(browser: Browser, operator: User) -> None:
    parent = make_organization(operator.tenant)
    child = make_organization(parent=parent)
    data = {"code": parent.code, "name": parent.name, "category": "department", "parent": child.pk}
    response = browser.post(page(parent), data)
    assert "ORG.0017" in response.content.decode()
    parent.refresh_from_db()
    assert parent.parent is None


def test_a_full_organisation_is_not_deleted(browser: Browser, operator: User) -> None:
    parent = make_organization(operator.tenant)
    make_organization(parent=parent)
    browser.post(page(parent, "delete"), {"post": "yes"})
    assert Organization.objects.filter(pk=parent.pk).exists()


def test_the_trail_shows_before_and_after_and_cannot_be_changed(browser: Browser, operator: User) -> None:
    make_user(operator.tenant, user_name="zhangsan", work_place="Dalian")
    user = User.objects.get(user_name="zhangsan")
    browser.post(page(user), {**USER_FORM, "area": "JP"})
    event = last_event(operator.tenant, EventType.USER_UPDATE)
    text = browser.get(page(event)).content.decode()
    assert "area" in text
    assert browser.post(page(event), {"reason": "other"}).status_code == 403
    assert browser.post(page(event, "delete"), {"post": "yes"}).status_code == 403
    with pytest.raises(AppendOnlyError):
        event.delete()


def test_the_sign_in_of_the_admin_is_ours(tenant: Tenant) -> None:
    nobody = Browser(headers={"host": tenant.domains.get().host})
    answer = nobody.get("/admin/login/?next=/admin/identity/user/")
    assert answer["Location"].startswith("/login?next=")


def test_the_first_page_shows_what_happened_lately_in_the_own_tenant(browser: Browser, operator: User) -> None:
    user = make_user(operator.tenant, user_name="zhangsan")
    browser.post(page(user), {**USER_FORM, "area": "JP"})
    foreign = sign_in(operator_of(make_tenant()))
    event = last_event(operator.tenant, EventType.USER_UPDATE)
    assert page(event) in browser.get("/admin/").content.decode()
    assert page(event) not in foreign.get("/admin/").content.decode()


@pytest.mark.security("S37")
def test_an_account_keeps_its_application_and_its_owner(browser: Browser, operator: User) -> None:
    account = make_account(make_user(operator.tenant), make_application(operator.tenant))
    other = make_account(make_user(operator.tenant), make_application(operator.tenant))
    data = {"application": other.application_id, "user": other.user_id, "account_name": "moved", "extension": "{}"}
    assert browser.post(page(account), data).status_code == 302
    owner, application = account.user_id, account.application_id
    account.refresh_from_db()
    assert (account.user_id, account.application_id, account.account_name) == (owner, application, "moved")


def test_a_role_is_held_by_accounts_of_its_own_application(browser: Browser, operator: User) -> None:
    role = make_role(make_application(operator.tenant))
    foreign = make_account(make_user(operator.tenant), make_application(operator.tenant))
    form = {"code": role.code, "name": role.name, "members-TOTAL_FORMS": 1, "members-INITIAL_FORMS": 0}
    answer = browser.post(page(role), {**form, "members-0-account": foreign.pk})
    assert answer.status_code == 200
    assert not role.members.exists()
    own = make_account(make_user(operator.tenant), role.application)
    assert browser.post(page(role), {**form, "members-0-account": own.pk}).status_code == 302
    assert role.members.get().account == own
    direct = browser.post(reverse("admin:identity_approlemember_add"), {"role": role.pk, "account": foreign.pk})
    assert direct.status_code == 403
    assert role.members.count() == 1

"""Second factors in the console: listed without secrets, reset by those who may (S46)."""

from __future__ import annotations

import pytest
from django.core import mail
from django.test import Client as Browser
from django.urls import reverse

from identity.context import RequestContext
from identity.models import AuditEvent, AuthenticatorApp, RecoveryCode, SSOSession, TrustedDevice, User
from identity.sign_in import enrolment
from identity.sso import trusted_devices
from tests.admin.conftest import sign_in
from tests.factories import make_operator, make_user
from tests.factories.factors import enrol, trust
from tests.factories.oidc import make_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def person(operator: User) -> User:
    user = make_user(operator.tenant, user_name="zhangsan", email="zhang@example.org", email_verified=True)
    enrol(user, "Telephone")
    enrolment.make_recovery_codes(user=user, context=RequestContext(tenant=user.tenant))
    return user


def address(user: User, action: str) -> str:
    return reverse("admin:identity_user_change", args=[user.pk]).replace("change/", f"{action}/")


def test_the_page_of_a_person_tells_the_factors_without_anything_secret(browser: Browser, person: User) -> None:
    page = browser.get(address(person, "change")).content.decode()
    assert "Telephone (Authenticator app), 10 recovery codes" in page
    assert AuthenticatorApp.objects.get().secret_sealed not in page


@pytest.mark.security("S46")
def test_a_reset_removes_everything_and_makes_the_next_sign_in_enrol(browser: Browser, person: User) -> None:
    session = make_session(person)
    mail.outbox.clear()
    asked = browser.get(address(person, "reset-factors")).content.decode()
    assert "the next sign-in sets one up" in asked
    assert AuthenticatorApp.objects.exists()
    assert browser.post(address(person, "reset-factors"), {"confirm": "yes"}).status_code == 302
    person.refresh_from_db()
    assert (person.factor_kinds, person.factor_required) == ("", True)
    assert not AuthenticatorApp.objects.exists()
    assert not RecoveryCode.objects.exists()
    assert SSOSession.objects.get(pk=session.pk).ended_at is not None
    event = AuditEvent.objects.get(event_type="factor:reset")
    assert (event.target_id, event.changes) == (person.public_id, {"factor_kinds": ["totp recovery_code", ""]})
    assert "An administrator has removed every second factor" in mail.outbox[0].body


@pytest.mark.security("S46")
@pytest.mark.parametrize("is_superuser", [False, True])
def test_an_operator_resets_nothing_of_somebody_with_as_many_rights(
    browser: Browser, operator: User, is_superuser: bool
) -> None:
    colleague = make_operator(operator.tenant, user_name="colleague", is_superuser=is_superuser)
    enrol(colleague)
    assert browser.post(address(colleague, "reset-factors"), {"confirm": "yes"}).status_code == 403
    with pytest.raises(enrolment.authority.AuthorityRefused):
        enrolment.reset(user=colleague, context=RequestContext(tenant=operator.tenant), actor=operator)
    assert AuthenticatorApp.objects.exists()


@pytest.mark.security("S46")
def test_the_password_is_asked_for_before_a_reset(operator: User, person: User) -> None:
    response = sign_in(operator, is_confirmed=False).post(address(person, "reset-factors"), {"confirm": "yes"})
    assert response["Location"].startswith("/confirm-password")
    assert AuthenticatorApp.objects.exists()


@pytest.mark.security("S46")
def test_trusted_browsers_are_shown_without_secrets_and_ended(browser: Browser, operator: User, person: User) -> None:
    handle, _codes = trust(person, binding="of a browser")
    page = browser.get(address(person, "change")).content.decode()
    row = TrustedDevice.objects.get()
    assert f"({row.expires_at:%Y-%m-%d})" in page
    assert handle not in page
    assert row.handle_hash not in page
    assert browser.post(address(person, "end-trust"), {"confirm": "yes"}).status_code == 302
    assert not TrustedDevice.objects.exists()
    event = AuditEvent.objects.get(event_type="factor:end_trust")
    assert (event.actor_id, event.target_id) == (operator.public_id, person.public_id)


@pytest.mark.security("S46")
def test_an_operator_ends_no_trust_of_somebody_with_as_many_rights(browser: Browser, operator: User) -> None:
    colleague = make_operator(operator.tenant, user_name="colleague")
    assert browser.post(address(colleague, "end-trust"), {"confirm": "yes"}).status_code == 403
    with pytest.raises(enrolment.authority.AuthorityRefused):
        trusted_devices.end_all(user=colleague, context=RequestContext(tenant=operator.tenant), actor=operator)

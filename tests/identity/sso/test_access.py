"""The one gate, each of its questions by itself: what one of them lets pass, no other one stops here."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from identity.errors import AccessDenied, AccountDisabled, ApplicationDisabled, StateInvalid
from identity.models import Application, ApplicationAccess, SSOSession, Tenant, User
from identity.sso import access
from tests.factories import make_account, make_application, make_tenant, make_user
from tests.factories.oidc import make_session

pytestmark = [pytest.mark.django_db, pytest.mark.security("S26"), pytest.mark.security("S49")]


@pytest.fixture
def user() -> User:
    return make_user(make_tenant())


@pytest.fixture
def application(user: User) -> Application:
    return make_application(user.tenant)


def ask(user: User, application: Application | None, session: SSOSession | None = None) -> None:
    """Ask the gate as a request does that reads everything anew, on a grant of the user's own epoch."""
    found = User.objects.select_related("tenant").get(pk=user.pk)
    entry = Application.objects.get(pk=application.pk) if application is not None else None
    if session is not None:
        session = SSOSession.objects.select_related("user__tenant").get(pk=session.pk)
    access.check(user=found, application=entry, session=session, epoch=found.epoch)


def test_whoever_is_enabled_passes(user: User, application: Application) -> None:
    ask(user, application, make_session(user))
    ask(user, None)


def test_a_disabled_person_does_not_pass_in_any_epoch(user: User, application: Application) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)
    with pytest.raises(AccountDisabled):
        ask(user, application)


def test_nobody_of_a_disabled_tenant_passes(user: User, application: Application) -> None:
    Tenant.objects.filter(pk=user.tenant.pk).update(is_active=False)
    with pytest.raises(AccountDisabled):
        ask(user, application)


def test_nobody_passes_to_a_disabled_application(user: User, application: Application) -> None:
    Application.objects.filter(pk=application.pk).update(is_active=False)
    with pytest.raises(ApplicationDisabled):
        ask(user, application)
    ask(user, None)


def test_a_session_that_ran_out_does_not_pass(user: User, application: Application) -> None:
    session = make_session(user, expires_at=timezone.now() - timedelta(seconds=10))
    with pytest.raises(StateInvalid):
        ask(user, application, session)


def test_nobody_passes_to_an_application_of_accounts_without_an_enabled_one(user: User) -> None:
    guarded = make_application(user.tenant, access=ApplicationAccess.ASSIGNED)
    with pytest.raises(AccessDenied):
        ask(user, guarded)
    account = make_account(user, guarded)
    ask(user, guarded)
    type(account).objects.filter(pk=account.pk).update(is_active=False)
    with pytest.raises(AccessDenied):
        ask(user, guarded)


def test_nobody_passes_to_an_application_of_another_tenant(user: User) -> None:
    with pytest.raises(AccessDenied):
        ask(user, make_application(make_tenant()))

"""What comes next for a request of any protocol, decided from its demands, the session and what was passed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from identity import assurance
from identity.browser.interaction import Demands, FactorMissing, Passed, Step, next_step
from identity.errors import AccessDenied
from identity.models import Application, ApplicationAccess, SessionPolicy, SSOSession
from tests.factories import make_application, make_tenant, make_user
from tests.factories.oidc import make_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> SSOSession:
    return make_session(make_user(make_tenant()), authenticated_at=timezone.now() - timedelta(minutes=10))


@pytest.fixture
def application(session: SSOSession) -> Application:
    return make_application(session.tenant)


@pytest.mark.parametrize(
    ("demands", "passed", "step"),
    [
        (Demands(), Passed(), None),
        (Demands(reauthenticate=True), Passed(), Step.SIGN_IN_AGAIN),
        (Demands(max_age_seconds=3600), Passed(), None),
        (Demands(max_age_seconds=300), Passed(), Step.SIGN_IN_AGAIN),
        (Demands(max_age_seconds=0), Passed(), Step.SIGN_IN_AGAIN),
        (Demands(select_account=True), Passed(), Step.SELECT_ACCOUNT),
        (Demands(select_account=True), Passed(has_selected=True), None),
        (Demands(select_account=True, reauthenticate=True), Passed(), Step.SIGN_IN_AGAIN),
        (Demands(required_acr=assurance.MULTI_FACTOR), Passed(), Step.STEP_UP),
        (Demands(required_acr=assurance.SINGLE_FACTOR), Passed(), None),
    ],
)
def test_the_next_step_follows_from_the_demands(
    demands: Demands, passed: Passed, step: Step | None, session: SSOSession, application: Application
) -> None:
    assert next_step(demands, application=application, session=session, passed=passed) is step


@pytest.mark.security("S28")
@pytest.mark.parametrize(
    ("demands", "passed", "step"),
    [
        (Demands(), Passed(), None),
        (Demands(required_acr=assurance.SINGLE_FACTOR), Passed(), None),
        (Demands(required_acr=assurance.MULTI_FACTOR), Passed(), Step.STEP_UP),
        (Demands(max_age_seconds=3600), Passed(), Step.SIGN_IN_AGAIN),
        # Another tab has signed in meanwhile, without the factor.
        (Demands(reauthenticate=True), Passed(asked_at=timezone.now() - timedelta(hours=1)), Step.SIGN_IN_AGAIN),
    ],
)
def test_a_session_without_the_factor_in_a_trusted_browser_meets_no_demand(
    demands: Demands, passed: Passed, step: Step | None, session: SSOSession, application: Application
) -> None:
    SessionPolicy.objects.filter(tenant=session.tenant).update(mfa_mode="always", trusted_device_days=30)
    SSOSession.objects.update(device_trusted=True)
    session = SSOSession.objects.select_related("user__tenant").get(pk=session.pk)
    assert next_step(demands, application=application, session=session, passed=passed) is step


@pytest.mark.parametrize("demands", [Demands(), Demands(reauthenticate=True), Demands(select_account=True)])
def test_without_a_session_somebody_signs_in_first(demands: Demands, application: Application) -> None:
    assert next_step(demands, application=application, session=None, passed=Passed()) is Step.SIGN_IN


@pytest.mark.security("S29")
@pytest.mark.parametrize("demands", [Demands(reauthenticate=True), Demands(max_age_seconds=0)])
def test_only_a_sign_in_that_the_request_caused_counts_as_a_new_one(
    demands: Demands, session: SSOSession, application: Application
) -> None:
    passed = Passed().after(Step.SIGN_IN_AGAIN)
    assert next_step(demands, application=application, session=session, passed=passed) is Step.SIGN_IN_AGAIN
    session.authenticated_at = timezone.now()
    assert next_step(demands, application=application, session=session, passed=passed) is None


@pytest.mark.security("S28")
def test_whoever_comes_back_without_the_factor_is_refused_and_not_asked_for_ever(
    session: SSOSession, application: Application
) -> None:
    demands, passed = Demands(required_acr=assurance.MULTI_FACTOR), Passed().after(Step.STEP_UP)
    with pytest.raises(FactorMissing):
        next_step(demands, application=application, session=session, passed=passed)


@pytest.mark.security("S49")
def test_the_gate_is_asked_before_a_factor_is(session: SSOSession) -> None:
    guarded = make_application(session.tenant, access=ApplicationAccess.ASSIGNED)
    with pytest.raises(AccessDenied):
        next_step(Demands(required_acr=assurance.MULTI_FACTOR), application=guarded, session=session, passed=Passed())


@pytest.mark.parametrize("passed", [Passed(), Passed().after(Step.SIGN_IN), Passed(consent_sid="abc")])
def test_what_was_passed_survives_parking(passed: Passed) -> None:
    assert Passed.from_json(passed.to_json()) == passed


def test_what_cas_and_saml_parked_before_the_upgrade_is_read() -> None:
    now = timezone.now()
    assert Passed.from_json({"asked_at": now.isoformat(), "has_stepped_up": True}) == Passed(now, has_stepped_up=True)

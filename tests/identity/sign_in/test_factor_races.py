"""A hundred tries at once with one proof of a second factor: one of them passes (S29)."""

from __future__ import annotations

import threading
from datetime import timedelta

import pyotp
import pytest
from django.db import connection, transaction
from django.utils import timezone

from identity.context import RequestContext
from identity.errors import StateInvalid, VerificationRefused
from identity.models import AuthenticatorApp, LoginTransaction, RecoveryCode, User
from identity.sign_in import enrolment
from identity.sign_in.factors import passkey, recovery_code, totp
from tests.factories import make_tenant, make_user
from tests.factories.factors import enrol
from tests.support.at_once import at_once, each_at_once
from tests.support.authenticator import Passkey
from tests.support.locks import is_anybody_waiting

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.security("S29")]

TRIES = 100
MINUTE = timedelta(minutes=1)


@pytest.fixture
def user() -> User:
    return make_user(make_tenant(), user_name="alice")


def winners(answers: list[object]) -> int:
    return sum(not isinstance(answer, VerificationRefused | StateInvalid) for answer in answers)


@pytest.mark.spec("RFC6238-5.2")
def test_of_a_hundred_who_send_one_time_step_one_passes(user: User) -> None:
    _app, codes = enrol(user)
    code = codes.at(timezone.now() + timedelta(seconds=30))  # good for the minute that this may take
    answers = at_once(lambda _number: totp.take(user, code), times=TRIES, refusals=(VerificationRefused,))
    assert winners(answers) == 1


def test_of_a_hundred_who_send_one_recovery_code_one_passes(user: User) -> None:
    enrol(user)
    code = enrolment.make_recovery_codes(user=user, context=RequestContext(tenant=user.tenant))[0]
    answers = at_once(lambda _number: recovery_code.take(user, code), times=TRIES, refusals=(VerificationRefused,))
    assert winners(answers) == 1
    assert RecoveryCode.objects.filter(consumed_at=None).count() == 9


def test_of_a_hundred_who_answer_one_enrolment_one_adds_an_app(user: User) -> None:
    context = RequestContext(tenant=user.tenant)
    code = pyotp.TOTP(enrolment.begin_totp(user=user, owner="session 1").secret).now()
    answers = at_once(
        lambda _number: enrolment.finish_totp(
            user=user, owner="session 1", name="", verification_code=code, context=context
        ),
        times=TRIES,
        refusals=(VerificationRefused, StateInvalid),
    )
    assert winners(answers) == 1
    assert AuthenticatorApp.objects.count() == 1


@pytest.mark.security("S28")
def test_the_last_recovery_code_takes_no_factor_away_that_is_being_added(user: User) -> None:
    """What kinds a person has stands on the person's row: without it nobody would be asked for the factor."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer")
    context = RequestContext(tenant=user.tenant)
    app, _codes = enrol(user)
    last, *others = enrolment.make_recovery_codes(user=user, context=context)
    for code in others:
        recovery_code.take(user, code)
    AuthenticatorApp.objects.filter(pk=app.pk).delete()
    is_added = threading.Event()

    def add() -> None:
        with transaction.atomic():
            enrol(user)
            is_added.set()
            while not is_anybody_waiting():
                threading.Event().wait(0.01)

    def take() -> None:
        is_added.wait(timeout=30)
        recovery_code.take(User.objects.get(pk=user.pk), last)

    each_at_once(add, take)
    assert User.objects.get(pk=user.pk).factor_kinds == "totp"


def test_of_a_hundred_who_answer_one_challenge_one_signs_in() -> None:
    limits = {"max_failures": 1000, "max_failures_per_source": 1000}
    user = make_user(make_tenant(password_policy=limits), user_name="alice")
    context = RequestContext(tenant=user.tenant)
    host = user.tenant.domains.get().host
    key = Passkey(host, user_handle=user.public_id, has_counter=False)
    origin = f"https://{host}"
    made = enrolment.begin_passkey(user=user, owner="session 1", context=context)
    answer = key.create(made, origin)
    enrolment.finish_passkey(user=user, owner="session 1", name="", credential=answer, context=context)
    row = LoginTransaction.objects.create(
        tenant=user.tenant, handle_hash="h", binding_hash="b", channel="browser", expires_at=timezone.now() + MINUTE
    )
    credential = key.get(passkey.sign_in_options(row, context=context), origin)
    answers = at_once(
        lambda _number: passkey.sign_in(row, credential, context=context), times=TRIES, refusals=(VerificationRefused,)
    )
    assert winners(answers) == 1

"""Demanding a second factor says whom it locks out, wherever it is demanded (S50)."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from identity.context import SYSTEM
from identity.directory import applications, lockouts, tenants
from identity.models import SessionPolicy, Tenant, User
from tests.admin.console import Console
from tests.factories import make_account, make_application, make_operator, make_tenant, make_user

TEXT = "2 of 3 people have no second factor and no verified e-mail address or mobile number"


@pytest.fixture
def house(db: None) -> Tenant:
    """Two people without a second factor, and one with a mailbox that is proved."""
    tenant = make_tenant()
    make_user(tenant, email="unproved@example.org")
    make_user(tenant, mobile="+8613800138000")
    make_user(tenant, email="proved@example.org", email_verified=True)
    make_user(tenant, is_active=False)
    return tenant


@pytest.mark.security("S50")
def test_always_for_a_tenant_is_refused_with_the_number_until_it_is_confirmed(house: Tenant) -> None:
    policy = SessionPolicy.objects.get(tenant=house)
    with pytest.raises(ValidationError) as refused:
        tenants.update_policy(policy=policy, mfa_mode="always", context=SYSTEM)
    assert TEXT in refused.value.message_dict["mfa_mode"][0]
    policy.refresh_from_db()
    assert policy.mfa_mode == "never"
    tenants.update_policy(policy=policy, mfa_mode="always", accept_lockout=True, context=SYSTEM)
    policy.refresh_from_db()
    assert policy.mfa_mode == "always"


@pytest.mark.security("S50")
def test_always_for_an_application_counts_those_who_may_use_it(house: Tenant) -> None:
    application = make_application(house, access="assigned")
    make_account(User.objects.get(email="unproved@example.org"), application)
    with pytest.raises(ValidationError) as refused:
        applications.update(application=application, mfa_mode="always", context=SYSTEM)
    assert "1 of 1 people" in refused.value.message_dict["mfa_mode"][0]
    applications.update(application=application, mfa_mode="always", accept_lockout=True, context=SYSTEM)
    with pytest.raises(ValidationError) as refused:
        applications.create(tenant=house, code="open", mfa_mode="always", context=SYSTEM)
    assert TEXT in refused.value.message_dict["mfa_mode"][0]


@pytest.mark.security("S50")
def test_if_enrolled_locks_nobody_out(house: Tenant) -> None:
    policy = SessionPolicy.objects.get(tenant=house)
    tenants.update_policy(policy=policy, mfa_mode="if_enrolled", context=SYSTEM)
    applications.create(tenant=house, code="wiki", mfa_mode="if_enrolled", context=SYSTEM)
    policy.refresh_from_db()
    assert policy.mfa_mode == "if_enrolled"


def test_who_has_an_authenticator_app_is_not_counted(house: Tenant) -> None:
    User.objects.filter(tenant=house, email="unproved@example.org").update(factor_kinds="totp")
    assert lockouts.count(tenant=house) == lockouts.Lockout(people=1, of=3)


@pytest.mark.security("S50")
@pytest.mark.parametrize(
    ("mode", "kinds", "out"),
    [
        ("always", "totp", 1),  # whose mailbox was the factor
        ("if_enrolled", "passkey", 1),  # whose app was
        ("if_enrolled", "totp", 0),
        ("always", "email totp", 0),
        ("never", "passkey", 0),
    ],
)
def test_fewer_kinds_tell_of_those_who_would_have_none_left(house: Tenant, mode: str, kinds: str, out: int) -> None:
    User.objects.filter(tenant=house, email="unproved@example.org").update(factor_kinds="totp recovery_code")
    policy = SessionPolicy.objects.get(tenant=house)
    tenants.update_policy(policy=policy, mfa_mode=mode, accept_lockout=True, context=SYSTEM)
    if not out:
        tenants.update_policy(policy=policy, factors_allowed=kinds, context=SYSTEM)
        return
    with pytest.raises(ValidationError) as refused:
        tenants.update_policy(policy=policy, factors_allowed=kinds, context=SYSTEM)
    assert f"{out} of 3 people" in refused.value.message_dict["factors_allowed"][0]
    policy.refresh_from_db()
    assert policy.factors_allowed == ""
    tenants.update_policy(policy=policy, factors_allowed=kinds, accept_lockout=True, context=SYSTEM)


@pytest.mark.security("S50")
@pytest.mark.parametrize("is_of_application", [False, True])
def test_where_only_a_passkey_will_do_everybody_is_counted_who_may_have_none(
    house: Tenant, is_of_application: bool
) -> None:
    User.objects.filter(tenant=house, email="unproved@example.org").update(factor_kinds="passkey totp")
    policy = SessionPolicy.objects.get(tenant=house)
    if is_of_application:
        make_application(house, mfa_mode="phishing_resistant")
    else:
        tenants.update_policy(policy=policy, mfa_mode="phishing_resistant", accept_lockout=True, context=SYSTEM)
    with pytest.raises(ValidationError) as refused:
        tenants.update_policy(policy=policy, factors_allowed="totp", context=SYSTEM)
    assert "3 of 3 people would be kept out" in refused.value.message_dict["factors_allowed"][0]


@pytest.mark.security("S50")
def test_passkeys_are_not_demanded_where_they_are_not_taken(house: Tenant) -> None:
    User.objects.filter(tenant=house).update(factor_kinds="passkey totp")
    policy = SessionPolicy.objects.get(tenant=house)
    tenants.update_policy(policy=policy, factors_allowed="totp", context=SYSTEM)
    with pytest.raises(ValidationError) as refused:
        tenants.update_policy(policy=policy, mfa_mode="phishing_resistant", context=SYSTEM)
    assert "3 of 3 people would be kept out" in refused.value.message_dict["mfa_mode"][0]


@pytest.mark.security("S50")
def test_kinds_that_are_not_taken_are_no_second_factor(house: Tenant) -> None:
    policy = SessionPolicy.objects.get(tenant=house)
    tenants.update_policy(policy=policy, factors_allowed="totp", context=SYSTEM)
    with pytest.raises(ValidationError) as refused:
        tenants.update_policy(policy=policy, mfa_mode="always", context=SYSTEM)
    assert "3 of 3 people" in refused.value.message_dict["mfa_mode"][0]


@pytest.mark.security("S50")
def test_a_demand_on_operators_tells_how_many_have_no_factor_of_their_own(house: Tenant) -> None:
    make_operator(house, email="operator@example.org", email_verified=True)
    make_operator(house, factor_kinds="passkey")
    policy = SessionPolicy.objects.get(tenant=house)
    with pytest.raises(ValidationError) as refused:
        tenants.update_policy(policy=policy, operators_need_own_factor=True, context=SYSTEM)
    assert "1 of 2 operators" in refused.value.message_dict["operators_need_own_factor"][0]
    tenants.update_policy(policy=policy, operators_need_own_factor=True, accept_lockout=True, context=SYSTEM)


@pytest.mark.security("S50")
def test_the_forms_of_a_tenant_and_an_application_ask_before_they_lock_anybody_out(tenant: Tenant) -> None:
    console = Console()
    policies = console.page(console.tenant)
    application = next(row for row in console.rows if row._meta.model_name == "application")
    # The tenant's comes last: the operator here has no second factor either.
    for page, prefix in ((console.page(application), ""), (policies, "session_policy-0-")):
        data: dict[str, Any] = {**console.form(page), f"{prefix}mfa_mode": "always"}
        shown = console.browser.post(page, data)
        assert shown.status_code == 200
        assert "an app lets them in no more" in shown.content.decode()
        assert console.browser.post(page, {**data, f"{prefix}accept_lockout": "on"}).status_code == 302
        assert '<option value="if_enrolled"' in shown.content.decode()
    assert SessionPolicy.objects.get(tenant=tenant).mfa_mode == "always"
    application.refresh_from_db()
    assert application.mfa_mode == "always"


@pytest.mark.security("S50")
def test_the_form_of_a_tenant_asks_before_it_takes_the_password_from_anybody(tenant: Tenant) -> None:
    console = Console()
    page, prefix = console.page(console.tenant), "session_policy-0-"
    data: dict[str, Any] = {**console.form(page), f"{prefix}sign_in_by_email": "on"}
    del data[f"{prefix}sign_in_by_password"]
    shown = console.browser.post(page, data)
    assert (shown.status_code, "could not sign in any more" in shown.content.decode()) == (200, True)
    assert SessionPolicy.objects.get(tenant=tenant).sign_in_by_password
    assert console.browser.post(page, {**data, f"{prefix}accept_lockout": "on"}).status_code == 302
    assert not SessionPolicy.objects.get(tenant=tenant).sign_in_by_password


def test_a_tenant_without_people_without_a_factor_is_asked_nothing(db: None) -> None:
    policy = SessionPolicy.objects.get(tenant=make_tenant())
    tenants.update_policy(policy=policy, mfa_mode="always", context=SYSTEM)

"""Whatever stands in a column that requests read, no page fails: the bad value is replaced, and named (S50)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.apps import apps
from django.core import checks
from django.core.exceptions import ValidationError
from django.db import DatabaseError, models, transaction
from django.db.models import F
from django.test import Client as Browser
from django.urls import reverse

from cas_saml.models import CASService, ServiceProvider
from identity import assurance, copies
from identity.context import SYSTEM
from identity.directory import tenants
from identity.models import (
    Application,
    AppRole,
    MessagePolicy,
    MessageTemplate,
    PasswordPolicy,
    SessionPolicy,
    SSOSession,
    Tenant,
    TenantDomain,
    User,
    reading,
)
from identity.models.reading import ReadSafely
from identity.sso import access
from oidc_provider.models import ApiScope, Client, HostApplication
from tests.admin.conftest import fill, operator_of, sign_in
from tests.admin.console import SECRETS
from tests.factories import PASSWORD, make_application, make_operator, make_tenant, make_user
from tests.factories.cas import make_ticket
from tests.pages.conftest import transaction_of
from tests.support.machine import Machine
from tests.support.oidc_fixtures import forget_everything

READ_SAFELY = [model for model in apps.get_models() if issubclass(model, ReadSafely)]
# Rows that operators write too, and whose columns are texts that are only shown or compared.
_NUMBERS = (models.PositiveIntegerField, models.PositiveSmallIntegerField)
OTHERS = [TenantDomain, MessageTemplate, AppRole, ApiScope]


def forget() -> None:
    forget_everything()
    copies.clear()
    copies.clear()


def nonsense(field: models.Field[Any, Any]) -> list[Any]:
    """Values that no operator means, of those that the column can hold."""
    if isinstance(field, models.BooleanField | models.DateTimeField | models.DateField) or field.is_relation:
        return []
    if isinstance(field, models.JSONField):
        return [5, "text", [5], {"a": 5}, ""]
    if isinstance(field, models.IntegerField):
        return [0, 32_767 if "Small" in type(field).__name__ else 2**31 - 1]
    return ["Mars/Phobos"[: field.max_length or None], ""]


def written_by_operators(model: type[models.Model]) -> Iterator[models.Field[Any, Any]]:
    for field in model._meta.concrete_fields:
        if field.editable and not field.primary_key and field.name != "public_id":
            yield field


class House:
    """A tenant with a row of everything, and requests to every part of it."""

    def __init__(self) -> None:
        self.tenant = make_tenant()
        self.rows = fill(self.tenant, SECRETS)
        self.user = User.objects.get(user_name=f"person-of-{self.tenant.code}")
        self.console = sign_in(make_operator(self.tenant, is_superuser=True))
        self.console.raise_request_exception = False
        self.person = sign_in(self.user)
        self.person.raise_request_exception = False
        self.machine = Machine(self.row(Client), self.user)
        self.machine.http.raise_request_exception = False

    def row(self, model: type[models.Model]) -> Any:
        found = model._default_manager.filter(pk__in=[row.pk for row in self.rows if isinstance(row, model)])
        if model in (PasswordPolicy, SessionPolicy, MessagePolicy, TenantDomain):
            found = model._default_manager.filter(tenant=self.tenant)
        return found.get() if model is not Tenant else Tenant.objects.get(pk=self.tenant.pk)

    def console_page(self, row: models.Model) -> Any:
        """The answer of the page that changes the row."""
        label, name = row._meta.app_label, row._meta.model_name
        if name in ("passwordpolicy", "sessionpolicy", "messagepolicy", "tenantdomain"):
            label, name, row = "identity", "tenant", self.tenant
        return self.console.get(reverse(f"admin:{label}_{name}_change", args=[row.pk]))

    def requests(self, row: models.Model) -> Iterator[tuple[str, Callable[[], Any]]]:
        """The name of a request and how to make it."""
        label, name = row._meta.app_label, row._meta.model_name
        stranger = Browser(headers={"host": self.machine.host})
        stranger.raise_request_exception = False
        if label == "identity":
            yield "/account", lambda: self.person.get("/account")
            yield "/login", lambda: stranger.get("/login")
            yield "/forgot-password", lambda: stranger.get("/forgot-password")
        if label == "oidc_provider" or name in ("tenant", "application"):
            yield from self.oidc(stranger)
        if label == "cas_saml" or name in ("tenant", "application"):
            yield from self.cas_and_saml(stranger)

    def oidc(self, stranger: Browser) -> Iterator[tuple[str, Callable[[], Any]]]:
        client = Client.objects.get(pk=self.machine.client.pk)
        query = {
            "client_id": client.client_id, "redirect_uri": "https://client.example/callback", "response_type": "code",
            "scope": "openid", "code_challenge": "x" * 43, "code_challenge_method": "S256", "state": "s",
        }  # fmt: skip
        yield "discovery", lambda: stranger.get("/.well-known/openid-configuration")
        yield "authorize", lambda: stranger.get("/oauth2/authorize", query)
        yield "authorize, signed in", lambda: self.person.get("/oauth2/authorize", query)
        yield "token", lambda: self.machine.token(grant_type="client_credentials")
        yield "preflight", lambda: stranger.options("/oauth2/token", headers={"origin": "https://spa.example"})
        yield "logout", lambda: self.person.get("/oauth2/logout", {"post_logout_redirect_uri": "https://x.example/"})

    def cas_and_saml(self, stranger: Browser) -> Iterator[tuple[str, Callable[[], Any]]]:
        service, provider = CASService.objects.get(), ServiceProvider.objects.get()
        session = SSOSession.objects.filter(user=self.user, ended_at=None).latest("pk")
        ticket = make_ticket(service, session) if service.url.startswith("https://") else "ST-1"
        query = {"service": service.url, "ticket": ticket}
        yield "CAS login", lambda: self.person.get("/api/v1/cas/login", {"service": service.url})
        yield "CAS validation", lambda: stranger.get("/api/v1/cas/p3/serviceValidate", query)
        yield "SAML metadata", lambda: stranger.get("/api/v1/saml2/idp/metadata")
        yield "SAML sign-on", lambda: self.person.get("/api/v1/saml2/idp/sso", {"sp": provider.entity_id})


@pytest.mark.security("S50")
@pytest.mark.parametrize("model", [*READ_SAFELY, *OTHERS], ids=lambda model: model._meta.label_lower)
def test_nonsense_in_a_column_fails_no_request(model: type[models.Model], db: None) -> None:
    logging.disable(logging.CRITICAL)
    house = House()
    row, failed, tried = house.row(model), [], 0
    stored = model._default_manager.filter(pk=row.pk)
    for field in written_by_operators(model):
        before = stored.values_list(field.attname, flat=True).get()
        for value in nonsense(field):
            try:
                with transaction.atomic():
                    stored.update(**{field.attname: value})
            except DatabaseError:
                continue  # the database promises that it is not there
            forget()
            for name, make in house.requests(row):
                tried += 1
                if make().status_code >= 500:
                    failed.append((field.name, value, name))
        stored.update(**{field.attname: before})
    logging.disable(logging.NOTSET)
    assert failed == []
    assert tried


@pytest.mark.security("S50")
@pytest.mark.parametrize("model", [*READ_SAFELY, *OTHERS], ids=lambda model: model._meta.label_lower)
def test_nonsense_in_all_columns_fails_no_page_of_the_console(model: type[models.Model], db: None) -> None:
    logging.disable(logging.CRITICAL)
    house = House()
    row, answers = house.row(model), []
    stored = model._default_manager.filter(pk=row.pk)
    values = {field.attname: nonsense(field) for field in written_by_operators(model)}
    for number in range(max(map(len, values.values()))):
        for column, wrong in values.items():
            with suppress(DatabaseError), transaction.atomic():  # where the database promises that it is not there
                stored.update(**{column: wrong[number % len(wrong)] if wrong else F(column)})
        forget()
        answers.append(house.console_page(row).status_code)
    logging.disable(logging.NOTSET)
    assert answers
    assert max(answers) < 500


@pytest.mark.security("S50")
def test_a_bad_time_zone_is_read_as_the_default_logged_once_and_listed(
    db: None, caplog: pytest.LogCaptureFixture
) -> None:
    reading._said.clear()  # of other tests, whose rows had the same keys
    tenant = make_tenant()
    Tenant.objects.filter(pk=tenant.pk).update(time_zone="Mars/Phobos", language="klingon")
    SessionPolicy.objects.filter(tenant=tenant).update(idle_seconds=0)
    for _time in range(2):
        read = Tenant.objects.select_related("session_policy").get(pk=tenant.pk)
        assert (read.time_zone, read.language, read.session_policy.idle_seconds) == ("Asia/Shanghai", "en", 8 * 3600)
    said = [record for record in caplog.records if record.msg == "row.unusable_value"]
    assert sorted(record.column for record in said if record.row in (tenant.pk, read.session_policy.pk)) == [
        "idle_seconds", "language", "time_zone",
    ]  # fmt: skip
    found = [message for message in checks.run_checks(databases=["default"]) if message.id == "identity.W102"]
    assert {message.msg.partition(": the stored ")[2].split()[0] for message in found} == {
        "language", "time_zone", "idle_seconds",
    }  # fmt: skip


@pytest.mark.security("S50")
def test_with_nonsense_in_its_policies_a_tenant_still_signs_people_in(db: None) -> None:
    tenant = make_tenant()
    user = make_user(tenant)
    SessionPolicy.objects.filter(tenant=tenant).update(idle_seconds=0, lifetime_seconds=0)
    PasswordPolicy.objects.filter(tenant=tenant).update(max_failures=0, max_failures_per_source=0, lock_seconds=0)
    forget()
    browser = Browser(headers={"host": tenant.domains.get().host})
    handle = transaction_of(browser.get("/login"))
    form = {"identifier": user.user_name, "password": PASSWORD, "transaction": handle}
    assert browser.post("/login", form).status_code == 302
    assert browser.get("/account").status_code == 200


@pytest.mark.security("S28", "S50")
@pytest.mark.parametrize("of", [SessionPolicy, Application])
def test_a_rule_for_two_factors_that_cannot_be_read_asks_everybody(
    db: None, of: type[models.Model], caplog: pytest.LogCaptureFixture
) -> None:
    """One factor is not enough by a slip of whoever wrote the row, or of a release that knows more rules."""
    reading._said.clear()
    tenant = make_tenant()
    application = make_application(tenant)
    able, unable = make_user(tenant, email="a@example.org", email_verified=True), make_user(tenant)
    assert access.required_level(user=able, application=application) == ""
    of._default_manager.filter(tenant=tenant).update(mfa_mode="Sometimes")
    forget()
    read = Application.objects.get(pk=application.pk)
    read.tenant = able.tenant = unable.tenant = Tenant.objects.select_related("session_policy").get(pk=tenant.pk)
    for user in (able, unable):
        assert access.required_level(user=user, application=read) == assurance.MULTI_FACTOR
    assert [(record.table, record.column) for record in caplog.records if record.msg == "row.unusable_value"] == [
        (of._meta.db_table, "mfa_mode")
    ]
    # Whoever can answer comes in, as where the rule is "always"; whoever cannot sets a factor up first.
    if of is SessionPolicy:
        answers = {}
        for user in (able, unable):
            browser = Browser(headers={"host": tenant.domains.get().host})
            form = {"identifier": user.user_name, "password": PASSWORD}
            answer = browser.post("/login", {**form, "transaction": transaction_of(browser.get("/login"))}, follow=True)
            answers[user] = re.findall(r"<h1>(.+?)</h1>", answer.content.decode())
        assert answers == {able: ["Enter your code"], unable: ["Set up a second step"]}


@pytest.mark.security("S50")
@pytest.mark.parametrize(
    "values",
    [
        {"time_zone": "Mars/Phobos"},
        {"time_zone": "Asia"},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": ""},
        {"language": "klingon"},
        {"language": ""},
        {"logo_url": "javascript:alert(1)"},
        {"logo_url": "logo.svg"},
    ],
)
def test_no_service_writes_a_value_that_pages_cannot_use(db: None, values: dict[str, Any]) -> None:
    tenant = make_tenant()
    with pytest.raises(ValidationError) as refused:
        tenants.update(tenant=tenant, context=SYSTEM, **values)
    assert list(refused.value.message_dict) == list(values)
    with pytest.raises(ValidationError):
        tenants.create(code="other", context=SYSTEM, **values)


@pytest.mark.security("S50")
@pytest.mark.parametrize("policy", [PasswordPolicy, SessionPolicy, MessagePolicy])
def test_every_number_of_a_policy_has_bounds_that_the_service_holds(db: None, policy: type[models.Model]) -> None:
    row = policy._default_manager.get(tenant=make_tenant())
    numbers = [field for field in policy._meta.concrete_fields if isinstance(field, _NUMBERS)]
    assert numbers
    for field in numbers:
        for value in (-1, 2**31):
            with pytest.raises(ValidationError) as refused:
                tenants.update_policy(policy=row, context=SYSTEM, **{field.name: value})
            assert field.name in refused.value.message_dict
            row.refresh_from_db()
    seconds = [field.name for field in numbers if "seconds" in field.name]
    for name in seconds:
        with pytest.raises(ValidationError):
            tenants.update_policy(policy=row, context=SYSTEM, **{name: 0})
        row.refresh_from_db()


def test_a_bad_value_is_mended_by_the_service_and_its_audit_says_what_it_was(db: None) -> None:
    tenant = make_tenant()
    Tenant.objects.filter(pk=tenant.pk).update(time_zone="Mars/Phobos")
    changes = tenants.update(tenant=Tenant.objects.get(pk=tenant.pk), time_zone="Asia/Shanghai", context=SYSTEM)
    assert changes == {"time_zone": ["Mars/Phobos", "Asia/Shanghai"]}
    assert Tenant.objects.filter(pk=tenant.pk).values_list("time_zone", flat=True).get() == "Asia/Shanghai"


def test_a_slip_in_what_gives_rights_gives_none(db: None) -> None:
    application = make_application(make_tenant())
    type(application).objects.filter(pk=application.pk).update(access="Everyone")
    application.refresh_from_db()
    assert application.access == "assigned"


@pytest.mark.security("S50")
@pytest.mark.parametrize("stored", ["", {}, 5, ["everywhere"]])
def test_networks_that_are_none_are_nobodys_and_not_everybodys(db: None, stored: Any) -> None:
    tenant = make_tenant()
    host = next(row for row in fill(tenant, SECRETS) if isinstance(row, HostApplication))
    HostApplication.objects.filter(pk=host.pk).update(networks=stored)
    host.refresh_from_db()
    assert host.networks == ["0.0.0.0/32"]


def test_the_form_offers_time_zones_and_languages_to_choose_from(tenant: Tenant) -> None:
    page = sign_in(operator_of(tenant)).get(reverse("admin:identity_tenant_change", args=[tenant.pk])).content.decode()
    assert '<option value="Asia/Tokyo"' in page
    assert '<option value="zh-hans"' in page

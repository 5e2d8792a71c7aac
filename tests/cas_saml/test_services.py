"""Registering CAS services: in the admin, by file, and the rules of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.urls import reverse

from cas_saml.cas import services
from cas_saml.conf import current
from cas_saml.models import CASService
from identity.models import AuditEvent, Tenant
from tests.factories import make_application, make_tenant
from tests.factories.cas import make_cas_service

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


def find(url: str, tenant: Tenant) -> CASService | None:
    return services.find(url, tenant=tenant)


def test_an_exact_service_comes_before_a_path_and_a_longer_path_before_a_shorter(tenant: Tenant) -> None:
    root, wiki, page = (
        make_cas_service(tenant=tenant, url=f"https://a.example/{path}", match=match)
        for path, match in (("", "prefix"), ("wiki/", "prefix"), ("wiki/home", "exact"))
    )
    assert find("https://a.example/wiki/home", tenant) == page
    assert find("https://a.example/wiki/home?x", tenant) == wiki
    assert find("https://a.example/wiki", tenant) == wiki
    assert find("https://a.example/other", tenant) == root
    assert find("https://a.example/other", make_tenant()) is None
    page.is_active = False
    page.save()
    assert find("https://a.example/wiki/home", tenant) == wiki


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"url": "http://a.example/"}, "url"),
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": "https://u@a.example/"}, "url"),
        ({"url": "https://a.example/../x"}, "url"),
        ({"url": ""}, "url"),
        ({"url": "https://a.example/?x", "match": "prefix"}, "url"),
        ({"match": "regex"}, "match"),
        ({"ticket_lifetime_seconds": 0}, "ticket_lifetime_seconds"),
        ({"ticket_lifetime_seconds": 301}, "ticket_lifetime_seconds"),
        ({"logout_url": "http://a.example/"}, "logout_url"),
        ({"logout_url": "https://10.0.0.1/"}, "logout_url"),
        ({"attributes": []}, "attributes"),
        ({"attributes": {"a b": "email"}}, "attributes"),
        ({"attributes": {"isFromNewLogin": "email"}}, "attributes"),
        ({"attributes": {"mail": "mail"}}, "attributes"),
        ({"attributes": {"mail": ["email"]}}, "attributes"),
        ({"attributes": {"mail": "attribute:"}}, "attributes"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(tenant: Tenant, values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_cas_service(tenant=tenant, **{"url": "https://a.example/", **values})
    assert set(caught.value.message_dict) == {field}


def test_an_address_belongs_to_one_service_of_a_tenant(tenant: Tenant) -> None:
    make_cas_service(tenant=tenant, url="https://a.example/")
    with pytest.raises(ValidationError, match="Another CAS service has it"):
        make_cas_service(tenant=tenant, url="https://a.example/")
    make_cas_service(tenant=make_tenant(), url="https://a.example/")


def test_a_loopback_address_is_taken_in_development(tenant: Tenant, settings: Any) -> None:
    settings.IDENTITY = {**settings.IDENTITY, "debug": True}
    for url in ("http://127.0.0.1:5000/", "http://localhost:5000/x", "http://[::1]/"):
        make_cas_service(tenant=tenant, url=url)
    with pytest.raises(ValidationError):
        make_cas_service(tenant=tenant, url="http://127.0.0.1.example/")


# By file ---------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def apply(**service: Any) -> str:
        document = {
            "tenant": "acme",
            "applications": [{"code": "wiki", "cas_services": [{"url": "https://wiki.example/", **service}]}],
        }
        file = tmp_path / "config.yaml"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        call_command("apply_config", str(file))
        return capsys.readouterr().out

    return apply


def test_a_file_makes_a_service_changes_it_and_does_it_once(run: Any) -> None:
    values = {
        "match": "prefix",
        "ticket_lifetime_seconds": 60,
        "attributes": {"mail": "email"},
        "single_logout": False,
        "logout_url": "https://wiki.example/notice",
        "enabled": True,
    }
    assert "+ application wiki CAS service https://wiki.example/\n" in run(**values)
    row = CASService.objects.get()
    assert {name: getattr(row, name) for name in values if name != "enabled"} == {
        name: value for name, value in values.items() if name != "enabled"
    }
    assert (row.is_active, row.origin, row.tenant.code) == (True, "https://wiki.example", "acme")
    assert "CAS service" not in run(**values)
    assert "single_logout: False -> True" in run(single_logout=True)
    events = AuditEvent.objects.filter(target_type="casservice", target_id=row.public_id)
    assert [event.changes.get("single_logout") for event in events.order_by("pk")] == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"url": "http://wiki.example/"}, "applications[0].cas_services[0].url: It is not https."),
        ({"pattern": ".*"}, "applications[0].cas_services[0].pattern: is not known here."),
        ({"attributes": {"x": "y"}}, "applications[0].cas_services[0].attributes: x: unknown source."),
        ({"single_logout": "maybe"}, "applications[0].cas_services[0].single_logout: "),
    ],
)
def test_what_a_file_cannot_say_is_refused_with_its_place(run: Any, values: dict[str, Any], refusal: str) -> None:
    with pytest.raises(CommandError) as caught:
        run(**values)
    assert str(caught.value).startswith(refusal)
    assert not CASService.objects.exists()


def test_the_settings_are_judged(settings: Any) -> None:
    from datetime import timedelta

    from cas_saml.checks import check_settings

    assert check_settings(None) == []
    settings.CAS_SAML = {"ticket_lifetime": 1}
    assert [message.id for message in check_settings(None)] == ["cas_saml.E001"]
    settings.CAS_SAML = {"service_ticket_lifetime": timedelta(0)}
    assert [message.id for message in check_settings(None)] == ["cas_saml.E002"]
    settings.CAS_SAML = {"service_ticket_lifetime": timedelta(minutes=6)}
    assert [message.id for message in check_settings(None)] == ["cas_saml.E003"]
    settings.CAS_SAML = {"max_service_ticket_lifetime": timedelta(minutes=6)}
    assert [message.id for message in check_settings(None)] == ["cas_saml.E004"]
    assert current().max_service_ticket_lifetime == timedelta(minutes=6)
    settings.CAS_SAML = {"saml_message_memory": timedelta(hours=2)}
    assert [message.id for message in check_settings(None)] == ["cas_saml.E005"]
    settings.CAS_SAML = {"saml_assertion_lifetime": timedelta(minutes=6)}
    assert [message.id for message in check_settings(None)] == ["cas_saml.E006"]


# In the admin ----------------------------------------------------------------------------------------------


def test_an_operator_registers_a_service_and_is_told_how_to_connect(tenant: Tenant) -> None:
    from tests.admin.conftest import operator_of, sign_in

    browser = sign_in(operator_of(tenant))
    application = make_application(tenant)
    data = {
        "application": application.pk,
        "url": "https://wiki.example/",
        "match": "prefix",
        "attributes": '{"mail": "email"}',
        "single_logout": "on",
        "is_active": "on",
    }
    add = reverse("admin:cas_saml_casservice_add")
    refused = browser.post(add, {**data, "url": "http://wiki.example/"})
    assert refused.status_code == 200
    assert "It is not https." in refused.content.decode()
    assert browser.post(add, data).status_code == 302
    row = CASService.objects.get()
    assert (row.tenant, row.application, row.origin) == (tenant, application, "https://wiki.example")
    page = browser.get(reverse("admin:cas_saml_casservice_change", args=[row.pk])).content.decode()
    host = tenant.domains.get().host
    for shown in (
        f"https://{host}/api/v1/cas/",
        "CAS_SERVER_URL",
        "CASValidateURL",
        "casServerUrlPrefix",
        "employee_id",
    ):
        assert shown in page
    assert AuditEvent.objects.filter(target_type="casservice", event_type="admin:change").count() == 1
    # The same address again is refused at its field, not by the database.
    again = browser.post(add, data)
    assert "Another CAS service has it." in again.content.decode()


@pytest.mark.security("S36")
def test_an_operator_registers_nothing_for_an_application_of_another_tenant(tenant: Tenant) -> None:
    from tests.admin.conftest import operator_of, sign_in

    browser = sign_in(operator_of(tenant))
    data = {"application": make_application().pk, "url": "https://wiki.example/", "match": "exact", "attributes": "{}"}
    assert browser.post(reverse("admin:cas_saml_casservice_add"), data).status_code == 200
    assert not CASService.objects.exists()

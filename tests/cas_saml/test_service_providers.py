"""Registering SAML service providers: in the admin, by file, and what is refused."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from cas_saml.models import PersistentName, SAMLSession, ServiceProvider
from cas_saml.saml import certificates, registration, requested_attributes
from identity.configuration.files import apply_documents
from identity.configuration.shapes import ConfigError
from identity.context import SYSTEM
from identity.models import AuditEvent, Tenant, User
from tests.admin.conftest import operator_of, sign_in
from tests.factories import make_application, make_tenant, make_user
from tests.factories.saml import make_saml_keys, make_service_provider, pem, provider_credential
from tests.support.saml_metadata import ACS, described, key

pytestmark = pytest.mark.django_db


# What is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"entity_id": "https://sp.example/ x"}, "entity_id"),
        ({"entity_id": "https://sp.example/門"}, "entity_id"),
        ({"assertion_consumer_services": []}, "assertion_consumer_services"),
        ({"assertion_consumer_services": [{"location": "http://sp.example/"}]}, "assertion_consumer_services"),
        ({"assertion_consumer_services": [{"location": "javascript:alert(1)"}]}, "assertion_consumer_services"),
        ({"assertion_consumer_services": [{"location": "https://u@sp.example/"}]}, "assertion_consumer_services"),
        ({"assertion_consumer_services": [{"location": "https://sp.example/#a"}]}, "assertion_consumer_services"),
        ({"assertion_consumer_services": [{"location": "https://sp.example/../a"}]}, "assertion_consumer_services"),
        (
            {"assertion_consumer_services": [{"index": 70000, "location": "https://a.b/"}]},
            "assertion_consumer_services",
        ),
        ({"assertion_consumer_services": [{"index": True, "location": "https://a.b/"}]}, "assertion_consumer_services"),
        ({"assertion_consumer_services": [{"location": "https://a.b/", "url": 1}]}, "assertion_consumer_services"),
        (
            {"assertion_consumer_services": [{"location": "https://a.b/", "index": 1}] * 2},
            "assertion_consumer_services",
        ),
        ({"assertion_consumer_services": "https://a.b/"}, "assertion_consumer_services"),
        ({"single_logout_services": [{"binding": "paos", "location": "https://a.b/"}]}, "single_logout_services"),
        ({"single_logout_services": [{"binding": "soap", "location": "https://10.0.0.1/"}]}, "single_logout_services"),
        ({"single_logout_services": [{"binding": "post", "location": 1}]}, "single_logout_services"),
        ({"single_logout_services": [{"binding": "post", "location": "https://a.b/"}] * 2}, "single_logout_services"),
        ({"signing_certificates": ["nonsense"]}, "signing_certificates"),
        ({"signing_certificates": "nonsense"}, "signing_certificates"),
        ({"signing_certificates": [], "requests_must_be_signed": True}, "signing_certificates"),
        ({"encrypt_assertions": True}, "encryption_certificate"),
        ({"sign_response": False, "sign_assertion": False}, "sign_assertion"),
        ({"signature_algorithm": "rsa-sha1"}, "signature_algorithm"),
        ({"name_id_formats": []}, "name_id_formats"),
        ({"name_id_formats": ["kerberos"]}, "name_id_formats"),
        ({"name_id_formats": ["persistent", "persistent"]}, "name_id_formats"),
        ({"name_id_source": "password"}, "name_id_source"),
        ({"attributes": {"mail": "no such source"}}, "attributes"),
        ({"attributes": {"a b": "email"}}, "attributes"),
        ({"default_relay_state": "門" * 27}, "default_relay_state"),
    ],
)
def test_a_registration_that_cannot_be(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_service_provider(**values)
    assert list(caught.value.message_dict) == [field]


def test_an_elliptic_key_signs_and_does_not_encrypt() -> None:
    elliptic = certificates.to_pem(provider_credential(9, "ES256").certificate)
    assert make_service_provider(signing_certificates=[elliptic]).pk
    with pytest.raises(ValidationError, match="RSA"):
        make_service_provider(encryption_certificate=elliptic)


def test_an_entity_id_is_one_providers_in_a_tenant() -> None:
    first = make_service_provider()
    make_service_provider(entity_id=first.entity_id)  # of another tenant
    with pytest.raises(ValidationError, match="Another"):
        make_service_provider(make_application(first.tenant), entity_id=first.entity_id)


@pytest.mark.security("S37")
def test_a_change_cannot_touch_what_a_provider_is() -> None:
    provider = make_service_provider()
    for name in ("entity_id", "application", "tenant", "public_id"):
        with pytest.raises(ValidationError, match=name):
            registration.update(provider, context=SYSTEM, **{name: "x"})


# By file ---------------------------------------------------------------------------------------------------


def apply(entry: dict[str, Any], tmp_path: Path) -> list[str]:
    document = {"tenant": "default", "applications": [{"code": "wiki", "saml_service_providers": [entry]}]}
    return [line for change in apply_documents([document], base_dir=tmp_path) for line in change.lines()]


def test_a_file_registers_a_provider_by_its_metadata(tmp_path: Path) -> None:
    (tmp_path / "sp.xml").write_text(described(key(), ACS, role=' AuthnRequestsSigned="1"'), encoding="utf-8")
    entry = {"metadata": {"file": "sp.xml"}, "attributes": {"urn:oid:2.5.4.42": "first_name"}}
    assert "+ application wiki SAML service provider https://sp.example" in apply(entry, tmp_path)
    provider = ServiceProvider.objects.get()
    assert (provider.entity_id, provider.requests_must_be_signed) == ("https://sp.example", True)
    assert provider.signing_certificates == [pem()]
    assert apply(entry, tmp_path) == []
    # What the file does not say stays; its addresses and keys follow it.
    ServiceProvider.objects.update(requests_must_be_signed=False)
    (tmp_path / "sp.xml").write_text(described(key(number=1), ACS.replace("/acs", "/new")), encoding="utf-8")
    changed = "\n".join(apply(entry, tmp_path))
    assert "assertion_consumer_services" in changed
    assert "signing_certificates" in changed
    assert "requests_must_be_signed" not in changed
    event = AuditEvent.objects.filter(event_type="admin:change").latest("pk")
    assert event.actor_type == "system"
    assert "assertion_consumer_services" in event.changes


def test_a_file_registers_a_provider_by_hand(tmp_path: Path) -> None:
    (tmp_path / "sp.pem").write_text(pem(), encoding="utf-8")
    entry = {
        "entity_id": "https://sp.example",
        "assertion_consumer_services": [{"location": "https://sp.example/acs"}],
        "single_logout_services": [{"binding": "redirect", "location": "https://sp.example/slo"}],
        "signing_certificates": [{"file": "sp.pem"}],
        "encryption_certificate": {"file": "sp.pem"},
        "encrypt_assertions": True,
        "name_id_formats": ["persistent"],
        "enabled": False,
    }
    assert apply(entry, tmp_path)
    assert apply(entry, tmp_path) == []
    assert ServiceProvider.objects.get().is_active is False


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({}, r"saml_service_providers\[0\]\.entity_id: is missing"),
        ({"metadata": "<x/>"}, r"saml_service_providers\[0\]: It is no SAML 2.0 metadata"),
        ({"metadata": {"file": "none.xml"}}, r"metadata\.file: cannot be read"),
        ({"metadata": 1}, r"metadata: is neither a text nor"),
        ({"entity_id": "a", "acs": "x"}, r"saml_service_providers\[0\]\.acs: is not known here"),
        ({"entity_id": "a"}, r"assertion_consumer_services: There is no address"),
        ({"entity_id": "a", "signing_certificates": "x"}, r"signing_certificates: is not a list"),
    ],
)
def test_a_file_that_cannot_be_applied_names_the_place(entry: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told):
        apply(entry, tmp_path)
    assert not Tenant.objects.exists()


# In the admin ----------------------------------------------------------------------------------------------


@pytest.fixture
def tenant() -> Tenant:
    tenant = make_tenant()
    make_saml_keys(tenant)
    return tenant


@pytest.fixture
def operator(tenant: Tenant) -> User:
    return operator_of(tenant)


@pytest.fixture
def browser(operator: User) -> Browser:
    return sign_in(operator)


ADD = "admin:cas_saml_serviceprovider_add"


def change_url(provider: ServiceProvider, name: str = "") -> str:
    url = reverse("admin:cas_saml_serviceprovider_change", args=[provider.pk])
    return f"{url.removesuffix('change/')}{name}/" if name else url


def form_of(browser: Browser, url: str) -> dict[str, Any]:
    """What the page's form would send as it is."""
    form = browser.get(url).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return {name: "" if value is None else value for name, value in values.items() if value is not False}


def errors(response: Any) -> str:
    return (
        " ".join(re.findall(r"errorlist.*?</ul>", response.content.decode(), re.S)) or response.content.decode()[:500]
    )


@pytest.mark.parametrize("as_file", [False, True])
def test_an_operator_imports_metadata(browser: Browser, tenant: Tenant, operator: User, as_file: bool) -> None:
    application = make_application(tenant)
    text = described(key(), ACS)
    given: dict[str, Any] = {"metadata_text": text}
    if as_file:
        given = {"metadata_file": SimpleUploadedFile("sp.xml", text.encode(), content_type="text/xml")}
    response = browser.post(reverse(ADD), {"application": application.pk, **given})
    assert response.status_code == 302, errors(response)
    provider = ServiceProvider.objects.get()
    assert (provider.entity_id, provider.tenant, provider.signing_certificates) == (
        "https://sp.example",
        tenant,
        [pem()],
    )
    # What most applications read, without a mapping by hand.
    assert provider.attributes == dict(requested_attributes.DEFAULT)
    event = AuditEvent.objects.filter(event_type="admin:change").latest("pk")
    assert (event.actor_id, event.target_id) == (operator.public_id, provider.public_id)


@pytest.mark.parametrize("as_file", [False, True])
def test_an_operator_imports_metadata_in_another_encoding(browser: Browser, tenant: Tenant, as_file: bool) -> None:
    application = make_application(tenant)
    text = f'<?xml version="1.0" encoding="UTF-16"?>{described(key(), ACS)}'
    file = SimpleUploadedFile("sp.xml", text.encode("utf-16"), content_type="text/xml")
    given: dict[str, Any] = {"metadata_file": file} if as_file else {"metadata_text": text}
    response = browser.post(reverse(ADD), {"application": application.pk, **given})
    assert response.status_code == 302, errors(response)
    assert ServiceProvider.objects.get().entity_id == "https://sp.example"


def test_a_file_may_name_metadata_in_another_encoding(tmp_path: Path) -> None:
    text = f'<?xml version="1.0" encoding="UTF-16"?>{described(key(), ACS)}'
    (tmp_path / "sp.xml").write_bytes(text.encode("utf-16"))
    apply({"metadata": {"file": "sp.xml"}}, tmp_path)
    assert ServiceProvider.objects.get().attributes == dict(requested_attributes.DEFAULT)


def test_an_operator_registers_by_hand(browser: Browser, tenant: Tenant) -> None:
    application = make_application(tenant)
    values = {"application": application.pk, "entity_id": "sp", "consumer_url": "https://sp.example/acs"}
    response = browser.post(reverse(ADD), values)
    assert response.status_code == 302, errors(response)
    assert ServiceProvider.objects.get().assertion_consumer_services[0]["location"] == "https://sp.example/acs"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "Give the metadata"),
        ({"metadata_text": "<x/>"}, "no SAML 2.0 metadata"),
        ({"metadata_text": "<x/>", "consumer_url": "https://a.b/"}, "not both"),
        ({"entity_id": "sp", "consumer_url": "http://sp.example/acs"}, "not https"),
        ({"metadata_text": described(key(), ACS.replace("https:", "http:"))}, "not https"),
    ],
)
def test_a_refusal_is_shown_at_the_form(browser: Browser, tenant: Tenant, values: dict[str, str], told: str) -> None:
    response = browser.post(reverse(ADD), {"application": make_application(tenant).pk, **values})
    assert response.status_code == 200
    assert told in response.content.decode()
    assert not ServiceProvider.objects.exists()


@pytest.mark.security("S36")
def test_an_operator_registers_nothing_for_another_tenant(browser: Browser) -> None:
    other = make_application(make_tenant())
    response = browser.post(reverse(ADD), {"application": other.pk, "metadata_text": described()})
    assert response.status_code == 200
    assert not ServiceProvider.objects.exists()


def test_an_operator_changes_a_registration(browser: Browser, tenant: Tenant) -> None:
    provider = make_service_provider(make_application(tenant), signing_certificates=[pem(), pem(1)])
    url = change_url(provider)
    values = {**form_of(browser, url), "attributes": '{"mail": "email"}', "sign_response": ""}
    response = browser.post(url, values)
    assert response.status_code == 302, errors(response)
    changed = ServiceProvider.objects.get()
    assert (changed.attributes, changed.sign_response) == ({"mail": "email"}, False)
    assert changed.signing_certificates == [pem(), pem(1)]
    event = AuditEvent.objects.filter(event_type="admin:change").latest("pk")
    assert set(event.changes) == {"attributes", "sign_response"}
    response = browser.post(url, {**values, "sign_assertion": ""})
    assert "Sign the response, the assertion, or both." in response.content.decode()


def test_the_page_says_how_to_connect(browser: Browser, tenant: Tenant) -> None:
    provider = make_service_provider(make_application(tenant))
    text = browser.get(change_url(provider)).content.decode()
    origin = f"https://{tenant.domains.get().host}/api/v1/saml2/idp"
    current = certificates.active(tenant=tenant)
    for shown in (
        f"{origin}/metadata",
        f"{origin}/sso",
        f"{origin}/slo",
        certificates.fingerprint(current.certificate),
    ):
        assert shown in text


def test_new_metadata_of_a_provider_is_imported(browser: Browser, tenant: Tenant) -> None:
    provider = make_service_provider(
        make_application(tenant), entity_id="https://sp.example", attributes={"mail": "email"}
    )
    url = change_url(provider, "import-metadata")
    assert 'enctype="multipart/form-data"' in browser.get(url).content.decode()
    foreign = browser.post(url, {"metadata_text": described(entity_id="https://other.example")})
    assert "does not describe" in foreign.content.decode()
    response = browser.post(url, {"metadata_text": described(key(number=1), ACS), "confirm": "yes"})
    assert response.status_code == 302, errors(response)
    changed = ServiceProvider.objects.get()
    assert (changed.signing_certificates, changed.attributes) == ([pem(1)], {"mail": "email"})


def test_the_preview_shows_what_would_be_told_and_makes_nothing(browser: Browser, tenant: Tenant) -> None:
    make_user(tenant, user_name="ming", email="ming@example.org", email_verified=True, name="<b>Ming</b>")
    provider = make_service_provider(
        make_application(tenant), attributes={"urn:oid:2.5.4.3": "name", "mail": "email", "badge": "attribute:badge"}
    )
    url = change_url(provider, "preview")
    for name_format, shown in (
        ("unspecified", "ming"),
        ("persistent", "a new one at the first sign-in"),
        ("transient", "a new one for each session"),
        ("emailAddress", "ming@example.org"),
    ):
        ServiceProvider.objects.update(name_id_formats=[name_format])
        text = browser.post(url, {"user_name": "ming", "confirm": "yes"}).content.decode()
        assert shown in text
    assert "&lt;b&gt;Ming&lt;/b&gt;" in text
    assert "<b>Ming" not in text
    assert "urn:oasis:names:tc:SAML:2.0:attrname-format:uri" in text
    assert not PersistentName.objects.exists()
    assert not SAMLSession.objects.exists()
    response = browser.post(url, {"user_name": "nobody", "confirm": "yes"}, follow=True)
    assert "There is no user of this name." in response.content.decode()


@pytest.mark.security("S36")
def test_the_preview_knows_no_people_of_other_tenants(browser: Browser, tenant: Tenant) -> None:
    make_user(make_tenant(), user_name="stranger")
    provider = make_service_provider(make_application(tenant))
    response = browser.post(change_url(provider, "preview"), {"user_name": "stranger", "confirm": "yes"}, follow=True)
    assert "There is no user of this name." in response.content.decode()


def test_what_runs_out_is_said(browser: Browser, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    provider = make_service_provider(make_application(tenant), metadata_valid_until=now + timedelta(days=5))
    assert "The metadata is valid until" in browser.get(change_url(provider)).content.decode()
    changelist = reverse("admin:cas_saml_serviceprovider_changelist")
    assert "The metadata is valid until" in browser.get(changelist).content.decode()
    late = datetime(2040, 1, 1, tzinfo=UTC)
    found = registration.expiries(provider, now=late)
    assert [(expiry.what, expiry.is_over) for expiry in found] == [("metadata", True), ("signing", True)]
    soon = provider_credential().certificate.not_valid_after_utc - timedelta(days=29)
    assert [expiry.what for expiry in registration.expiries(provider, now=soon) if not expiry.is_over] == ["signing"]
    ServiceProvider.objects.update(metadata_valid_until=now - timedelta(days=1))
    assert "The metadata was valid until" in browser.get(change_url(provider)).content.decode()


@pytest.mark.parametrize("name", [name for name in registration.FIELDS if name != "metadata_valid_until"])
def test_nonsense_is_refused_and_breaks_nothing(name: str) -> None:
    """What a configuration file can say: each value is taken, or refused by its field."""
    provider = make_service_provider()
    nested: Any = [{"index": {}, "location": {}, "is_default": [], "binding": []}]
    for value in (None, 5, True, "", "x" * 5000, "a\x00b", "\ud800", [], {}, [None], [5], [[]], nested, {"a": []}):
        with suppress(ValidationError):  # and nothing else
            registration.update(provider, context=SYSTEM, **{name: value})
        provider.refresh_from_db()
        provider.full_clean()

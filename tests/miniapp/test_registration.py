"""Host applications as operators register them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from identity.configuration.files import apply_documents
from identity.configuration.shapes import ConfigError
from identity.models import AuditEvent, Tenant
from oidc_provider.mini_programs import hosts
from oidc_provider.models import Client, HostApplication
from tests.admin.conftest import operator_of, sign_in
from tests.factories import make_application, make_operator, make_tenant
from tests.factories.oidc import make_client
from tests.miniapp.conftest import App, make_host, make_mini_program

pytestmark = pytest.mark.django_db


def test_networks_are_kept_in_one_spelling(tenant: Tenant) -> None:
    host = make_host(tenant, networks=("192.0.2.0/24", "192.0.2.0/255.255.255.0", "2001:DB8:0::/32", "198.51.100.7"))
    assert host.networks == ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"]


@pytest.mark.parametrize("network", ["", "example.org", "192.0.2.1/24", "192.0.2.0/33", "*", "192.0.2"])
def test_what_is_no_network_is_refused(tenant: Tenant, network: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_host(tenant, networks=(network,))
    assert set(caught.value.message_dict) == {"networks"}
    assert not HostApplication.objects.exists()


@pytest.mark.security("S36")
def test_a_host_cannot_show_another_tenants_clients(tenant: Tenant) -> None:
    with pytest.raises(ValidationError):
        make_host(tenant, make_mini_program(make_tenant()))
    assert not HostApplication.objects.exists()


def test_an_app_is_no_mini_program_of_its_own(tenant: Tenant) -> None:
    host = make_host(tenant, dialect="pactera")
    with pytest.raises(ValidationError):
        hosts.register(host.client, mini_programs=[host.client])


@pytest.mark.parametrize("dialect", ["standard", "tencent", "topiam", "oneaccess"])
def test_a_client_of_another_dialect_cannot_be_shown(tenant: Tenant, dialect: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_host(tenant, make_mini_program(tenant, dialect=dialect))
    assert "pactera" in caught.value.message_dict["mini_programs"][0]


def test_what_is_not_named_stays_and_what_changes_is_audited(app: App) -> None:
    is_new, changes = hosts.register(app.host.client, networks=["192.0.2.0/24"])
    assert not is_new
    assert changes == {"networks": ([], ["192.0.2.0/24"])}
    assert list(app.host.mini_programs.all()) == [app.mini_program]
    event = AuditEvent.objects.filter(event_type="host_application:update").latest("pk")
    assert event.changes == {"networks": [[], ["192.0.2.0/24"]]}
    count = AuditEvent.objects.count()
    assert hosts.register(app.host.client, networks=["192.0.2.0/24"]) == (False, {})
    assert AuditEvent.objects.count() == count


# The admin ------------------------------------------------------------------------------------------------------------


ADD = "admin:oidc_provider_hostapplication_add"


def form(client: Client, *mini_programs: Client, **values: str) -> dict[str, Any]:
    return {
        "client": client.pk,
        "is_active": "on",
        "networks": "192.0.2.0/24\n2001:db8::/32\n",
        "mini_programs": [row.pk for row in mini_programs],
        **values,
    }


def test_an_operator_registers_and_changes_a_host_application(tenant: Tenant) -> None:
    operator = operator_of(tenant)
    browser = sign_in(operator)
    app, shown = make_client(make_application(tenant)), make_mini_program(tenant)
    response = browser.post(reverse(ADD), form(app, shown))
    assert response.status_code == 302, response.content.decode()
    row = HostApplication.objects.get()
    assert (row.tenant, row.client, row.networks) == (tenant, app, ["192.0.2.0/24", "2001:db8::/32"])
    assert list(row.mini_programs.all()) == [shown]
    event = AuditEvent.objects.filter(event_type="host_application:update").latest("pk")
    assert (event.actor_id, event.client_id) == (operator.public_id, app.client_id)
    address = reverse("admin:oidc_provider_hostapplication_change", args=[row.pk])
    assert browser.post(address, {"networks": ""}).status_code == 302
    row.refresh_from_db()
    assert (row.is_active, row.networks, row.mini_programs.count()) == (False, [], 0)


def test_a_network_that_is_none_is_shown_at_its_field(tenant: Tenant) -> None:
    page = sign_in(operator_of(tenant)).post(reverse(ADD), form(make_client(make_application(tenant)), networks="x"))
    assert page.status_code == 200
    assert "A network is written like" in page.content.decode()
    assert not HostApplication.objects.exists()


@pytest.mark.security("S36")
def test_an_operator_cannot_name_another_tenants_clients(tenant: Tenant) -> None:
    browser = sign_in(operator_of(tenant))
    foreign = make_mini_program(make_tenant())
    own = make_client(make_application(tenant))
    assert browser.post(reverse(ADD), form(own, foreign)).status_code == 200
    assert browser.post(reverse(ADD), form(foreign)).status_code == 200
    assert not HostApplication.objects.exists()


def test_an_operator_confirms_the_password_first(tenant: Tenant) -> None:
    browser = sign_in(operator_of(tenant), is_confirmed=False)
    response = browser.post(reverse(ADD), form(make_client(make_application(tenant))))
    assert response.status_code == 302
    assert "confirm" in response["Location"]
    assert not HostApplication.objects.exists()


# Files ----------------------------------------------------------------------------------------------------------------


def document(app: App, **entry: Any) -> dict[str, Any]:
    entry = {"client_id": app.host.client.client_id, **entry}
    return {"tenant": app.tenant.code, "host_applications": [entry]}


def apply(*documents: dict[str, Any]) -> list[str]:
    changes = apply_documents(documents, base_dir=Path())
    return [line for change in changes for line in change.lines()]


def test_a_file_registers_a_host_application(app: App, tenant: Tenant) -> None:
    other = make_mini_program(tenant)
    entry = {"networks": ["192.0.2.0/24"], "mini_programs": [app.mini_program.client_id, other.client_id]}
    lines = apply(document(app, **entry))
    assert len(lines) == 2
    assert all(line.startswith(f"~ host application {app.host.client.client_id}: ") for line in lines)
    assert set(app.host.mini_programs.all()) == {app.mini_program, other}
    assert apply(document(app, **entry)) == []
    assert apply(document(app, enabled=False)) == [
        f"~ host application {app.host.client.client_id}: enabled: True -> False"
    ]
    client = app.host.client
    app.host.delete()
    assert apply(document(app, mini_programs=[])) == [f"+ host application {client.client_id}"]


@pytest.mark.parametrize(
    "entry, place",
    [
        ({"client_id": "unknown"}, "host_applications[0].client_id"),
        ({"mini_programs": ["unknown"]}, "host_applications[0].mini_programs"),
        ({"networks": ["x"]}, "host_applications[0].networks"),
        ({"networks": "192.0.2.0/24"}, "host_applications[0].networks"),
        ({"enabled": "yes"}, "host_applications[0].enabled"),
        ({"network": []}, "host_applications[0].network"),
    ],
)
def test_a_file_that_says_what_cannot_be_is_refused_with_its_place(app: App, entry: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        apply(document(app, **entry))
    assert str(caught.value).startswith(place)


@pytest.mark.security("S36")
def test_a_file_reaches_no_other_tenants_clients(app: App) -> None:
    foreign = make_host(make_tenant())
    with pytest.raises(ConfigError):
        apply(document(app, client_id=foreign.client.client_id))
    with pytest.raises(ConfigError):
        apply(document(app, mini_programs=[foreign.client.client_id]))


@pytest.mark.security("S36")
def test_a_superuser_is_offered_the_mini_programs_of_the_apps_own_tenant(tenant: Tenant) -> None:
    browser = sign_in(make_operator(make_tenant(), is_superuser=True))
    foreign, shown = make_mini_program(make_tenant()), make_mini_program(tenant)
    # Which there are is known once the app is chosen.
    assert "mini_programs" not in browser.get(reverse(ADD)).context["adminform"].form.fields
    app = make_client(make_application(tenant))
    assert browser.post(reverse(ADD), form(app, foreign)).status_code == 302
    row = HostApplication.objects.get()
    assert (row.tenant, row.mini_programs.count()) == (tenant, 0)
    address = reverse("admin:oidc_provider_hostapplication_change", args=[row.pk])
    offered = browser.get(address).context["adminform"].form.fields["mini_programs"].queryset
    assert list(offered) == [shown]
    assert browser.post(address, form(app, foreign)).status_code == 200
    assert browser.post(address, form(app, shown)).status_code == 302
    assert list(row.mini_programs.all()) == [shown]

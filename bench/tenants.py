"""Many tenants, of which each request asks another one: what a process remembers has to be read again or kept.

The rows are made by the measured installation itself (`manage.py shell`), from those of the one client that is there.
"""

from __future__ import annotations

import random

from bench.http import Response, check
from bench.worker import Worker

COUNT = 1000


async def of_one(worker: Worker) -> Response:
    return await _client_credentials(worker, 0)


async def of_many(worker: Worker) -> Response:
    return await _client_credentials(worker, random.randrange(COUNT))


async def key_set_of_many(worker: Worker) -> Response:
    host = {"Host": _host(random.randrange(COUNT))}
    response = await worker.connection.get(f"{worker.target.issuer}/oauth2/jwks", host)
    check(response.status == 200 and len(response.json()["keys"]) > 0, "jwks", response)
    return response


async def _client_credentials(worker: Worker, number: int) -> Response:
    target = worker.target
    form = {"grant_type": "client_credentials", "client_id": _client_id(number), "client_secret": target.client_secret}
    response = await worker.connection.post(f"{target.issuer}/oauth2/token", form, {"Host": _host(number)})
    check(response.status == 200 and "access_token" in response.json(), "client_credentials", response)
    return response


def _host(number: int) -> str:
    return f"t{number}.bench.example"


def _client_id(number: int) -> str:
    return f"tenant-{number}"


def fill() -> None:
    """Make the tenants, each with a host, policies, keys, an application and a client."""
    from identity.keyring import keys
    from identity.models import (
        Application,
        KeyPair,
        KeyState,
        MessagePolicy,
        PasswordPolicy,
        SessionPolicy,
        Tenant,
        TenantDomain,
        UserCount,
    )
    from oidc_provider.models import Client

    tenants = Tenant.objects.bulk_create(Tenant(code=f"t{number}", name=f"t{number}") for number in range(COUNT))
    for model in (PasswordPolicy, SessionPolicy, MessagePolicy, UserCount):
        model.objects.bulk_create(model(tenant=tenant) for tenant in tenants)
    TenantDomain.objects.bulk_create(
        TenantDomain(tenant=tenant, host=_host(number)) for number, tenant in enumerate(tenants)
    )
    KeyPair.objects.bulk_create(
        KeyPair(
            tenant=tenant,
            use="sig",
            alg="ES256",
            state=state,
            **keys.key_columns(keys.generate("ES256"), use="sig", alg="ES256"),
        )
        for tenant in tenants
        for state in (KeyState.ACTIVE, KeyState.NEXT)
    )
    applications = Application.objects.bulk_create(
        Application(tenant=tenant, code="bench", name="Bench", access="everyone") for tenant in tenants
    )
    template = Client.objects.get(client_id="bench-standard")
    values = {
        field.attname: getattr(template, field.attname)
        for field in Client._meta.concrete_fields
        if field.attname not in ("id", "client_id", "tenant_id", "catalogue_entry_id", "token_endpoint_auth_method")
    }
    Client.objects.bulk_create(
        Client(
            **values,
            client_id=_client_id(number),
            tenant=application.tenant,
            catalogue_entry=application,
            token_endpoint_auth_method="client_secret",
        )
        for number, application in enumerate(applications)
    )

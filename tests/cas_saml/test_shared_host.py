"""On the host that all tenants share nobody signs in, so CAS and SAML have nothing there (decision 10)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as HttpClient

from tests.factories import make_tenant

pytestmark = pytest.mark.django_db

ADDRESSES = [
    "saml2/idp/sso?sp=x",
    "saml2/idp/sso?SAMLRequest=x",
    "saml2/idp/sso/continue?request=x",
    "saml2/idp/slo?SAMLRequest=x",
    "saml2/idp/slo/continue?request=x",
    "saml2/idp/slo/answered?request=x",
    "saml2/idp/slo/finish?request=x",
    "saml2/idp/metadata",
    "cas/login",
    "cas/login?service=https://a.example/",
    "cas/login/continue?request=x",
    "cas/logout",
]


@pytest.fixture
def http(settings: Any) -> HttpClient:
    make_tenant()
    settings.IDENTITY = {**settings.IDENTITY, "shared_host": "api.monban.example"}
    return HttpClient(headers={"host": "api.monban.example"})


@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_is_found(http: HttpClient, address: str) -> None:
    assert http.get(f"/api/v1/{address}", secure=True).status_code == 404


@pytest.mark.parametrize("address", ["saml2/idp/sso", "saml2/idp/slo", "login/form"])
def test_nothing_is_found_by_post(http: HttpClient, address: str) -> None:
    fields = {"SAMLRequest": "x", "username": "x", "password": "x"}
    assert http.post(f"/api/v1/{address}", fields, secure=True).status_code == 404

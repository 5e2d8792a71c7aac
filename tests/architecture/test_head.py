"""HEAD is wherever GET is (RFC 9110 section 9.1): every address is asked by both."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from identity.models import Tenant
from tests.factories import make_tenant

HOST = "head.monban.example"
HAD_NO_HEAD = [
    "/oauth2/authorize",
    "/oauth2/userinfo",
    "/oauth2/logout",
    "/api/v1/saml2/idp/metadata",
    "/api/v1/saml2/idp/sso",
    "/api/v1/cas/login",
    "/api/v1/cas/logout",
    "/api/v1/cas/serviceValidate",
    "/api/docs",
]


def addresses(patterns: list[URLPattern | URLResolver], before: str = "/") -> Iterator[str]:
    """One address of every route below a URL configuration. The admin's own are Django's."""
    for pattern in patterns:
        route = before + re.sub(r"<(?:\w+:)?(\w+)>", "x", str(pattern.pattern))
        if route.startswith("/admin/"):
            continue
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, route)
        else:
            yield route


ALL = sorted(set(addresses(get_resolver().url_patterns)))


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant(host=HOST)


def ask(method: str, address: str) -> HttpResponse:
    return Client(headers={"host": HOST}).generic(method, address, secure=True)


@pytest.mark.django_db
@pytest.mark.parametrize("address", ALL)
def test_head_is_wherever_get_is(tenant: Tenant, address: str) -> None:
    by_get, by_head = ask("GET", address), ask("HEAD", address)
    assert (by_get.status_code == 405) == (by_head.status_code == 405)
    if by_get.status_code == 405:
        assert "GET" not in by_get["Allow"]
        return
    assert by_head.status_code == by_get.status_code
    assert by_head.get("Content-Type") == by_get.get("Content-Type")
    assert by_head.content == b""


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/oauth2/userinfo", "/oauth2/authorize", "/api/v1/saml2/idp/sso"])
def test_a_refused_method_is_told_of_both(tenant: Tenant, address: str) -> None:
    assert {"GET", "HEAD"} <= set(re.split(", *", ask("PUT", address)["Allow"]))


def test_the_addresses_that_had_none_are_walked() -> None:
    assert set(HAD_NO_HEAD) <= set(ALL)
    assert len(ALL) > 100

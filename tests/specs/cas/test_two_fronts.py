"""What a service is answered is the same through Django and through the lane: status, every header, every byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from identity.models import Tenant
from tests.specs.cas.conftest import Service
from tests.specs.conformance import Browser
from tests.support.fronts import Environ, both_fronts, check, environ_of

ENDPOINTS = ["validate", "serviceValidate", "p3/serviceValidate", "proxyValidate", "p3/proxyValidate", "proxy"]
CHANGES: list[dict[str, Any]] = [
    {},
    {"REQUEST_METHOD": "HEAD"},
    {"REQUEST_METHOD": "POST"},
    {"REQUEST_METHOD": "OPTIONS", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET", "HTTP_ORIGIN": "https://a.example"},
    {"HTTP_HOST": "nobody.example"},
    {"HTTP_HOST": "api.monban.example"},
    {"HTTP_COOKIE": "a=b"},
    {"HTTP_ACCEPT_LANGUAGE": "ja", "HTTP_ACCEPT": "text/html"},
    {"wsgi.url_scheme": "http", "HTTP_X_FORWARDED_PROTO": "https"},
]
QUERIES = ["", "ticket=a&ticket=b", "format=YAML", "ticket=%FF&service=%00", "ticket=\xe9", "pgt=a&targetService=b"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_both_fronts_answer_the_same(
    endpoint: str, new_service: Callable[..., Service], tenant: Tenant, browser: Browser
) -> None:
    service = new_service(attributes={"mail": "email"})
    ticket = service.ticket(browser)
    fronts, host = both_fronts(), tenant.domains.get().host
    good = urlencode({"service": service.url, "ticket": ticket})

    def environ(query: str, **changes: Any) -> Environ:
        return {**environ_of(host, f"/api/v1/cas/{endpoint}", query), **changes}

    for query in (good, f"{good}&format=JSON", f"{good}&renew=true", *QUERIES):
        for changes in CHANGES:
            check(fronts, environ(query, **changes))
    status, headers, body, _ = check(fronts, environ(good))
    assert (status, headers["Cache-Control"]) == ("200 OK", "no-store")
    assert endpoint == "proxy" or service.user_name.encode() in body

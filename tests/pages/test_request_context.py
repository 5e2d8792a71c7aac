"""Tenant, client address, scheme, language, refusals and probes: what every request gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network

import pytest
from csp.middleware import CSPMiddleware
from django.db import OperationalError, connections
from django.db.backends.utils import CursorWrapper
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from identity import copies, middleware
from identity.browser.content_security import allow_form_targets, allow_frames
from identity.context import RequestContext
from identity.middleware import ContentSecurityPolicyMiddleware
from identity.models import AuditEvent, SSOSession, Tenant
from identity.sign_in import login
from tests.factories import make_tenant
from tests.pages.conftest import Browser, next_query


@pytest.fixture
def trust(settings):
    """Trust the proxies of a network, and the headers that are named."""

    def set_networks(*networks: str, **headers: str) -> None:
        settings.IDENTITY = {
            **settings.IDENTITY,
            "trusted_proxies": tuple(ip_network(network) for network in networks),
            **headers,
        }

    return set_networks


def seen(**meta: str) -> HttpRequest:
    """The request as views see it."""
    requests: list[HttpRequest] = []

    def view(request: HttpRequest) -> HttpResponse:
        requests.append(request)
        return HttpResponse()

    middleware.RequestContextMiddleware(view)(RequestFactory().get("/livez", **{"HTTP_HOST": "testserver", **meta}))
    return requests[0]


# Tenant


@pytest.mark.parametrize(
    "host", ["unknown.example", "testserver.evil.example", "testserver:8080", "127.0.0.1", "localhost"]
)
def test_unknown_host_is_not_found(browser, host):
    response = browser.get("/login", headers={"host": host})
    assert response.status_code == 404
    assert "Page not found" in response.content.decode()
    assert not response.cookies


@pytest.mark.parametrize(
    ("accepted", "language", "heading"),
    [("en", "en", "Page not found"), ("zh-CN", "zh-hans", "找不到页面"), ("ja", "ja", "ページが見つかりません")],
)
@pytest.mark.parametrize("host", ["unknown.example", "testserver"])
def test_refusals_speak_the_browsers_language_under_the_policy_of_all_pages(
    tenant, browser, host, accepted, language, heading
):
    response = browser.get("/nowhere", headers={"host": host, "accept-language": accepted})
    assert heading in response.content.decode()
    assert response["Content-Language"] == language
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("host", ["a b", "test_server/..", "[::1", "user@testserver", "testserver,evil.example"])
def test_malformed_host_is_a_bad_request(browser, host):
    assert browser.get("/login", headers={"host": host}).status_code == 400


def test_each_host_has_its_own_tenant(tenant):
    make_tenant(host="other.monban.example", name="Other house")
    assert "Other house" in Client().get("/login", headers={"host": "other.monban.example"}).content.decode()
    assert "Other house" not in Client().get("/login").content.decode()


def test_inactive_tenant_is_not_found(browser, tenant):
    tenant.is_active = False
    tenant.save()
    assert browser.get("/login").status_code == 404


def test_loopback_host_is_the_default_tenant_with_debug_only(browser, tenant, settings):
    Tenant.objects.filter(pk=tenant.pk).update(is_default=True)
    copies.clear()
    assert browser.get("/login", headers={"host": "localhost:8000"}).status_code == 404
    settings.IDENTITY = {**settings.IDENTITY, "debug": True}
    for host in ("localhost:8000", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "127.0.0.1"):
        assert browser.get("/login", headers={"host": host}).status_code == 200, host
    assert browser.get("/login", headers={"host": "localhost.evil.example"}).status_code == 404


def test_shared_host_serves_no_pages(browser, settings):
    assert browser.get("/login", headers={"host": settings.IDENTITY["shared_host"]}).status_code == 404


# Proxies


@pytest.mark.security("S32")
def test_forwarded_headers_of_a_stranger_are_not_believed(tenant, trust):
    trust("10.0.0.0/8")
    request = seen(
        REMOTE_ADDR="203.0.113.9",
        HTTP_X_FORWARDED_FOR="198.51.100.7",
        HTTP_X_FORWARDED_PROTO="https",
        HTTP_X_FORWARDED_HOST="evil.example",
        HTTP_X_REQUEST_ID="chosen-by-a-stranger",
    )
    assert request.context.ip == "203.0.113.9"
    assert request.context.request_id != "chosen-by-a-stranger"
    assert (request.scheme, request.get_host()) == ("http", "testserver")
    assert not [name for name in request.META if "FORWARDED" in name]


@pytest.mark.security("S32")
@pytest.mark.parametrize(
    ("chain", "ip"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("192.0.2.66, 198.51.100.7", "198.51.100.7"),
        ("192.0.2.66, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("nonsense, 10.0.0.2", "10.0.0.2"),
        ("", "10.0.0.1"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        # Gateways write ports, and RFC 7239-6 quotes and brackets.
        ("192.0.2.7:5000", "192.0.2.7"),
        ("[2001:db8::7]:4444", "2001:db8::7"),
        ('"[2001:db8::7]:4444"', "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%eth0]:80", "fe80::1"),
        ("[::ffff:198.51.100.7]:80", "198.51.100.7"),
        ("198.51.100.7:1234, 10.0.0.2:4711", "198.51.100.7"),
        ("192.0.2.7:port:5000", "10.0.0.1"),
        ("unknown, 10.0.0.2:80", "10.0.0.2"),
        ("_hidden:80", "10.0.0.1"),
    ],
)
def test_client_is_the_nearest_address_that_is_no_proxy_of_ours(tenant, trust, chain, ip):
    trust("10.0.0.0/8")
    assert seen(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=chain).context.ip == ip


@pytest.mark.security("S32", "S51")
def test_scheme_of_a_trusted_proxy_is_believed_and_no_header_that_no_setting_names(tenant, trust):
    trust("10.0.0.0/8")
    request = seen(
        REMOTE_ADDR="10.0.0.1",
        HTTP_X_FORWARDED_PROTO="https",
        HTTP_X_FORWARDED_HOST="login.example",
        HTTP_X_REQUEST_ID="abcdef0123456789",
    )
    assert (request.scheme, request.is_secure(), request.get_host()) == ("https", True, "testserver")
    assert request.context.request_id != "abcdef0123456789"
    assert request.context.given_request_id == "abcdef0123456789"
    assert not [name for name in request.META if "FORWARDED" in name]


@pytest.mark.security("S32", "S51")
def test_headers_that_a_setting_names_are_believed_from_a_trusted_proxy_only(tenant, trust):
    trust("10.0.0.0/8", forwarded_host_header="X-Forwarded-Host", request_id_header="X-Trace")
    told = {
        "HTTP_X_FORWARDED_HOST": "login.example",
        "HTTP_X_TRACE": "abcdef0123456789",
        "HTTP_X_REQUEST_ID": "the client's own\x01",
    }
    request = seen(REMOTE_ADDR="10.0.0.1", **told)
    assert (request.get_host(), request.context.request_id) == ("login.example", "abcdef0123456789")
    assert request.context.given_request_id == "theclient'sown"
    assert "HTTP_X_TRACE" not in request.META
    request = seen(REMOTE_ADDR="203.0.113.9", **told)
    assert request.get_host() == "testserver"
    assert request.context.request_id != "abcdef0123456789"
    assert not {"HTTP_X_TRACE", "HTTP_X_FORWARDED_HOST"} & set(request.META)
    for host in ("a.example, b.example", ""):
        assert seen(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_HOST=host).get_host() == "testserver"


@pytest.mark.security("S51")
def test_one_tenants_host_never_answers_as_another_by_a_forwarded_host(tenant, trust):
    trust("127.0.0.1/32")
    make_tenant(host="id.beta.test")
    address = "/.well-known/openid-configuration"
    for name in ("x-forwarded-host", "x-host", "x-original-host", "forwarded"):
        value = "host=id.beta.test" if name == "forwarded" else "id.beta.test"
        headers = {"host": "testserver", "x-forwarded-proto": "https", name: value}
        document = Client().get(address, headers=headers).json()
        assert document["issuer"] == "https://testserver", name


@pytest.mark.security("S51")
def test_callers_own_request_id_stands_beside_ours_in_the_audit(browser, alice):
    browser.client.defaults |= {"HTTP_X_REQUEST_ID": "their-own-id"}
    response = browser.sign_in(alice)
    event = AuditEvent.objects.get(event_type="login:success")
    assert event.request_id == response["X-Request-ID"] != "their-own-id"
    assert event.personal["given_request_id"] == "their-own-id"


@pytest.mark.security("S32")
@pytest.mark.parametrize(
    ("words", "hops", "scheme"),
    [
        ("https, https", "", "https"),
        ("HTTPS", "", "https"),
        # The outermost proxy speaks of the client, the inner ones of each other.
        ("https, http", "", "https"),
        ("https, http", "198.51.100.7, 10.0.0.2", "https"),
        ("https,", "", "https"),
        ("http, https", "198.51.100.7", "http"),
        # A client that wrote the first word itself: the proxy's stands where the client's address does.
        ("http, https", "192.0.2.66, 198.51.100.7", "https"),
        ("https, http", "192.0.2.66, 198.51.100.7", "http"),
        ("gopher", "", "http"),
        ("", "", "http"),
    ],
)
def test_scheme_is_what_the_outermost_of_our_proxies_says(tenant, trust, words, hops, scheme):
    trust("10.0.0.0/8")
    request = seen(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_PROTO=words, HTTP_X_FORWARDED_FOR=hops)
    assert request.scheme == scheme


@pytest.mark.security("S51")
def test_clients_of_a_gateway_that_writes_ports_are_limited_each_for_itself(tenant, trust):
    trust("127.0.0.1/32")
    tenant.password_policy.max_failures_per_source = 2
    tenant.password_policy.save()

    def fail(source: str) -> int:
        browser = Browser()
        form = {"identifier": "nobody", "password": "x", "transaction": browser.open_login()}
        return browser.post("/login", form, headers={"x-forwarded-for": source}).status_code

    assert [fail(f"192.0.2.7:{port}") for port in (5000, 5001, 5002)] == [400, 400, 429]
    assert [fail(source) for source in ("192.0.2.99:4444", "[2001:db8::7]:4444")] == [400, 400]


@pytest.mark.parametrize(
    "host", ["testserver:443", "testserver.", "testserver.:443", "TestServer", "TESTSERVER.:443", "testserver:"]
)
def test_host_is_one_host_in_all_its_spellings(tenant, alice, host):
    browser = Browser(Client(headers={"host": host}))
    response = browser.client.get("/.well-known/openid-configuration", secure=True)
    assert response.json()["issuer"] == "https://testserver"
    form = {"identifier": alice.user_name, "password": "x"}
    page = browser.client.post("/login", form, secure=True, headers={"origin": "https://testserver"})
    assert page.status_code == 400


def test_only_the_schemes_own_port_is_no_port(tenant):
    assert Client().get("/login", headers={"host": "testserver:80"}).status_code == 200
    assert Client().get("/login", headers={"host": "testserver:443"}).status_code == 404
    assert Client().get("/login", secure=True, headers={"host": "testserver:80"}).status_code == 404
    assert Client().get("/login", headers={"host": "testserver.."}).status_code in {400, 404}


@pytest.mark.security("S32")
def test_local_socket_is_a_proxy_only_where_there_are_proxies(tenant, trust):
    meta = {"REMOTE_ADDR": "", "HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_FOR": "198.51.100.7"}
    request = seen(**meta)
    assert (request.scheme, request.context.ip) == ("http", "")
    trust("10.0.0.0/8")
    request = seen(**meta)
    assert (request.scheme, request.context.ip) == ("https", "198.51.100.7")


@pytest.mark.security("S32")
def test_lock_of_a_source_is_not_evaded_by_forged_headers(tenant, alice):
    tenant.password_policy.max_failures_per_source = 3
    tenant.password_policy.save()
    statuses = []
    for number in range(5):
        browser = Browser()
        form = {"identifier": f"nobody{number}", "password": "x", "transaction": browser.open_login()}
        response = browser.post("/login", form, headers={"x-forwarded-for": f"198.51.100.{number}"})
        statuses.append(response.status_code)
    assert statuses == [400, 400, 400, 429, 429]


def test_session_over_tls_behind_a_proxy_has_a_host_cookie(tenant, alice, trust):
    trust("127.0.0.1/32")
    browser = Browser(Client(headers={"x-forwarded-proto": "https", "host": "testserver"}))
    response = browser.sign_in(alice)
    assert "__Host-monban_session" in response.cookies


# Refusals


def test_nul_in_a_path_is_a_bad_request(browser):
    assert browser.get("/account/sessions/%00/end").status_code == 400


def test_oversized_body_is_refused_before_it_is_read(browser):
    response = browser.client.generic("POST", "/login", b"x" * (1024 * 1024 + 1), content_type="text/plain")
    assert response.status_code == 413
    assert browser.client.generic("POST", "/login", b"", CONTENT_LENGTH="-5").status_code == 400


def test_too_many_fields_and_odd_encodings_are_bad_requests(browser):
    form = "&".join(f"a{number}=1" for number in range(300))
    kind = "application/x-www-form-urlencoded"
    assert browser.client.generic("POST", "/login", form, content_type=kind).status_code == 400
    assert browser.client.generic("POST", "/login", "a=1", content_type=f"{kind}; charset=utf-16").status_code == 400
    assert browser.client.generic("POST", "/login", b"identifier=%ff%fe", content_type=kind).status_code == 400
    assert browser.client.generic("POST", "/login", b"--x", content_type="multipart/form-data").status_code == 400
    assert browser.get("/login?next=%ff%fe&login_hint=%00").status_code == 200


@pytest.mark.parametrize("is_debug", [False, True])
@pytest.mark.parametrize("path", ["/login", "/nowhere", "/oauth2/authorize", "/oauth2/userinfo"])
def test_too_many_parameters_in_an_address_are_a_bad_request(browser, settings, is_debug, path):
    settings.DEBUG = is_debug
    browser.client.raise_request_exception = False
    query = "&".join(f"a{number}=1" for number in range(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1))
    assert browser.get(f"{path}?{query}").status_code == 400


def test_unknown_page_is_our_page_for_people_and_json_for_machines(browser):
    assert "404" in browser.get("/nothing-here").content.decode()
    response = browser.get("/nothing-here", headers={"accept": "application/json"})
    assert (response.status_code, response.json()) == (404, {"error": "not_found"})


def test_every_answer_names_the_request(browser):
    response = browser.get("/login")
    assert len(response["X-Request-ID"]) == 32
    assert browser.get("/login")["X-Request-ID"] != response["X-Request-ID"]


def test_audit_knows_request_address_and_browser(browser, alice):
    browser.client.defaults |= {"HTTP_USER_AGENT": "Test\x01" + "x" * 400, "REMOTE_ADDR": "198.51.100.7"}
    response = browser.sign_in(alice)
    event = AuditEvent.objects.get(event_type="login:success")
    assert event.request_id == response["X-Request-ID"]
    assert event.personal["ip"] == "198.51.100.7"
    assert len(event.personal["user_agent"]) == 300
    assert "\x01" not in event.personal["user_agent"]
    session = SSOSession.objects.get()
    assert (session.ip, session.user_agent) == ("198.51.100.7", event.personal["user_agent"])


# Database away


@contextmanager
def lost_database() -> Iterator[None]:
    """Let every statement fail, as when the server is gone."""

    def fail(*args: object, **kwargs: object) -> None:
        raise OperationalError("connection refused")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CursorWrapper, "execute", fail)
        patch.setattr(type(connections["default"]), "run_prepared", lambda *args: None, raising=False)
        yield


@pytest.mark.parametrize("is_cached", [True, False])
def test_lost_database_is_503_with_retry_after(signed_in, is_cached):
    if not is_cached:
        copies.clear()
    with lost_database():
        for path in ("/account", "/login"):
            response = signed_in.get(path)
            assert (response.status_code, response["Retry-After"]) == (503, "5")
            assert "connection refused" not in response.content.decode()
        response = signed_in.get("/login", headers={"accept": "application/json"})
        assert response.json() == {"error": "temporarily_unavailable"}
    # A browser keeps its session over an outage.
    assert signed_in.is_signed_in


def test_database_lost_within_a_view_is_503_too(browser):
    browser.get("/forgot-password")
    with lost_database():
        response = browser.post("/forgot-password", {"identifier": "alice"})
    assert (response.status_code, response["Retry-After"]) == (503, "5")


def test_probes(db):
    client = Client()
    for host in ("10.0.0.5:8000", "testserver"):
        assert client.get("/livez", headers={"host": host}).status_code == 200
        assert client.get("/readyz", headers={"host": host}).status_code == 200
    with lost_database():
        assert client.get("/livez").content == b"ok\n"
        response = client.get("/readyz")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response.content == b"database\n"


# Language


@pytest.mark.parametrize(
    ("query", "cookie", "header", "expected"),
    [
        ("", "", "zh-CN,zh;q=0.9", "zh-Hans"),
        ("", "", "ja-JP", "ja"),
        ("", "", "fr, en;q=0.5", "en"),
        ("", "ja", "zh-CN", "ja"),
        ("?ui_locales=fr-FR%20ja%20en", "", "zh-CN", "ja"),
        ("?ui_locales=ja", "en", "zh-CN", "ja"),
        ("?ui_locales=xx", "zh-hans", "ja", "zh-Hans"),
        ("?ui_locales=" + "x" * 200, "", "", "en"),
    ],
)
def test_language_is_ui_locales_then_cookie_then_browser(browser, query, cookie, header, expected):
    if cookie:
        browser.client.cookies["monban_language"] = cookie
    page = browser.get(f"/login{query}", headers={"accept-language": header}).content.decode()
    assert f'<html lang="{expected}">' in page


def test_language_of_person_and_tenant_come_last(signed_in, tenant, alice):
    tenant.language = "ja"
    tenant.save()
    assert '<html lang="ja">' in Browser().get("/login").content.decode()
    type(alice).objects.filter(pk=alice.pk).update(language="zh-CN")
    assert '<html lang="zh-Hans">' in signed_in.get("/account").content.decode()


def test_chosen_language_is_remembered(browser):
    response = browser.post("/language", {"language": "ja", "next": "/login?ui_locales=en&login_hint=a%20b"})
    assert response["Location"] == "/login?login_hint=a+b&ui_locales=ja"
    assert '<html lang="ja">' in browser.get("/login").content.decode()
    assert browser.post("/language", {"language": "xx"}).status_code == 400
    assert browser.get("/language").status_code == 405


@pytest.mark.security("S22")
def test_language_switch_leads_to_our_own_paths_only(browser):
    assert browser.post("/language", {"language": "ja", "next": "https://evil.example/"})["Location"] == "/account"
    assert browser.post("/language" + next_query("//evil.example"), {"language": "ja"})["Location"] == "/account"


@pytest.mark.parametrize(
    ("cookie", "query", "expected"), [("", "", "ja"), ("zh-hans", "", "zh-Hans"), ("", "&ui_locales=en", "en")]
)
def test_language_that_an_application_wants_holds_for_the_sign_in_unless_the_person_chose(
    browser, tenant, cookie, query, expected
):
    browser.open_login()
    handle = login.begin(
        tenant=tenant,
        binding=browser.client.cookies["monban_browser"].value,
        context=RequestContext(tenant=tenant),
        ui_locales="fr ja-JP",
    )
    if cookie:
        browser.client.cookies["monban_language"] = cookie
    assert f'<html lang="{expected}">' in browser.get(f"/login?transaction={handle}{query}").content.decode()


def test_bare_address_leads_people_to_their_account(browser):
    assert browser.get("/")["Location"] == "/account"


def test_signing_out_where_nobody_is_signed_in_says_so(browser):
    assert browser.get("/logout")["Location"] == "/logged-out"
    assert browser.post("/logout", {"confirm": "yes"})["Location"] == "/logged-out"


def test_the_policy_of_an_answer_is_built_once_and_is_the_one_of_django_csp(tenant: Tenant) -> None:
    def headers_of(kind: type[CSPMiddleware], *, is_marked: str = "", has_nonce: bool = False) -> dict[str, str]:
        request, response = RequestFactory().get("/"), HttpResponse()
        allow_form_targets(response, ["https://example.org/cb", "myapp:/cb"])
        allow_frames(response, ["https://example.org/a;b"])
        if is_marked:
            setattr(response, is_marked, {"img-src": ["'self'"]})
        middleware = kind(lambda _request: response)
        middleware.process_request(request)
        if has_nonce:
            assert str(request.csp_nonce)
            request._csp_nonce = "n"
        return dict(middleware.process_response(request, response).headers)

    for options in ({}, {}, {"has_nonce": True}, *({"is_marked": name} for name in ("_csp_replace", "_csp_exempt"))):
        assert headers_of(ContentSecurityPolicyMiddleware, **options) == headers_of(CSPMiddleware, **options)
    assert (
        "form-action 'self' https://example.org myapp: https:"
        in headers_of(ContentSecurityPolicyMiddleware)["Content-Security-Policy"]
    )

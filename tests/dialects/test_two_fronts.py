"""What a program is answered is the same through Django and through the lane: status, every header, every byte."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import OperationalError, connections
from django.db.backends.utils import CursorWrapper
from django.urls import resolve

from config import lane
from config.lane import Lane
from identity.views.machines import endpoint_of
from oidc_provider import dialects
from oidc_provider.dialects.base import Dialect, EndpointName
from oidc_provider.urls import MACHINES
from tests.dialects.party import CALLBACK, FORM, HABITS, VERIFIER, Party, basic
from tests.support import fronts as fronts_of
from tests.support.dialect_fixtures import NewParty
from tests.support.fronts import Environ, Fronts, answer, both_fronts, check

ORIGIN = "https://app.client.example"
Change = Callable[[Environ, Party], Environ]


class Cut(BytesIO):
    """A body of which nothing comes."""

    def read(self, *args: Any) -> bytes:
        raise OSError("cut off")


def put(**values: Any) -> Change:
    return lambda environ, party: {**environ, **values}


def form(**params: str) -> Change:
    return lambda environ, party: with_body(environ, urlencode(params).encode())


def with_body(environ: Environ, body: bytes, content_type: str = FORM) -> Environ:
    body_of = {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": content_type}
    return {**environ, **body_of, "REQUEST_METHOD": "POST"}


def proved(**params: str) -> Change:
    """A form of the client itself, in the way of its dialect."""

    def change(environ: Environ, party: Party) -> Environ:
        ways: dict[str, dict[str, str]] = {
            "basic": {},
            "secret_alone": {"client_id": party.client.client_id},
            "none": {"client_id": party.client.client_id},
        }
        own = ways.get(party.habits.secret, {"client_id": party.client.client_id, "client_secret": party.secret})
        header = {
            "basic": {"HTTP_AUTHORIZATION": basic(f"{party.client.client_id}:{party.secret}")},
            "secret_alone": {"HTTP_AUTHORIZATION": basic(party.secret)},
        }.get(party.habits.secret, {})
        encoded = urlencode({**own, **params})
        if party.habits.secret == "query" and environ["PATH_INFO"] == party.path(EndpointName.TOKEN):
            return {**with_body(environ, b""), **header, "QUERY_STRING": encoded}
        return {**with_body(environ, encoded.encode()), **header}

    return change


def both(*changes: Change) -> Change:
    def change(environ: Environ, party: Party) -> Environ:
        for one in changes:
            environ = one(environ, party)
        return environ

    return change


PREFLIGHT = {"REQUEST_METHOD": "OPTIONS", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST", "HTTP_ORIGIN": ORIGIN}
HOPS = {"HTTP_X_FORWARDED_FOR": "203.0.113.7", "HTTP_X_FORWARDED_PROTO": "https", "wsgi.url_scheme": "http"}
UNUSUAL: dict[str, Change] = {
    "GET": put(),
    "HEAD": put(REQUEST_METHOD="HEAD"),
    "OPTIONS": put(REQUEST_METHOD="OPTIONS"),
    "DELETE": put(REQUEST_METHOD="DELETE"),
    "a method of nobody": put(REQUEST_METHOD="get"),
    "a page that asks whether it may": put(**PREFLIGHT),
    "a page of a stranger that asks": put(**PREFLIGHT | {"HTTP_ORIGIN": "https://stranger.example"}),
    "a page": put(HTTP_ORIGIN=ORIGIN),
    "a page of a stranger": put(HTTP_ORIGIN="https://stranger.example"),
    "a page that posts": both(proved(grant_type="password"), put(HTTP_ORIGIN=ORIGIN)),
    "an unknown host": put(HTTP_HOST="nobody.example"),
    "the host that all share": put(HTTP_HOST="api.monban.example"),
    "a host that is none": put(HTTP_HOST="a b"),
    "an empty host": put(HTTP_HOST=""),
    "a host with its port, in capitals": lambda environ, party: {**environ, "HTTP_HOST": f"{party.host.upper()}.:443"},
    "without TLS": put(**{"wsgi.url_scheme": "http"}),
    "an untrusted proxy": put(**HOPS, REMOTE_ADDR="198.51.100.4", HTTP_X_FORWARDED_HOST="evil.example"),
    "a trusted proxy": put(**HOPS, REMOTE_ADDR="10.0.0.1", HTTP_X_REQUEST_ID="an-id-of-theirs"),
    "an id of the caller": put(HTTP_X_REQUEST_ID="an-id-of-theirs\x7f" + "x" * 200),
    "a copy that is good": put(HTTP_IF_NONE_MATCH="*"),
    "a copy that is not": put(HTTP_IF_NONE_MATCH='"1234", W/"5678"'),
    "another type": lambda environ, party: with_body(environ, b"{}", "application/json"),
    "no type": lambda environ, party: with_body(environ, b"grant_type=x", ""),
    "a form in another charset": lambda environ, party: with_body(environ, b"a=\xe9", f"{FORM}; charset=latin-1"),
    "a large body": put(REQUEST_METHOD="POST", CONTENT_TYPE=FORM, CONTENT_LENGTH="2000000"),
    "a body that is cut off": put(
        **{"REQUEST_METHOD": "POST", "CONTENT_TYPE": FORM, "CONTENT_LENGTH": "20", "wsgi.input": Cut()}
    ),
    "a length that is none": put(REQUEST_METHOD="POST", CONTENT_TYPE=FORM, CONTENT_LENGTH="many"),
    "parameters without end": put(QUERY_STRING="&".join(["a=b"] * 300)),
    "many parameters": put(QUERY_STRING="&".join(["a=b"] * 120)),
    "a parameter in the address": both(proved(grant_type="x"), put(QUERY_STRING="scope=openid")),
    "a token in the address": put(QUERY_STRING="access_token=x"),
    "a language": put(HTTP_ACCEPT_LANGUAGE="ja,en;q=0.5", HTTP_ACCEPT="text/html"),
    "a cookie": put(HTTP_COOKIE="__Host-monban_session=abc"),
    "a browser": put(HTTP_USER_AGENT="Mozilla\t" + "x" * 400, HTTP_ACCEPT="text/html"),
    "a token of nobody": put(HTTP_AUTHORIZATION="Bearer abc"),
    "another scheme": put(HTTP_AUTHORIZATION="Digest abc"),
    "a header that is no Basic": both(form(grant_type="client_credentials"), put(HTTP_AUTHORIZATION="Basic %%%")),
    "a client of nobody": form(grant_type="client_credentials", client_id="nobody", client_secret="x" * 30, token="x"),
    "nothing": form(),
    "a wrong secret": both(form(grant_type="x", token="x"), put(HTTP_AUTHORIZATION=basic(f"nobody:{'x' * 30}"))),
    "a grant of nobody": proved(grant_type="password"),
    "a code of nobody": proved(
        grant_type="authorization_code", code="x" * 43, redirect_uri=CALLBACK, code_verifier=VERIFIER
    ),
    "a refresh token of nobody": proved(grant_type="refresh_token", refresh_token="x" * 43),
    "a token that is none": proved(token="x" * 43),
    "twice the same": lambda environ, party: with_body(environ, b"grant_type=a&grant_type=b&client_id=c"),
}


@pytest.fixture
def fronts(db: None, tenant: Any) -> Fronts:
    return both_fronts()


@pytest.fixture(params=dialects.ALL, ids=lambda dialect: dialect.name)
def speaker(request: pytest.FixtureRequest, new_party: NewParty) -> Party:
    """A client that may do all that programs can ask for, as far as the dialect has it."""
    dialect: Dialect = request.param
    values: dict[str, Any] = {"web_origins": [ORIGIN]}
    is_public = HABITS[dialect.name].secret == "none"
    if "client_credentials" in dialect.grant_types and not is_public:
        values["grant_types"] = ["authorization_code", "refresh_token", "client_credentials"]
    if EndpointName.INTROSPECT in dialect.endpoints and not is_public:
        values["may_introspect"] = True
    return new_party(dialect, **values)


def environ_of(party: Party, path: str) -> Environ:
    return fronts_of.environ_of(party.host, path)


@pytest.mark.parametrize("endpoint", MACHINES, ids=str)
def test_both_fronts_answer_the_same_to_everything_unusual(
    endpoint: EndpointName, speaker: Party, fronts: Any, settings: Any
) -> None:
    if endpoint not in speaker.dialect.endpoints:
        pytest.skip("the dialect has none")
    settings.IDENTITY = {**settings.IDENTITY, "trusted_proxies": (ip_network("10.0.0.0/8"),)} | {
        "request_id_header": "X-Request-ID"
    }
    path = speaker.path(endpoint).replace("<str:kid>", "x")
    statuses = {}
    for name, change in UNUSUAL.items():
        statuses[name] = check(fronts, change(environ_of(speaker, path), speaker))[0]
    assert len(set(statuses.values())) > 3, statuses


def test_both_fronts_answer_good_requests_the_same(speaker: Party, fronts: Any) -> None:
    tokens = speaker.tokens()
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {tokens['access_token']}"}
    good = {
        EndpointName.TOKEN: [
            proved(
                grant_type="authorization_code",
                code=speaker.code(),
                redirect_uri=CALLBACK,
                code_verifier=VERIFIER,
            ),
            proved(grant_type="refresh_token", refresh_token=tokens["refresh_token"]),
        ],
        EndpointName.USERINFO: [put(**bearer), put(**bearer, REQUEST_METHOD="HEAD"), put(**bearer, HTTP_ORIGIN=ORIGIN)],
        EndpointName.INTROSPECT: [proved(token=tokens["access_token"])] if speaker.habits.secret != "none" else [],
        EndpointName.REVOKE: [proved(token=tokens["refresh_token"])],
    }
    if "client_credentials" in speaker.client.grant_types:
        good[EndpointName.TOKEN].append(proved(grant_type="client_credentials"))
    for endpoint in (EndpointName.JWKS, EndpointName.DISCOVERY, EndpointName.OAUTH_METADATA):
        good[endpoint] = [put()]
    for endpoint, changes in good.items():
        if endpoint in speaker.dialect.endpoints:
            for change in changes:
                status, *_ = check(fronts, change(environ_of(speaker, speaker.path(endpoint)), speaker))
                assert status == "200 OK", (endpoint, status)


def test_both_fronts_say_that_a_copy_is_good(speaker: Party, fronts: Any) -> None:
    environ = environ_of(speaker, speaker.path(EndpointName.JWKS))
    tag = check(fronts, environ)[1]["ETag"]
    assert check(fronts, {**environ, "HTTP_IF_NONE_MATCH": tag})[0] == "304 Not Modified"


def test_every_route_of_a_program_is_in_the_lane(speaker: Party, fronts: Any) -> None:
    for endpoint in MACHINES:
        if endpoint in speaker.dialect.endpoints:
            path = speaker.path(endpoint).replace("<str:kid>", "x")
            match, route = resolve(path), fronts[1].find(environ_of(speaker, path))
            assert route is not None
            assert route == (endpoint_of(match.func), match.kwargs)


@pytest.mark.parametrize(
    "error", [OperationalError("away"), RuntimeError("a fault of ours")], ids=lambda e: type(e).__name__
)
def test_both_fronts_say_the_same_of_what_failed(
    error: Exception, speaker: Party, fronts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for endpoint in (EndpointName.USERINFO, EndpointName.JWKS):
        environ = environ_of(speaker, speaker.path(endpoint)) | {"HTTP_AUTHORIZATION": "Bearer abc"}
        check(fronts, environ)  # what a process remembers of the host is not asked for again
        with monkeypatch.context() as patch:
            patch.setattr(CursorWrapper, "execute", failing(error))
            patch.setattr(type(connections["default"]), "run_prepared", lambda *args: None, raising=False)
            status, _, body, _ = check(fronts, environ)
        assert status in ("503 Service Unavailable", "500 Internal Server Error")
        assert str(error).encode() not in body


def failing(error: Exception) -> Any:
    execute = CursorWrapper.execute

    def fail(self: Any, sql: str, params: Any = None) -> Any:
        if sql.startswith(("SAVEPOINT", "ROLLBACK", "RELEASE")) or "audit" in sql:
            return execute(self, sql, params)
        raise error

    return fail


def test_both_fronts_send_to_https(speaker: Party, fronts: Any, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    environ = environ_of(speaker, speaker.path(EndpointName.TOKEN))
    fronts = both_fronts()
    status, headers, *_ = check(fronts, environ | {"wsgi.url_scheme": "http"})
    assert (status, headers["Location"]) == ("301 Moved Permanently", f"{speaker.origin}{environ['PATH_INFO']}")


def test_both_fronts_tell_a_source_to_wait(speaker: Party, fronts: Any, settings: Any) -> None:
    settings.IDENTITY = {**settings.IDENTITY, "documents_per_minute": 0}
    environ = environ_of(speaker, speaker.path(EndpointName.JWKS))
    assert check(fronts, environ)[0] == "429 Too Many Requests"


def test_a_good_request_does_not_reach_django(speaker: Party, db: None) -> None:
    def django(environ: Environ, start_response: Any) -> Any:
        raise AssertionError("Django was asked")

    environ = environ_of(speaker, speaker.path(EndpointName.JWKS))
    assert answer(Lane(django), environ)[0] == "200 OK"


def test_the_lane_can_be_turned_off(settings: Any) -> None:
    django: Any = object()
    assert isinstance(lane.before(django), Lane)
    settings.MACHINE_LANE = False
    assert lane.before(django) is django


def test_the_lane_is_off_beside_a_middleware_that_it_does_not_know(settings: Any) -> None:
    django: Any = object()
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.gzip.GZipMiddleware"]
    assert lane.before(django) is django

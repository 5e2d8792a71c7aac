"""Small applications that speak SAML through stock libraries, each to be run in a process of its own.

    python -m tests.clients.saml_app pysaml2 --idp /tmp/idp.xml --key /tmp/sp.key --certificate /tmp/sp.crt --port 5001
    python -m tests.clients.saml_app python3-saml …

One process is several service providers, one below each name of VARIANTS: /plain, /signed, /encrypted. Each of them has

    /<variant>/metadata         what it says of itself
    /<variant>/login?binding=   sends the browser to the identity provider (redirect or post)
    /<variant>/acs, /slo        where messages arrive
    /<variant>/logout           signs out there and asks the identity provider to do the same everywhere
    /<variant>/                 what it knows of the browser, as JSON

Errors of the library are answered as JSON with status 403, so that a test sees what it did not like.
"""

from __future__ import annotations

import argparse
import json
import secrets
from dataclasses import asdict, dataclass
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Variant:
    """What a provider demands and offers."""

    signs_requests: bool = False
    wants_signed_response: bool = False
    wants_encryption: bool = False


VARIANTS = {
    "plain": Variant(),
    "signed": Variant(signs_requests=True, wants_signed_response=True),
    "encrypted": Variant(signs_requests=True, wants_encryption=True),
}


@dataclass(frozen=True)
class Site:
    """The files and addresses of one process."""

    idp_file: str
    key_file: str
    certificate_file: str
    origin: str

    def url(self, variant: str, name: str) -> str:
        return f"{self.origin}/{variant}/{name}"


@dataclass
class Known:
    """What a provider keeps of a browser."""

    user: str = ""
    name_id_format: str = ""
    session_index: str = ""
    attributes: dict[str, list[str]] | None = None
    relay_state: str = ""
    authn_context: str = ""


@dataclass(frozen=True)
class Reply:
    """A redirect, a page that posts itself, or nothing more to do."""

    location: str = ""
    page: str = ""


class Refused(Exception):
    """The library does not accept a message."""


class Library:
    """What the libraries have in common. outstanding: ids of requests, by browser."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def metadata(self, variant: str) -> str:
        raise NotImplementedError

    def login(self, variant: str, binding: str, relay_state: str) -> tuple[str, Reply]:
        """The request's id, and where the browser goes with it."""
        raise NotImplementedError

    def consume(self, variant: str, form: dict[str, str], request_id: str) -> Known:
        raise NotImplementedError

    def logout(self, variant: str, known: Known) -> tuple[str, Reply]:
        raise NotImplementedError

    def single_logout(
        self, variant: str, message: dict[str, str], known: Known | None, *, is_post: bool, query: str, request_id: str
    ) -> tuple[bool, Reply]:
        """Whether the browser is signed out here now, and the answer to the identity provider, if there is one."""
        raise NotImplementedError


class PySAML2(Library):
    """pysaml2, configured as its documentation does."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.clients = {name: self._client(name, variant) for name, variant in VARIANTS.items()}

    def _client(self, name: str, variant: Variant) -> Any:
        from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
        from saml2.client import Saml2Client
        from saml2.config import SPConfig

        pair = {"key_file": self.site.key_file, "cert_file": self.site.certificate_file}
        slo = self.site.url(name, "slo")
        configuration: dict[str, Any] = {
            "entityid": self.site.url(name, "metadata"),
            "metadata": {"local": [self.site.idp_file]},
            "allow_unknown_attributes": True,
            **pair,
            "service": {
                "sp": {
                    "endpoints": {
                        "assertion_consumer_service": [(self.site.url(name, "acs"), BINDING_HTTP_POST)],
                        "single_logout_service": [(slo, BINDING_HTTP_REDIRECT), (slo, BINDING_HTTP_POST)],
                    },
                    "authn_requests_signed": variant.signs_requests,
                    "logout_requests_signed": True,
                    "logout_responses_signed": True,
                    "want_assertions_signed": True,
                    "want_response_signed": variant.wants_signed_response,
                    "allow_unsolicited": name == "plain",
                    "signing_algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
                    "digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
                },
            },
        }
        if variant.wants_encryption:
            configuration["encryption_keypairs"] = [pair]
        return Saml2Client(config=SPConfig().load(configuration))

    def metadata(self, variant: str) -> str:
        from saml2.metadata import entity_descriptor

        return str(entity_descriptor(self.clients[variant].config))

    @staticmethod
    def _binding(name: str) -> str:
        return f"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-{'POST' if name == 'post' else 'Redirect'}"

    @staticmethod
    def _reply(arguments: Any) -> Reply:
        locations = [value for name, value in arguments["headers"] if name == "Location"]
        return Reply(location=locations[0]) if locations else Reply(page="".join(arguments["data"]))

    def login(self, variant: str, binding: str, relay_state: str) -> tuple[str, Reply]:
        request_id, _binding, arguments = self.clients[variant].prepare_for_negotiated_authenticate(
            relay_state=relay_state, binding=self._binding(binding)
        )
        return str(request_id), self._reply(arguments)

    def consume(self, variant: str, form: dict[str, str], request_id: str) -> Known:
        from saml2 import BINDING_HTTP_POST

        answer = self.clients[variant].parse_authn_request_response(
            form["SAMLResponse"], BINDING_HTTP_POST, outstanding={request_id: "/"} if request_id else {}
        )
        if answer is None:
            raise Refused("no assertion")
        info = answer.session_info()
        statement = answer.assertion.authn_statement[0]
        return Known(
            user=info["name_id"].text,
            name_id_format=info["name_id"].format,
            session_index=statement.session_index,
            attributes=info["ava"],
            relay_state=form.get("RelayState", ""),
            authn_context=statement.authn_context.authn_context_class_ref.text,
        )

    def _name_id(self, variant: str, known: Known) -> Any:
        from saml2.saml import NameID

        return NameID(format=known.name_id_format, text=known.user)

    def logout(self, variant: str, known: Known) -> tuple[str, Reply]:
        client = self.clients[variant]
        entity_id = next(iter(client.metadata.with_descriptor("idpsso")))
        answers = client.do_logout(
            self._name_id(variant, known), [entity_id], "", None, expected_binding=self._binding("redirect"),
            session_indexes=[known.session_index],
        )  # fmt: skip
        _binding, arguments = answers[entity_id]
        return "", self._reply(arguments)

    def single_logout(
        self, variant: str, message: dict[str, str], known: Known | None, *, is_post: bool, query: str, request_id: str
    ) -> tuple[bool, Reply]:
        from saml2.saml import NameID

        client, binding = self.clients[variant], self._binding("post" if is_post else "redirect")
        if "SAMLResponse" in message:
            client.parse_logout_request_response(message["SAMLResponse"], binding)
            return True, Reply()
        signature = {} if is_post else {"sigalg": message.get("SigAlg"), "signature": message.get("Signature")}
        if known is None:
            raise Refused("nobody is signed in")
        name_id = NameID(format=known.name_id_format, text=known.user)
        client.users.add_information_about_person(
            {"name_id": name_id, "issuer": next(iter(client.metadata.with_descriptor("idpsso"))), "not_on_or_after": 0}
        )
        arguments = client.handle_logout_request(
            message["SAMLRequest"], name_id, binding, sign=True, relay_state=message.get("RelayState"), **signature
        )
        return True, self._reply(arguments)


class Python3SAML(Library):
    """python3-saml with its own settings, filled from the identity provider's metadata."""

    def _settings(self, name: str) -> dict[str, Any]:
        from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser as Parser

        variant = VARIANTS[name]
        redirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
        own = {
            "strict": True,
            "sp": {
                "entityId": self.site.url(name, "metadata"),
                "assertionConsumerService": {
                    "url": self.site.url(name, "acs"),
                    "binding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
                },
                "singleLogoutService": {"url": self.site.url(name, "slo"), "binding": redirect},
                "x509cert": Path(self.site.certificate_file).read_text(),
                "privateKey": Path(self.site.key_file).read_text(),
            },
            "security": {
                "authnRequestsSigned": variant.signs_requests,
                "logoutRequestSigned": True,
                "logoutResponseSigned": True,
                "wantMessagesSigned": variant.wants_signed_response,
                "wantAssertionsSigned": True,
                "wantAssertionsEncrypted": variant.wants_encryption,
                "wantNameId": True,
                "requestedAuthnContext": name == "plain",  # its default: PasswordProtectedTransport, exactly
                "rejectDeprecatedAlgorithm": True,
            },
        }
        theirs = Parser.parse(Path(self.site.idp_file).read_text())
        return dict(Parser.merge_settings(theirs, own))

    def _auth(self, variant: str, *, get: dict[str, str], post: dict[str, str], path: str, query: str = "") -> Any:
        from onelogin.saml2.auth import OneLogin_Saml2_Auth

        parts = urlsplit(self.site.origin)
        request = {
            "https": "off",
            "http_host": parts.netloc,
            "script_name": f"/{variant}/{path}",
            "get_data": get,
            "post_data": post,
            "query_string": query,
        }
        return OneLogin_Saml2_Auth(request, self._settings(variant))

    def metadata(self, variant: str) -> str:
        from onelogin.saml2.settings import OneLogin_Saml2_Settings

        settings = OneLogin_Saml2_Settings(self._settings(variant), sp_validation_only=True)
        text = settings.get_sp_metadata()
        return str(text.decode() if isinstance(text, bytes) else text)

    def login(self, variant: str, binding: str, relay_state: str) -> tuple[str, Reply]:
        auth = self._auth(variant, get={}, post={}, path="login")
        location = auth.login(return_to=relay_state)
        return str(auth.get_last_request_id()), Reply(location=location)

    def consume(self, variant: str, form: dict[str, str], request_id: str) -> Known:
        auth = self._auth(variant, get={}, post=form, path="acs")
        auth.process_response(request_id=request_id or None)
        if auth.get_errors():
            raise Refused(f"{auth.get_errors()} {auth.get_last_error_reason()}")
        return Known(
            user=auth.get_nameid(),
            name_id_format=auth.get_nameid_format(),
            session_index=auth.get_session_index(),
            attributes=auth.get_attributes(),
            relay_state=form.get("RelayState", ""),
            authn_context=auth.get_last_authn_contexts()[0],
        )

    def logout(self, variant: str, known: Known) -> tuple[str, Reply]:
        auth = self._auth(variant, get={}, post={}, path="logout")
        location = auth.logout(
            name_id=known.user, name_id_format=known.name_id_format, session_index=known.session_index
        )
        return str(auth.get_last_request_id()), Reply(location=location)

    def single_logout(
        self, variant: str, message: dict[str, str], known: Known | None, *, is_post: bool, query: str, request_id: str
    ) -> tuple[bool, Reply]:
        auth = self._auth(variant, get=message, post={}, path="slo", query=query)
        ended: list[bool] = []
        location = auth.process_slo(request_id=request_id or None, delete_session_cb=lambda: ended.append(True))
        if auth.get_errors():
            raise Refused(f"{auth.get_errors()} {auth.get_last_error_reason()}")
        return bool(ended), Reply(location=location or "")


LIBRARIES = {"pysaml2": PySAML2, "python3-saml": Python3SAML}


class App(BaseHTTPRequestHandler):
    """The HTTP around a library."""

    library: ClassVar[Library]
    cookie: ClassVar[str]
    known: ClassVar[dict[str, Known]] = {}
    outstanding: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        self._handle(self._query())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._handle({name: values[0] for name, values in parse_qs(body).items()})

    def _query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def _handle(self, message: dict[str, str]) -> None:
        _, variant, name = (*urlsplit(self.path).path.split("/"), "", "")[:3]
        if variant not in VARIANTS:
            self._json({"variants": list(VARIANTS)})
            return
        try:
            getattr(self, f"_{name or 'home'}")(variant, message)
        except Exception as error:
            self._json({"refused": f"{type(error).__name__}: {error}"}, status=403)

    def _home(self, variant: str, message: dict[str, str]) -> None:
        known = self.known.get(self._key(variant))
        self._json(asdict(known) if known else {})

    def _metadata(self, variant: str, message: dict[str, str]) -> None:
        self._answer(200, self.library.metadata(variant).encode(), {"Content-Type": "application/samlmetadata+xml"})

    def _login(self, variant: str, message: dict[str, str]) -> None:
        handle = self._handle_of_browser() or secrets.token_urlsafe(16)
        binding = message.get("binding", "redirect")
        request_id, reply = self.library.login(variant, binding, f"{self.library.site.origin}/{variant}/")
        self.outstanding[f"{handle} {variant}"] = request_id
        self._reply(variant, reply, {"Set-Cookie": f"{self.cookie}={handle}; Path=/"})

    def _acs(self, variant: str, form: dict[str, str]) -> None:
        handle = self._handle_of_browser() or secrets.token_urlsafe(16)
        key = f"{handle} {variant}"
        self.known[key] = self.library.consume(variant, form, self.outstanding.pop(key, ""))
        self._reply(variant, Reply(), {"Set-Cookie": f"{self.cookie}={handle}; Path=/"})

    def _logout(self, variant: str, message: dict[str, str]) -> None:
        request_id, reply = self.library.logout(variant, self.known.pop(self._key(variant)))
        self.outstanding[self._key(variant)] = request_id
        self._reply(variant, reply)

    def _slo(self, variant: str, message: dict[str, str]) -> None:
        key = self._key(variant)
        is_ended, reply = self.library.single_logout(
            variant,
            message,
            self.known.get(key),
            is_post=self.command == "POST",
            query=urlsplit(self.path).query,
            request_id=self.outstanding.pop(key, "") if "SAMLResponse" in message else "",
        )
        if is_ended:
            self.known.pop(key, None)
        self._reply(variant, reply)

    def _key(self, variant: str) -> str:
        return f"{self._handle_of_browser()} {variant}"

    def _handle_of_browser(self) -> str:
        morsel = SimpleCookie(self.headers.get("Cookie", "")).get(self.cookie)
        return morsel.value if morsel else ""

    def _reply(self, variant: str, reply: Reply, headers: dict[str, str] | None = None) -> None:
        if reply.page:
            self._answer(200, reply.page.encode(), {"Content-Type": "text/html", **(headers or {})})
        else:
            self._answer(302, b"", {"Location": reply.location or f"/{variant}/", **(headers or {})})

    def _json(self, document: dict[str, Any], *, status: int = 200) -> None:
        self._answer(status, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Say nothing: addresses hold messages."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=sorted(LIBRARIES))
    for name in ("--idp", "--key", "--certificate"):
        parser.add_argument(name, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    site = Site(options.idp, options.key, options.certificate, f"http://127.0.0.1:{options.port}")
    App.library = LIBRARIES[options.library](site)
    App.cookie = f"app_{options.port}"
    ThreadingHTTPServer(("127.0.0.1", options.port), App).serve_forever()


if __name__ == "__main__":
    main()

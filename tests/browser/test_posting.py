"""Pages that post themselves: whoever takes the form may lead the browser on, to a host that we have never heard of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.http import HttpResponse
from playwright.sync_api import Browser

from identity.browser.content_security import allow_form_targets

pytestmark = pytest.mark.browser
Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that gives one answer to everything; returns its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, body: str = "", **headers: str) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body.encode())

            def do_POST(self) -> None:
                self.do_GET()

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.spec("SAMLBind-3.5.4")
def test_a_form_that_is_answered_with_a_redirect_elsewhere_arrives(chromium: Browser, serve: Serve) -> None:
    portal = serve(200, "<p>portal</p>", Content_Type="text/html")
    consumer = serve(302, Location=portal)
    ours = HttpResponse()
    allow_form_targets(ours, [consumer])
    policy = " ".join(["form-action", *ours._csp_update["form-action"]])  # type: ignore[attr-defined]
    form = f'<form method="post" action="{consumer}"><button>Continue</button></form>'
    page = chromium.new_page()
    try:
        page.goto(serve(200, form, Content_Type="text/html", Content_Security_Policy=f"default-src 'none'; {policy}"))
        page.click("button")
        page.wait_for_url(portal)
    finally:
        page.close()

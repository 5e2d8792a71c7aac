"""The web browser SSO profile (SAMLProf-4.1)."""

from __future__ import annotations

import pytest

from tests.specs.conformance import Browser
from tests.specs.saml_fixtures import RegisteredParty


@pytest.mark.spec("SAMLProf-4.1.4.2")
def test_a_redirect_brings_a_signed_assertion_by_post(provider: RegisteredParty, browser: Browser) -> None:
    answer = provider.sign_in(browser)
    assert answer.status == ("Success",)
    assert answer.name_id.text == "minghui"
    assert answer.assertion.tag.endswith("}Assertion")
    assert answer.verified(".").tag.endswith("}Response")

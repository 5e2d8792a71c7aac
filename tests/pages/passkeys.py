"""What tests do with passkeys on our pages."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from django.http import HttpResponse

from identity.context import RequestContext
from identity.models import User
from identity.sign_in import enrolment
from tests.pages.conftest import HOST
from tests.support.authenticator import Passkey

ORIGIN = f"https://{HOST}"


def options_on(response: HttpResponse, kind: str = "create") -> dict[str, Any]:
    found = re.search(rf'data-passkey-{kind}="([^"]+)"', response.content.decode())
    assert found, response.content.decode()
    options: dict[str, Any] = json.loads(html.unescape(found[1]))
    return options


def give_passkey(user: User, **options: Any) -> Passkey:
    """Add a passkey through the service."""
    host = user.tenant.domains.get().host
    key = Passkey(host, user_handle=user.public_id, **options)
    context = RequestContext(tenant=user.tenant)
    made = enrolment.begin_passkey(user=user, owner="test", context=context)
    credential = key.create(made, f"https://{host}")
    enrolment.finish_passkey(user=user, owner="test", name="", credential=credential, context=context)
    return key

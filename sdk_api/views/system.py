"""What an app asks before anybody signs in: clock, key (OneAccess-3.2.2) and countries (OneAccess-3.2.4.3)."""

from __future__ import annotations

import time

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rest_framework.request import Request as HttpCall
from rest_framework.response import Response

from identity.keyring import keys
from identity.messaging import countries, phone
from identity.models import KeyUse
from sdk_api.signature import KEY_ALG
from sdk_api.views.base import SDKView


class ServerDateView(SDKView):
    """OneAccess-3.2.2.1."""

    def get(self, request: HttpCall) -> Response:
        """Tell the time that signatures must be made with: milliseconds, as a text of 13 digits."""
        return Response({"timestamp": str(time.time_ns() // 1_000_000)})


class PublicKeyView(SDKView):
    """OneAccess-3.2.2.2. Keys are the tenant's (decision 27)."""

    def get(self, request: HttpCall) -> Response:
        """Give the key under which X-signature is encrypted, as PEM without a last line feed."""
        key = keys.active(tenant=self.caller.tenant, use=KeyUse.ENC, alg=KEY_ALG)
        pem = key.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return Response({"public_key": pem.decode().rstrip("\n")})


class CountryCodesView(SDKView):
    """OneAccess-3.2.4.3. The list is the same for every tenant; the entry to preselect is the tenant's."""

    def get(self, request: HttpCall) -> Response:
        """List them. D08: the preferred one is named by its country code."""
        return Response(
            {
                "phoneAreaCodeDefinitions": countries.wire_entries(),
                "preferredAreaCode": phone.country_of(self.caller.tenant),
            }
        )

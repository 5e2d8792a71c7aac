"""Countries of a form for telephone numbers (OneAccess-3.2.4.3)."""

from __future__ import annotations

from rest_framework.request import Request as HttpCall
from rest_framework.response import Response

from identity.messaging import countries, messages
from sdk_api.views.base import SDKView


class CountryCodesView(SDKView):
    """OneAccess-3.2.4.3. The list is the same for every tenant; the entry to preselect is the tenant's."""

    def get(self, request: HttpCall) -> Response:
        """List them. D08: the preferred one is named by its country code."""
        return Response(
            {
                "phoneAreaCodeDefinitions": countries.wire_entries(),
                "preferredAreaCode": messages.country_of(self.caller.tenant),
            }
        )

"""Routes of the tenant API and of its documentation."""

from __future__ import annotations

from django.urls import path

from tenant_api import documentation
from tenant_api.operations import OPERATIONS

app_name = "tenant_api"

urlpatterns = [
    *OPERATIONS,
    path("api/docs", documentation.documentation, name="docs"),
    path("api/docs/openapi.json", documentation.SchemaView.as_view(), name="schema"),
    path("api/docs/sign-in", documentation.sign_in, name="docs-sign-in"),
    path("api/docs/sign-out", documentation.sign_out, name="docs-sign-out"),
]

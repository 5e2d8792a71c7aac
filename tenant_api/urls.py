"""Routes of the tenant API and of its documentation."""

from __future__ import annotations

from django.urls import path

from tenant_api.operations import OPERATIONS
from tenant_api.views import docs

app_name = "tenant_api"

urlpatterns = [
    *OPERATIONS,
    path("api/docs", docs.documentation, name="docs"),
    path("api/docs/openapi.json", docs.SchemaView.as_view(), name="schema"),
    path("api/docs/sign-in", docs.sign_in, name="docs-sign-in"),
    path("api/docs/sign-out", docs.sign_out, name="docs-sign-out"),
]

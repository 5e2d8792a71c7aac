"""Routes of miniapp, below the tenant's root. They are part of the Pactera dialect, which is bound here."""

from __future__ import annotations

from django.urls import path

from miniapp import consent_page, views
from oidc_provider import dialects

app_name = "miniapp"

_OF_DIALECT = {"dialect": dialects.OF_MINI_PROGRAMS}

urlpatterns = [
    path("auth/isAuthorized", views.is_authorized, _OF_DIALECT, name="is_authorized"),  # Pactera-3.5
    path("oidc/authcode", views.authcode, _OF_DIALECT, name="authcode"),  # Pactera-3.6
    path("auth/consent", views.consent, _OF_DIALECT, name="consent"),
    path("auth/consent/agreed", consent_page.agreed, name="agreed"),
    path("auth/consent/refused", consent_page.refused, name="refused"),
]

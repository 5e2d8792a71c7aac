"""Routes of oidc_provider."""

from django.urls import URLPattern, URLResolver

app_name = "oidc_provider"
urlpatterns: list[URLPattern | URLResolver] = []

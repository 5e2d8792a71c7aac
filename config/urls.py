"""Where each app is mounted. Paths inside an app are its own."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("identity.urls")),
    path("", include("oidc_provider.urls")),
]

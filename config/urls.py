"""Where each app is mounted. Paths inside an app are its own."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("admin", RedirectView.as_view(pattern_name="admin:index")),  # APPEND_SLASH is off
    path("admin/", admin.site.urls),
    path("", include("identity.urls")),
    path("", include("oidc_provider.urls")),
]

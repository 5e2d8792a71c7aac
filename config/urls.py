"""Where each app is mounted. Paths inside an app are its own."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("admin", RedirectView.as_view(pattern_name="admin:index")),  # APPEND_SLASH is off
    path("admin/", admin.site.urls),
    path("", include("identity.urls")),
    path("", include("oidc_provider.urls")),
    path("", include("cas_saml.urls")),
    path("", include("miniapp.urls")),
    path("", include("tenant_api.urls")),
    path("", include("sdk_api.urls")),
]

# Our pages, or JSON for machines. They need neither a tenant nor a database.
handler400 = "identity.views.errors.bad_request"
handler403 = "identity.views.errors.forbidden"
handler404 = "identity.views.errors.not_found"
handler500 = "identity.views.errors.server_error"

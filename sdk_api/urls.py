"""Routes of the SDK API: the operations that are built."""

from __future__ import annotations

from django.urls import path

from sdk_api.views import login, password, profile, sso, system

app_name = "sdk_api"

urlpatterns = [
    path("api/v2/sdk/server-date", system.ServerDateView.as_view(), name="server-date"),
    path("api/v2/sdk/public-key", system.PublicKeyView.as_view(), name="public-key"),
    path("api/v2/sdk/login", login.LoginView.as_view(), name="login"),
    path("api/v2/sdk/logout", login.LogoutView.as_view(), name="logout"),
    path("api/v2/sdk/pwd/skip-update", password.SkipUpdateView.as_view(), name="pwd-skip-update"),
    path("api/v2/sdk/pwd/update", password.UpdateView.as_view(), name="pwd-update"),
    path("api/v2/sdk/profile", profile.ProfileView.as_view(), name="profile"),
    path("api/v2/sdk/session-token/refresh-id-token", sso.RefreshIdTokenView.as_view(), name="refresh-id-token"),
    path("api/v2/tenant/sso/session-token/sso-ticket", sso.IssueTicketView.as_view(), name="sso-ticket"),
    path("api/v2/tenant/sso/sso-ticket/verify", sso.VerifyTicketView.as_view(), name="sso-ticket-verify"),
    path("api/v2/tenant/sso/session-token/refresh", sso.RefreshView.as_view(), name="session-token-refresh"),
]

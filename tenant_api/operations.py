"""The operations of the tenant API and their paths, from which routes and documentation are made.

A path parameter may be empty: that is refused by its code, not by a 404.
"""

from __future__ import annotations

from django.urls import path, register_converter

from tenant_api.views import accounts, application_organizations, organizations, roles, token, users


class SegmentConverter:
    """One segment of a path, which may be empty."""

    regex = "[^/]*"

    def to_python(self, value: str) -> str:
        """As it is."""
        return value

    def to_url(self, value: str) -> str:
        """As it is."""
        return value


register_converter(SegmentConverter, "segment")

_USER = "users/<segment:user_id>"
_APP = "applications/<segment:application_id>"

_ROUTES = [
    path("token", token.TokenView.as_view(), name="token"),
    # A literal before the template that it fits.
    path("users/user-by-username", users.UserByUsernameView.as_view(), name="user-by-username"),
    path("users", users.UsersView.as_view(), name="users"),
    path(_USER, users.UserByIdView.as_view(), name="user"),
    path(f"{_USER}/enable", users.EnableUserView.as_view(), name="user-enable"),
    path(f"{_USER}/disable", users.DisableUserView.as_view(), name="user-disable"),
    path(f"{_USER}/change-password", users.ChangePasswordView.as_view(), name="user-password"),
    path(f"{_USER}/change-password-verify", users.ChangePasswordVerifyView.as_view(), name="user-password-verify"),
    path(f"{_USER}/accounts", users.UserAccountsView.as_view(), name="user-accounts"),
    path(f"{_USER}/{_APP}/accounts", users.AuthorizeAccountView.as_view(), name="user-application"),
    path("organizations", organizations.OrganizationsView.as_view(), name="organizations"),
    path("organizations/<segment:org_id>", organizations.OrganizationView.as_view(), name="organization"),
    path(f"{_APP}/organizations", application_organizations.AppOrganizationsView.as_view(), name="app-organizations"),
    path(
        f"{_APP}/organizations/<segment:org_id>",
        application_organizations.AppOrganizationView.as_view(),
        name="app-organization",
    ),
    path(f"{_APP}/accounts/basic-account", accounts.BasicAccountView.as_view(), name="basic-account"),
    path(f"{_APP}/accounts/orphan-account", accounts.OrphanAccountView.as_view(), name="orphan-account"),
    path(f"{_APP}/accounts/public-account", accounts.PublicAccountView.as_view(), name="public-account"),
    path(f"{_APP}/accounts", accounts.AccountsView.as_view(), name="accounts"),
    path(f"{_APP}/accounts/<segment:account_id>", accounts.AccountView.as_view(), name="account"),
    path(f"{_APP}/accounts/<segment:account_id>/enable", accounts.EnableAccountView.as_view(), name="account-enable"),
    path(
        f"{_APP}/accounts/<segment:account_id>/disable", accounts.DisableAccountView.as_view(), name="account-disable"
    ),
    path(f"{_APP}/role", roles.RolesView.as_view(), name="roles"),
    path(f"{_APP}/role/<segment:role_id>", roles.RoleView.as_view(), name="role"),
    path(f"{_APP}/role-list", roles.RoleListView.as_view(), name="role-list"),
    path(f"{_APP}/role-member", roles.RoleMembersView.as_view(), name="role-member"),
    path(f"{_APP}/role-member-list/<segment:role_id>", roles.RoleMemberListView.as_view(), name="role-member-list"),
]

OPERATIONS = [path(f"api/v2/tenant/{route.pattern}", route.callback, name=route.name) for route in _ROUTES]

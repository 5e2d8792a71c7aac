"""`manage.py load_demo`: a tenant to try things in, made once by `make run`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from config import demo
from config.env import BASE_DIR
from identity import policies
from identity.configuration.files import apply_documents
from identity.context import SYSTEM
from identity.directory import lists, tenants
from identity.keyring import secret_check
from identity.models import PasswordPolicy, Tenant
from identity.passwords import credentials
from identity.sign_in import account

TENANT = "default"
OPERATOR, USER = "operator", "alice"


class Command(BaseCommand):
    """Make the demo tenant where there is no tenant at all; do nothing where there is."""

    help = "Make a demo tenant with an operator and a user, whose passwords are generated, if there is no tenant yet."

    def handle(self, *args: Any, **options: Any) -> None:
        """Load, or make sure that somebody knows the passwords of what was loaded before."""
        secret_check.prove()
        if tenants.has_demo_data():
            if not demo.people():
                self.renew_passwords()
            return
        if Tenant.objects.exists():
            self.stdout.write("There is a tenant already: no demo data loaded.")
            return
        passwords = {name: credentials.generate_password(PasswordPolicy()) for name in (OPERATOR, USER)}
        with transaction.atomic():
            apply_documents([document(passwords)], base_dir=BASE_DIR)
            tenants.mark_demo(Tenant.objects.get(code=TENANT))
            remember(passwords)

    def renew_passwords(self) -> None:
        """Give new passwords: the file that kept them is gone, and the database never had them."""
        passwords = {}
        tenant = Tenant.objects.get(has_demo_data=True)
        with transaction.atomic():
            for name in (OPERATOR, USER):
                user = lists.find_user(tenant=tenant, user_name=name)
                if user is not None:
                    passwords[name] = credentials.generate_password(policies.password_policy(tenant))
                    account.set_password_of(user=user, password=passwords[name], context=SYSTEM, actor="system")
            remember(passwords)


def remember(passwords: dict[str, str]) -> None:
    """Write down who there is to sign in as."""
    roles = {OPERATOR: "Operator", USER: "User"}
    demo.remember(
        [demo.Person(role=roles[name], user_name=name, password=password) for name, password in passwords.items()]
    )


def document(passwords: dict[str, str]) -> dict[str, Any]:
    """Return the demo in the form of a configuration file (docs/config.md)."""
    return {
        "tenant": {"code": TENANT, "name": "Monban Demo"},
        "organizations": [
            {"code": "hq", "name": "Sakura Trading", "category": "company"},
            {"code": "sales", "name": "Sales", "parent": "hq"},
            {"code": "research", "name": "Research", "parent": "hq"},
        ],
        "users": [
            {
                "user_name": OPERATOR,
                "password": passwords[OPERATOR],
                "name": "Olga Operator",
                "email": "operator@demo.example",
                "email_verified": True,
                "organization": "hq",
                "operator": True,
                "superuser": True,
            },
            {
                "user_name": USER,
                "password": passwords[USER],
                "name": "Alice Sato",
                "first_name": "Alice",
                "last_name": "Sato",
                "email": "alice@demo.example",
                "organization": "sales",
                "organizations": ["research"],
            },
        ],
        "applications": [
            {
                "code": "demo",
                "name": "Demo relying party",
                "description": "Any OpenID Connect library on this machine.",
                "roles": [{"code": "reader", "name": "Reader"}, {"code": "editor", "name": "Editor"}],
                "accounts": [{"user_name": USER, "roles": ["reader"]}],
                "clients": [
                    {
                        # A public client with PKCE: there is no secret that everybody would have in common.
                        "client_id": "demo",
                        "token_endpoint_auth_method": "none",
                        "native": True,
                        "grant_types": ["authorization_code", "refresh_token"],
                        "scopes": ["openid", "profile", "email", "roles", "organizations", "offline_access"],
                        "redirect_uris": ["http://127.0.0.1:5000/callback"],
                        "post_logout_redirect_uris": ["http://127.0.0.1:5000/"],
                    }
                ],
            }
        ],
    }

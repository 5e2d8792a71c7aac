"""The look and the navigation of the operators' pages (django-unfold)."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

# The blue of the sign-in page, from light to dark.
_ACCENT = {
    "50": "oklch(97% .012 262)",
    "100": "oklch(93.5% .03 262)",
    "200": "oklch(88% .06 262)",
    "300": "oklch(80% .1 262)",
    "400": "oklch(69% .14 262)",
    "500": "oklch(56% .15 262)",
    "600": "oklch(42% .13 262)",
    "700": "oklch(37% .115 262)",
    "800": "oklch(32% .095 262)",
    "900": "oklch(27% .075 262)",
    "950": "oklch(20% .05 262)",
}

# The theme's own texts have no Chinese or Japanese. Named here, they are in our catalogues, which come before its own.
_THEME_TEXTS = (
    _("Add row"),
    _("Apply Filters"),
    _("Choose file to upload"),
    _("Click to cancel"),
    _("Dark"),
    _("Expand row"),
    _("General"),
    _("Go back"),
    _("Light"),
    _("Loading more results..."),
    _("More actions"),
    _("No data"),
    _("No recent searches"),
    _("No results found"),
    _("No results matching your query"),
    _("Previous"),
    _("Recent searches"),
    _("Reset filters"),
    _("Return to site"),
    _("Run"),
    _("Select all rows"),
    _("System"),
    _("This item will be deleted."),
    _("This page yielded into no results. Create a new item or reset your filters."),
    _("Toggle password visibility"),
    _("Type to search"),
)


def admin_theme() -> dict[str, Any]:
    """Return the theme's settings. Entries that the operator may not open are hidden."""
    return {
        "SITE_TITLE": "Monban",
        "SITE_HEADER": "Monban 門番",
        "SITE_SYMBOL": "door_front",
        "SITE_FAVICONS": [
            {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("monban/favicon.svg")}
        ],
        "STYLES": [
            lambda request: static("monban/admin_colors.css"),  # made of COLORS; see config.admin_site
            lambda request: static("monban/admin.css"),
        ],
        "SCRIPTS": [lambda request: static("monban/admin.js")],
        "SITE_URL": reverse_lazy("identity:account"),
        "SHOW_HISTORY": True,
        "SHOW_VIEW_ON_SITE": False,
        "BORDER_RADIUS": "8px",
        "COLORS": {"primary": _ACCENT},
        "DASHBOARD_CALLBACK": "identity.admin.dashboard.dashboard",
        # The theme's search over all models would count and scan large tables.
        "COMMAND": {"search_models": False, "show_history": False},
        "SIDEBAR": {
            "show_search": False,
            "show_all_applications": False,
            "navigation": [
                _group(
                    _("People"),
                    ("identity", "user", _("Users"), "person"),
                    ("identity", "organization", _("Organisations"), "account_tree"),
                    ("identity", "attributedefinition", _("Attributes"), "list_alt"),
                ),
                _group(
                    _("Applications"),
                    ("identity", "application", _("Applications"), "apps"),
                    ("oidc_provider", "client", _("OAuth clients"), "key"),
                    ("cas_saml", "casservice", _("CAS services"), "confirmation_number"),
                    ("cas_saml", "serviceprovider", _("SAML service providers"), "swap_horiz"),
                    ("oidc_provider", "apiscope", _("API scopes"), "api"),
                    ("oidc_provider", "hostapplication", _("Host applications"), "phone_iphone"),
                    ("identity", "appaccount", _("Application accounts"), "badge"),
                    ("identity", "approle", _("Application roles"), "group"),
                    ("identity", "apporganization", _("Application organisations"), "lan"),
                ),
                _group(
                    _("Sign-ins"),
                    ("identity", "ssosession", _("Sessions"), "devices"),
                    ("oidc_provider", "consent", _("Consents"), "handshake"),
                    ("identity", "externalidentity", _("Linked accounts"), "link"),
                    ("identity", "device", _("Devices"), "smartphone"),
                    ("identity", "auditevent", _("Audit"), "fact_check"),
                    ("identity", "delivery", _("Deliveries"), "outbox"),
                    ("identity", "sentmessage", _("Sent messages"), "sms"),
                ),
                _group(
                    _("Installation"),
                    ("identity", "tenant", _("Tenants"), "domain"),
                    ("identity", "upstream", _("Sign-in sources"), "login"),
                    ("identity", "messagegateway", _("Message gateways"), "cell_tower"),
                    ("identity", "messagetemplate", _("Message texts"), "edit_note"),
                    ("identity", "keypair", _("Keys"), "vpn_key"),
                    ("auth", "group", _("Operator groups"), "shield_person"),
                ),
            ],
        },
    }


def _group(title: Any, *entries: tuple[str, str, Any, str]) -> dict[str, Any]:
    return {"title": title, "separator": True, "items": [_entry(*entry) for entry in entries]}


def _entry(app_label: str, model: str, title: Any, icon: str) -> dict[str, Any]:
    def is_allowed(request: Any) -> bool:
        return bool(request.user.has_perm(f"{app_label}.view_{model}"))

    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app_label}_{model}_changelist"),
        "permission": is_allowed,
    }

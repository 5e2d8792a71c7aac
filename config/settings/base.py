"""Every setting, with one dict per app. The settings modules beside this one call `build` and change little.

`build` is a function of the environment so that nothing here reads it a second time, and so that a test can ask
what a given environment would give.
"""

from typing import Any

from config.env import BASE_DIR, VAR_DIR, Environment, cores, database_config, email_config, read_server
from config.logging import logging_config
from config.settings.admin_theme import admin_theme

Settings = dict[str, Any]

LANGUAGES = [("en", "English"), ("zh-hans", "简体中文"), ("ja", "日本語")]


def build(env: Environment) -> Settings:
    """Return all settings for this environment, by name."""
    return {
        **core(env),
        **apps(),
        **storage(env),
        **security(env),
        **below(env),
        **pages(env),
        **email_config(env.email_url),
        "DEFAULT_FROM_EMAIL": env.default_from_email,
        "LOGGING_CONFIG": "logging.config.dictConfig",
        "LOGGING": logging_config(level=env.log_level, form=env.log_format),
        "IDENTITY": identity(env),
        "OIDC_PROVIDER": oidc_provider(env),
        "CAS_SAML": {},  # cas_saml/conf.py has the defaults
        "TENANT_API": {},  # tenant_api/conf.py has the defaults
        "OAUTH2_PROVIDER": toolkit(),
        "REST_FRAMEWORK": rest_framework(),
        "UNFOLD": admin_theme(),
    }


def core(env: Environment) -> Settings:
    """Django's own identity: keys, time, language, entry points."""
    return {
        "BASE_DIR": BASE_DIR,
        "DEBUG": env.debug,
        "SECRET_KEY": env.secret_key,
        # The host is checked against the tenants' domains by RequestContextMiddleware, which answers 404 for
        # an unknown one; a static list would have to repeat those rows.
        "ALLOWED_HOSTS": ["*"],
        "ROOT_URLCONF": "config.urls",
        "WSGI_APPLICATION": "config.wsgi.application",
        "MACHINE_LANE": env.machine_lane,
        "ASGI_APPLICATION": "config.asgi.application",
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "USE_TZ": True,
        "TIME_ZONE": "UTC",
        "USE_I18N": True,
        "LANGUAGE_CODE": "en",
        "LANGUAGES": LANGUAGES,
        "LOCALE_PATHS": [BASE_DIR / "locale"],
        # Protocol endpoints are mounted without a slash at the end; guessing one would redirect a POST.
        "APPEND_SLASH": False,
        "DATA_UPLOAD_MAX_MEMORY_SIZE": 1024 * 1024,  # bytes; larger bodies are refused before they are parsed
        "DATA_UPLOAD_MAX_NUMBER_FIELDS": 200,
        "FILE_UPLOAD_MAX_MEMORY_SIZE": 1024 * 1024,
    }


def apps() -> Settings:
    """Say what is installed, and swap the toolkit's six models for ours."""
    return {
        "INSTALLED_APPS": [
            "unfold.apps.BasicAppConfig",  # before the admin, whose templates it replaces
            "unfold.contrib.filters",
            "config.apps.AdminConfig",  # Django's admin with our site
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
            "django.contrib.humanize",
            "rest_framework",
            "oauth2_provider",  # before ours, which replaces the admin classes it registers
            "csp",
            "identity",
            "oidc_provider",
            "miniapp",
            "tenant_api",
            "sdk_api",
            "cas_saml",
            "config",
        ],
        "AUTH_USER_MODEL": "identity.User",
        "AUTHENTICATION_BACKENDS": ["identity.sign_in.backends.SSOSessionBackend"],
        "OAUTH2_PROVIDER_APPLICATION_MODEL": "oidc_provider.Client",
        "OAUTH2_PROVIDER_GRANT_MODEL": "oidc_provider.AuthorizationCode",
        "OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL": "oidc_provider.AccessToken",
        "OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL": "oidc_provider.RefreshToken",
        "OAUTH2_PROVIDER_ID_TOKEN_MODEL": "oidc_provider.IDToken",
        "OAUTH2_PROVIDER_DEVICE_GRANT_MODEL": "oidc_provider.DeviceGrant",
        "MIDDLEWARE": [
            # First: knows the tenant, the true client address and scheme, and turns a lost database into 503.
            "identity.middleware.RequestContextMiddleware",
            "django.middleware.security.SecurityMiddleware",
            "whitenoise.middleware.WhiteNoiseMiddleware",
            "identity.middleware.ContentSecurityPolicyMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",  # the admin's own state; lazy elsewhere
            "oidc_provider.middleware.CORSMiddleware",
            "oidc_provider.middleware.ScriptedSignInMiddleware",  # before CsrfViewMiddleware, whose place it may take
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            # In place of Django's AuthenticationMiddleware: request.sso_session and request.user, both lazy.
            "identity.middleware.SSOSessionMiddleware",
            "identity.middleware.LanguageMiddleware",
            "identity.middleware.BudgetMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        "SILENCED_SYSTEM_CHECKS": [
            "admin.E408",  # looks for Django's AuthenticationMiddleware by name; SSOSessionMiddleware does its work
            "auth.W004",  # a user name is unique in its tenant; SSOSessionBackend knows the tenant
            "oauth2_provider.W001",  # the implicit flow exists, for clients that are flagged for it
            "oauth2_provider.W005",  # our answers carry the tenant's own `iss`; the toolkit knows one for all
        ],
    }


def storage(env: Environment) -> Settings:
    """Database and cache."""
    if env.redis_url:
        cache: Settings = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": env.redis_url}
    else:
        # Never per-process memory: limits and locks would count once for each worker.
        cache = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}
    return {
        "DATABASES": {"default": database(env.database_url)},
        "CACHES": {"default": {**cache, "KEY_PREFIX": "monban"}},
    }


def database(url: str | None) -> Settings:
    """Choose the embedded database under var/, or the one that DATABASE_URL names."""
    if not url:
        return sqlite(str(VAR_DIR / "monban.sqlite3"))
    parsed = database_config(url)
    return sqlite(parsed["NAME"]) if parsed["ENGINE"] == "django.db.backends.sqlite3" else postgresql(url)


def sqlite(file: str) -> Settings:
    """Set up the embedded database. One writer at a time, and readers never wait for it."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        "ATOMIC_REQUESTS": False,  # refusals are audited after the rollback; services open their own transactions
        "OPTIONS": {
            # A transaction takes the write lock when it begins, so it can never fail for having read first.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,  # seconds to wait for the write lock
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON;",
        },
    }


def postgresql(url: str) -> Settings:
    """PostgreSQL with connections that stay open and statements the server keeps prepared."""
    return {
        **database_config(url),
        "ENGINE": "config.postgresql",
        "ATOMIC_REQUESTS": False,
        "CONN_MAX_AGE": 600,  # seconds
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **database_config(url).get("OPTIONS", {}),
            "connect_timeout": 5,  # seconds; a database that is down must turn into 503, not into a hang
            "server_side_binding": True,
            "prepare_threshold": 2,  # executions before a statement is prepared
        },
    }


def security(env: Environment) -> Settings:
    """Passwords, cookies, transport and the content security policy of end-user pages."""
    https = not env.debug
    prefix = cookie_prefix(env)
    return {
        "PASSWORD_HASHERS": [
            "identity.passwords.hashers.Argon2id",
            # Verified once and replaced by Argon2id at the next login.
            "django.contrib.auth.hashers.PBKDF2PasswordHasher",
            "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
            "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
            "identity.passwords.hashers.BCrypt",
            "identity.passwords.hashers.SaltedSHA256",
            "identity.passwords.hashers.SaltedSHA1",
            "identity.passwords.hashers.LDAPSaltedSHA",
            "identity.passwords.hashers.LDAPSaltedSHA256",
            "identity.passwords.hashers.LDAPSaltedSHA512",
        ],
        # The rules are each tenant's password policy (identity.passwords.credentials), not a global list.
        "AUTH_PASSWORD_VALIDATORS": [],
        "SESSION_ENGINE": "django.contrib.sessions.backends.db",
        "SESSION_COOKIE_NAME": f"{prefix}monban_admin",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": https,
        "SESSION_COOKIE_AGE": 8 * 3600,  # seconds
        "CSRF_COOKIE_NAME": f"{prefix}monban_csrf",
        "CSRF_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_SAMESITE": "Lax",
        "CSRF_COOKIE_SECURE": https,
        "CSRF_FAILURE_VIEW": "identity.views.errors.csrf_failure",
        "LANGUAGE_COOKIE_NAME": "monban_language",
        "LANGUAGE_COOKIE_HTTPONLY": True,
        "LANGUAGE_COOKIE_SAMESITE": "Lax",
        "LANGUAGE_COOKIE_SECURE": https,
        "X_FRAME_OPTIONS": "DENY",
        "SECURE_CONTENT_TYPE_NOSNIFF": True,
        "SECURE_REFERRER_POLICY": "same-origin",
        "SECURE_CROSS_ORIGIN_OPENER_POLICY": "same-origin",
        "SECURE_SSL_REDIRECT": https,
        # Probes come from inside, without TLS.
        "SECURE_REDIRECT_EXEMPT": [r"^livez$", r"^readyz$"],
        "SECURE_HSTS_SECONDS": 365 * 24 * 3600 if https else 0,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": https,
        "SECURE_HSTS_PRELOAD": https,
        # The scheme behind a proxy is decided by RequestContextMiddleware, which knows the trusted proxies;
        # Django's own setting would believe the header from anybody.
        "SECURE_PROXY_SSL_HEADER": None,
        "USE_X_FORWARDED_HOST": False,
        "USE_X_FORWARDED_PORT": False,
        "CONTENT_SECURITY_POLICY": {
            "DIRECTIVES": {
                "default-src": ["'none'"],
                "script-src": ["'self'"],
                "style-src": ["'self'"],
                "img-src": ["'self'", "data:", "https:"],  # a tenant's logo may stand on the tenant's own site
                "font-src": ["'self'"],
                "connect-src": ["'self'"],
                "form-action": ["'self'"],
                "frame-ancestors": ["'none'"],
                "base-uri": ["'none'"],
            }
        },
    }


def cookie_prefix(env: Environment) -> str:
    """Return what cookies over https are called: __Host- takes no path but the whole host's (ADR 21)."""
    if env.debug:
        return ""
    return "__Secure-" if env.script_name else "__Host-"


def below(env: Environment) -> Settings:
    """Return the path that everything is deployed below; the applications beside it get no cookie of ours."""
    path = f"{env.script_name}/"
    return {
        "FORCE_SCRIPT_NAME": env.script_name or None,
        "SESSION_COOKIE_PATH": path,
        "CSRF_COOKIE_PATH": path,
        "LANGUAGE_COOKIE_PATH": path,
    }


def pages(env: Environment) -> Settings:
    """Templates and static files."""
    return {
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [BASE_DIR / "templates"],
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.template.context_processors.i18n",
                        "identity.views.context_processors.tenant",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ],
                },
            }
        ],
        "STATIC_URL": f"{env.script_name}/static/",
        "STATIC_ROOT": env.static_root,
        "STORAGES": {
            "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
            "staticfiles": {
                "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
                if env.debug
                else "whitenoise.storage.CompressedManifestStaticFilesStorage"
            },
        },
        "WHITENOISE_USE_FINDERS": env.debug,
        "WHITENOISE_AUTOREFRESH": env.debug,
    }


def identity(env: Environment) -> Settings:
    """Keys of identity/conf.py, which has the defaults of those that are not set here."""
    return {
        "debug": env.debug,
        "key_encryption_keys": env.key_encryption_keys,
        "hash_peppers": env.hash_peppers,
        "blind_index_key": env.blind_index_key,
        "trusted_proxies": env.trusted_proxies,
        "forwarded_host_header": env.forwarded_host_header,
        "request_id_header": env.request_id_header,
        "shared_host": env.shared_host,
        "breached_passwords": env.breached_passwords,
        # One a core, over all processes; where there are more processes than cores, one a process.
        "password_hashes_at_once": max(1, cores() // read_server().workers),
        # A development machine has no gateway for text messages; elsewhere each tenant has its own (docs/messages.md).
        "sms_senders": ("identity.messaging.senders.console.ConsoleSender",) if env.debug else (),
    }


def oidc_provider(env: Environment) -> Settings:
    """Keys of oidc_provider/conf.py, which has the defaults of those that are not set here."""
    return {}


def toolkit() -> Settings:
    """django-oauth-toolkit: every gate is set, so that an upgrade's new default changes nothing here."""
    return {
        "OIDC_ENABLED": True,
        "OAUTH2_VALIDATOR_CLASS": "oidc_provider.resource_server.ResourceValidator",
        # The toolkit's admin module registers these. ID tokens have no page: they are signed, not stored.
        "APPLICATION_ADMIN_CLASS": "oidc_provider.admin.clients.ClientAdmin",
        "GRANT_ADMIN_CLASS": "oidc_provider.admin.grants.AuthorizationCodeAdmin",
        "ACCESS_TOKEN_ADMIN_CLASS": "oidc_provider.admin.grants.AccessTokenAdmin",
        "REFRESH_TOKEN_ADMIN_CLASS": "oidc_provider.admin.grants.RefreshTokenAdmin",
        "SCOPES": {
            name: name
            for name in ("openid", "profile", "email", "address", "phone", "roles", "organizations", "offline_access")
        },
        "DEFAULT_SCOPES": [],  # a request that names no scope gets none, not all
        "AUTHORIZATION_CODE_EXPIRE_SECONDS": 60,
        "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
        "ID_TOKEN_EXPIRE_SECONDS": 3600,
        "REFRESH_TOKEN_EXPIRE_SECONDS": 30 * 24 * 3600,
        "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
        "ROTATE_REFRESH_TOKEN": True,
        "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],  # a client's own list comes from its row
        "ALLOWED_SCHEMES": ["https"],
        "ALLOW_URI_WILDCARDS": False,
        "ALLOW_LOCALHOST_LOOPBACK": False,
        "PKCE_REQUIRED": True,  # a confidential client may be exempt by its row
        "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": False,  # allowed for a client that is flagged for it
        "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
        "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
        "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
        "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": False,  # our answers carry the tenant's own issuer
        "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
        "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
        "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME": True,
        "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
        "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
        "OIDC_RP_INITIATED_LOGOUT_ENABLED": False,  # ours is in oidc_provider.logout.requests
        "OIDC_RP_INITIATED_LOGOUT_DELETE_TOKENS": False,
        "OIDC_RP_INITIATED_REGISTRATION_ENABLED": False,
        "DCR_ENABLED": False,
        "CIMD_ENABLED": False,
        "ALWAYS_RELOAD_OAUTHLIB_CORE": False,
    }


def rest_framework() -> Settings:
    """Close everything by default: a view that forgets to say who may call it answers nobody."""
    return {
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "UNAUTHENTICATED_USER": None,
        "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    }

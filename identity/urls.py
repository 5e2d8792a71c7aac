"""Routes of identity: the pages that every browser protocol shares, and the probes."""

from django.urls import URLPattern, URLResolver, path

from identity.views import account, external, factors, forgot_password, health, home, language, login, logout

app_name = "identity"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("login", login.sign_in, name="login"),
    path("login/passkey", factors.sign_in_options, name="passkey_options"),
    path("login/with/<str:upstream_id>", external.start, name="external_login"),
    path("login/with/<str:upstream_id>/callback", external.callback, name="external_callback"),
    path("logout", logout.sign_out, name="logout"),
    path("logged-out", logout.signed_out, name="logged_out"),
    path("logged-out/next", logout.go_on, name="logged_out_next"),
    path("forgot-password", forgot_password.ask, name="forgot_password"),
    path("forgot-password/code", forgot_password.enter_code, name="forgot_password_code"),
    path("forgot-password/done", forgot_password.done, name="forgot_password_done"),
    path("account", account.overview, name="account"),
    path("account/password", account.change_password, name="change_password"),
    path("account/email", account.verify_email, name="verify_email"),
    path("account/factors", factors.overview, name="factors"),
    path("account/factors/passkey", factors.add_passkey, name="add_passkey"),
    path("account/factors/app", factors.add_app, name="add_app"),
    path("account/factors/recovery-codes", factors.new_recovery_codes, name="new_recovery_codes"),
    path("account/factors/<str:public_id>/rename", factors.rename, name="rename_factor"),
    path("account/factors/<str:public_id>/remove", factors.remove, name="remove_factor"),
    path("account/trusted-browsers/<str:public_id>/end", factors.end_trust, name="end_trust"),
    path("account/sessions/<str:sid>/end", account.end_session, name="end_session"),
    path("account/links/<str:link_id>/unlink", external.unlink, name="unlink_external"),
    path("account/consents/<slug:source>/<str:consent_id>/withdraw", account.withdraw_consent, name="withdraw_consent"),
    path("confirm-password", account.confirm_password, name="confirm_password"),
    path("language", language.set_language, name="set_language"),
    path(".well-known/webauthn", factors.related_origins, name="related_origins"),
    path(".well-known/passkey-endpoints", factors.passkey_endpoints, name="passkey_endpoints"),
    path(".well-known/change-password", factors.change_password_address, name="change_password_address"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
]

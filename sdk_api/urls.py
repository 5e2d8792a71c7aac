"""Routes of the SDK API: the operations that are built."""

from __future__ import annotations

from django.urls import path

from sdk_api.views import captcha, login, mfa, password, profile, social, sso, system

app_name = "sdk_api"

urlpatterns = [
    path("api/v2/sdk/server-date", system.ServerDateView.as_view(), name="server-date"),
    path("api/v2/sdk/public-key", system.PublicKeyView.as_view(), name="public-key"),
    path("api/v2/sdk/register/mobile-verify-code", login.RegisterView.as_view(), name="register-mobile"),
    path("api/v2/sdk/captcha", captcha.CaptchaView.as_view(), name="captcha"),
    path("api/v2/sdk/captcha/verify", captcha.VerifyView.as_view(), name="captcha-verify"),
    path("api/v2/sdk/country-codes", system.CountryCodesView.as_view(), name="country-codes"),
    path("api/v2/sdk/sms/send", captcha.SendView.as_view(), name="sms-send"),
    path("api/v2/sdk/login", login.LoginView.as_view(), name="login"),
    path("api/v2/sdk/login/mobile-verify-code", login.MobileLoginView.as_view(), name="login-mobile"),
    path("api/v2/sdk/logout", login.LogoutView.as_view(), name="logout"),
    path("api/v2/sdk/login/wechat", social.ExternalLoginView.as_view(kind="wechat"), name="login-wechat"),
    path("api/v3/sdk/login/alipay", social.ExternalLoginView.as_view(kind="alipay"), name="login-alipay"),
    path("api/v2/sdk/login/alipay", social.ExternalLoginView.as_view(kind="alipay"), name="login-alipay-v2"),
    path("api/v2/sdk/social", social.SocialView.as_view(), name="social"),
    path("api/v2/sdk/social/bind", social.BindView.as_view(), name="social-bind"),
    path("api/v2/sdk/social/register-bind", social.RegisterBindView.as_view(), name="social-register-bind"),
    path("api/v2/sdk/social/unbind-account", social.UnbindView.as_view(), name="social-unbind"),
    path("api/v2/sdk/pwd/skip-update", password.SkipUpdateView.as_view(), name="pwd-skip-update"),
    path("api/v2/sdk/pwd/update", password.UpdateView.as_view(), name="pwd-update"),
    path("api/v2/sdk/pwd/update-by-mobile", password.UpdateByMobileView.as_view(), name="pwd-update-by-mobile"),
    path("api/v2/sdk/mobile-by-token", mfa.MobileByTokenView.as_view(), name="mobile-by-token"),
    path("api/v2/sdk/mfa/sms", mfa.SecondFactorView.as_view(), name="mfa-sms"),
    path("api/v2/sdk/mfa/totp", mfa.TOTPView.as_view(), name="mfa-totp"),
    path("api/v2/sdk/mfa/recovery-code", mfa.RecoveryCodeView.as_view(), name="mfa-recovery-code"),
    path("api/v2/sdk/profile/update", profile.UpdateView.as_view(), name="profile-update"),
    path("api/v2/sdk/profile", profile.ProfileView.as_view(), name="profile"),
    path("api/v2/sdk/session-token/refresh-id-token", sso.RefreshIdTokenView.as_view(), name="refresh-id-token"),
    path("api/v2/tenant/sso/session-token/sso-ticket", sso.IssueTicketView.as_view(), name="sso-ticket"),
    path("api/v2/tenant/sso/sso-ticket/verify", sso.VerifyTicketView.as_view(), name="sso-ticket-verify"),
    path("api/v2/tenant/sso/session-token/refresh", sso.RefreshView.as_view(), name="session-token-refresh"),
]

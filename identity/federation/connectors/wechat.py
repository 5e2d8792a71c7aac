"""WeChat: OAuth 2.0 as its open platform speaks it (developers.weixin.qq.com, "WeChat Login" and "Web authorization").

Phone apps, web pages and official accounts all exchange their code at `sns/oauth2/access_token`. Errors come with
status 200 as `errcode` and `errmsg`. `openid` names the person in one application, `unionid` in all that are bound to
one account of the open platform.
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _

from identity.federation.connectors import base
from identity.federation.connectors.base import Account, Connector, ExternalPerson

_API_URL = "https://api.weixin.qq.com"
_AUTHORIZE_URL = "https://open.weixin.qq.com"
# What is wrong with the code, and not with us: missing, invalid, expired, used, of another application, or the
# person's account is blocked as risky.
_CODE_REFUSED = frozenset({40029, 40163, 41008, 42003, 40226})
# Scopes whose token may read the profile; `snsapi_base` may not (48001).
_PROFILE_SCOPES = frozenset({"snsapi_login", "snsapi_userinfo"})
_IN_APP = "MicroMessenger"


@base.register
class WeChat(Connector):
    """WeChat's open platform."""

    kind = "wechat"
    label = _("WeChat")
    social_type = "weixin"
    refused_code = "PARAM.0011"
    languages: ClassVar[str] = "zh_CN"

    def check(self, account: Account) -> None:
        """Refuse what can never work."""
        if not account.secret:
            raise ValueError("The AppSecret is missing.")
        base.check_urls(account, defaults=(_API_URL, _AUTHORIZE_URL))

    def authorization_url(self, account: Account, *, redirect_uri: str, state: str) -> str:
        """Return the address of a page with a code to scan, or, inside WeChat, of the question itself."""
        path, scope = ("oauth2/authorize", "snsapi_userinfo") if account.is_in_app else ("qrconnect", "snsapi_login")
        query = urlencode(
            {
                "appid": account.client_id,
                "redirect_uri": redirect_uri,
                "response_type": "code",
                "scope": scope,
                "state": state,
            }
        )
        # The order of the parameters and the fragment are WeChat's demand.
        return f"{(account.authorize_url or _AUTHORIZE_URL).rstrip('/')}/connect/{path}?{query}#wechat_redirect"

    def is_offered(self, account: Account, *, user_agent: str) -> bool:
        """Inside WeChat nothing can be scanned, and outside it the other road is refused."""
        return account.is_in_app == (_IN_APP in user_agent)

    def ask(self, account: Account, *, authorization_code: str, deadline: float) -> ExternalPerson:
        """Exchange the code for a token, and the token for the profile."""
        token = self._call(
            account,
            "sns/oauth2/access_token",
            {
                "appid": account.client_id,
                "secret": account.secret,
                "code": authorization_code,
                "grant_type": "authorization_code",
            },
            deadline=deadline,
        )
        openid, unionid = self.id_of(token, "openid"), self.id_of(token, "unionid")
        access_token = token.get("access_token")
        if not openid or not base.is_token(access_token):
            raise self.trouble("no openid or no access_token")
        if token.get("is_snapshotuser") == 1:
            # A made-up account that WeChat shows to pages which only look at the person.
            raise self.refuse("snapshot user")
        if not _PROFILE_SCOPES & set(str(token.get("scope", "")).split(",")):
            return ExternalPerson(subject=unionid, openid=openid)
        profile = self._call(
            account,
            "sns/userinfo",
            {"access_token": str(access_token), "openid": openid, "lang": self.languages},
            deadline=deadline,
        )
        profile_unionid = self.id_of(profile, "unionid")
        if self.id_of(profile, "openid") != openid or (unionid and profile_unionid not in ("", unionid)):
            raise self.trouble("profile of somebody else")
        return ExternalPerson(
            subject=unionid or profile_unionid,
            openid=openid,
            nickname=base.clean_nickname(profile.get("nickname")),
            picture_url=base.clean_picture_url(profile.get("headimgurl")),
        )

    def _call(self, account: Account, path: str, query: dict[str, str], *, deadline: float) -> dict[str, Any]:
        url = f"{(account.api_url or _API_URL).rstrip('/')}/{path}?{urlencode(query)}"
        document = self.json_object(self.request("GET", url, account=account, deadline=deadline))
        errcode = document.get("errcode", 0)
        if not isinstance(errcode, int):
            raise self.trouble("errcode is no number")
        if errcode in _CODE_REFUSED:
            raise self.refuse(f"errcode {errcode}")
        if errcode != 0:
            # -1 busy, 45011 too often, 40013 appid, 40125 secret, 40164 our address is not on their list ...
            raise self.trouble(f"errcode {errcode}")
        return document

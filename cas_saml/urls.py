"""Routes of CAS and SAML, at the vendor's paths (OneAccess-3.3.2, OneAccess-3.3.3).

The names of CAS proxying are those of the CAS protocol; single logout of SAML stands beside the vendor's two paths.
"""

from typing import Any

from django.urls import URLPattern, path

from cas_saml.cas.views import login, login_form, validation
from cas_saml.cas.views import logout as cas_logout
from cas_saml.saml.views import logout, metadata, sign_on
from identity.machine import Endpoint
from identity.views.machines import view

app_name = "cas_saml"
_service_validate = view(Endpoint(validation.service_validate))
_WITH: dict[str, Any] = {"with_attributes": True}
_WITHOUT: dict[str, Any] = {"with_attributes": False}

urlpatterns: list[URLPattern] = [
    path("api/v1/cas/login", login.login, name="cas_login"),
    path("api/v1/cas/login/continue", login.resume, name="cas_continue"),
    path("api/v1/cas/validate", view(Endpoint(validation.validate)), name="cas_validate"),
    path("api/v1/cas/serviceValidate", _service_validate, _WITHOUT, name="cas_service_validate"),
    path("api/v1/cas/p3/serviceValidate", _service_validate, _WITH, name="cas_service_validate_3"),
    # CAS-2.6: takes service tickets too, which is all that there is; many clients are set up to ask here.
    path("api/v1/cas/proxyValidate", _service_validate, _WITHOUT, name="cas_proxy_validate"),
    path("api/v1/cas/p3/proxyValidate", _service_validate, _WITH, name="cas_proxy_validate_3"),
    path("api/v1/cas/proxy", view(Endpoint(validation.proxy)), name="cas_proxy"),
    path("api/v1/cas/logout", cas_logout.logout, name="cas_logout"),
    path("api/v1/saml2/idp/sso", sign_on.single_sign_on, name="saml_sso"),
    path("api/v1/saml2/idp/sso/continue", sign_on.resume, name="saml_sso_continue"),
    path("api/v1/saml2/idp/slo", logout.single_logout, name="saml_slo"),
    path("api/v1/saml2/idp/slo/continue", logout.resume, name="saml_slo_continue"),
    path("api/v1/saml2/idp/slo/answered", logout.answered, name="saml_slo_answered"),
    path("api/v1/saml2/idp/slo/finish", logout.finish, name="saml_slo_finish"),
    path("api/v1/saml2/idp/metadata", metadata.show, name="saml_metadata"),
    path("api/v1/login/form", login_form.login_form, name="login_form"),
]

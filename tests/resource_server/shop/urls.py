from django.urls import include, path

from config import urls
from tests.resource_server.shop import views

urlpatterns = [
    path("shop/orders", views.Orders.as_view()),
    path("shop/decorated", views.decorated),
    path("shop/without-validator", views.without_validator),
    path("shop/mixed", views.Mixed.as_view()),
    path("shop/unscoped", views.Unscoped.as_view()),
    path("shop/known", views.known),
    path("toolkit/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    *urls.urlpatterns,
]

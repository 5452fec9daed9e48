"""Every address of the product, by room."""

from django.contrib import admin
from django.urls import include, path

from portal import health, views
from portal.home import home
from portal.status import status

urlpatterns = [
    path("", home, name="home"),
    path("status/", status, name="status"),
    path("profile/", views.profile, name="profile"),
    path("accounts/", include("allauth.urls")),
    path("", include("incidents.urls")),
    path("", include("maintenance.urls")),
    path("api/v1/", include("incidents.api_urls")),
    path("api/v1/", include("maintenance.api_urls")),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]

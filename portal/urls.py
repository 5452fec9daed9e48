"""Every address of the product, by room."""

from django.contrib import admin
from django.urls import include, path

from portal import announcement_views, health, views
from portal.announcement_api import router as announcement_router
from portal.home import home
from portal.public_status import public_status
from portal.status import service_status, status, subscription

urlpatterns = [
    path("", home, name="home"),
    path("status/", status, name="status"),
    path("status/public/", public_status, name="public-status"),
    path("status/<slug:slug>/", service_status, name="service-status"),
    path("status/<slug:slug>/subscription/", subscription, name="status-subscription"),
    path("announcements/", announcement_views.announcement_list, name="announcements"),
    path("announcements/<int:pk>/", announcement_views.announcement, name="announcement"),
    path("profile/", views.profile, name="profile"),
    path("accounts/", include("allauth.urls")),
    path("", include("incidents.urls")),
    path("", include("maintenance.urls")),
    path("api/v1/", include("incidents.api_urls")),
    path("api/v1/", include(announcement_router.urls)),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]

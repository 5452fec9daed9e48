"""Every address of the product, by room."""

from django.contrib import admin
from django.urls import include, path

from portal import announcement_views, endpoint_views, health, privacy_views, views
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
    path("profile/data/", privacy_views.own_data, name="own-data"),
    path("channels/", endpoint_views.endpoint_list, name="channels"),
    path("channels/new/", endpoint_views.new_endpoint, name="channel-new"),
    path("channels/format/", endpoint_views.webhook_format, name="channel-format"),
    path("channels/<uuid:key>/", endpoint_views.endpoint, name="channel"),
    path("channels/<uuid:key>/change/", endpoint_views.endpoint_change, name="channel-change"),
    path("channels/<uuid:key>/rotation/", endpoint_views.endpoint_rotation, name="channel-rotation"),
    path("channels/<uuid:key>/removal/", endpoint_views.endpoint_removal, name="channel-removal"),
    path("channels/<uuid:key>/log/<int:pk>/", endpoint_views.endpoint_message, name="channel-message"),
    path("accounts/", include("allauth.urls")),
    path("", include("incidents.urls")),
    path("", include("maintenance.urls")),
    path("api/v1/", include("incidents.api_urls")),
    path("api/v1/", include("maintenance.api_urls")),
    path("api/v1/", include(announcement_router.urls)),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]

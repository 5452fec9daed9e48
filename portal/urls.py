"""Every address of the product, by room."""

from django.contrib import admin
from django.urls import include, path, re_path

from portal import announcement_views, endpoint_views, health, token_views, views
from portal.api_problems import no_such_address
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
    path("channels/", endpoint_views.endpoint_list, name="channels"),
    path("channels/new/", endpoint_views.new_endpoint, name="channel-new"),
    path("channels/format/", endpoint_views.webhook_format, name="channel-format"),
    path("channels/<uuid:key>/", endpoint_views.endpoint, name="channel"),
    path("channels/<uuid:key>/change/", endpoint_views.endpoint_change, name="channel-change"),
    path("channels/<uuid:key>/rotation/", endpoint_views.endpoint_rotation, name="channel-rotation"),
    path("channels/<uuid:key>/removal/", endpoint_views.endpoint_removal, name="channel-removal"),
    path("channels/<uuid:key>/log/<int:pk>/", endpoint_views.endpoint_message, name="channel-message"),
    path("tokens/", token_views.token_list, name="tokens"),
    path("tokens/new/", token_views.new_token, name="token-new"),
    path("tokens/<slug:token>/revocation/", token_views.token_revocation, name="token-revocation"),
    path("accounts/", include("allauth.urls")),
    path("", include("incidents.urls")),
    path("", include("maintenance.urls")),
    path("api/v1/", include("incidents.api_urls")),
    path("api/v1/", include("maintenance.api_urls")),
    path("api/v1/", include("portal.api_urls")),
    # With the slash at its end: what lacks it is still sent to the address that has it.
    re_path(r"^api/(?P<rest>.*)/$", no_such_address, name="api-nothing"),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]

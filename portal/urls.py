"""Every address of the product, by room."""

from django.contrib import admin
from django.urls import include, path, re_path

from portal import (
    account_views,
    announcement_views,
    audit_views,
    endpoint_views,
    health,
    identity_sign_in,
    identity_views,
    impersonation,
    invitation_views,
    operations,
    people_api,
    people_views,
    privacy_views,
    session_views,
    token_views,
    views,
)
from portal.api_problems import no_such_address
from portal.audit_api import router as audit_router
from portal.chosen import choose
from portal.home import home
from portal.public_status import public_status
from portal.status import service_status, status, subscription

handler429 = "portal.accounts.too_many_requests"  # allauth's throttles ask for it

urlpatterns = [
    path("", home, name="home"),
    path("status/", status, name="status"),
    path("status/public/", public_status, name="public-status"),
    path("status/<slug:slug>/", service_status, name="service-status"),
    path("status/<slug:slug>/subscription/", subscription, name="status-subscription"),
    path("announcements/", announcement_views.announcement_list, name="announcements"),
    path("announcements/<int:pk>/", announcement_views.announcement, name="announcement"),
    path("look-as/stop/", impersonation.stop_page, name="look-as-stop"),
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
    path("audit/", audit_views.audit, name="audit"),
    path("audit/csv/", audit_views.audit_csv, name="audit-csv"),
    path("audit/jsonl/", audit_views.audit_jsonl, name="audit-jsonl"),
    path("accounts/email/", account_views.address, name="account_email"),
    path("accounts/password/set/", account_views.set_password, name="account_set_password"),
    path("accounts/2fa/webauthn/", account_views.passkeys, name="mfa_list_webauthn"),
    path(
        "accounts/2fa/webauthn/keys/<int:pk>/remove/",
        account_views.remove_passkey,
        name="mfa_remove_webauthn",
    ),
    path("accounts/sessions/", session_views.sessions, name="usersessions_list"),
    path("accounts/sessions/<int:pk>/end/", session_views.end_session, name="usersession_end"),
    path("identity/", identity_views.identity_page, name="identity"),
    path("identity/domains/new/", identity_views.new_domain, name="identity-domain-new"),
    path("identity/domains/<int:pk>/", identity_views.domain, name="identity-domain"),
    path("identity/providers/new/", identity_views.new_provider, name="identity-provider-new"),
    path("identity/providers/<slug:key>/", identity_views.provider, name="identity-provider"),
    path(
        "identity/providers/<slug:key>/change/",
        identity_views.provider_change,
        name="identity-provider-change",
    ),
    path("accounts/organisation/", identity_sign_in.organisation_sign_in, name="identity-sign-in"),
    # allauth's names and addresses, by our stricter views
    path("accounts/3rdparty/", identity_sign_in.no_connections, name="socialaccount_connections"),
    path("accounts/oidc/<slug:provider_id>/login/", identity_sign_in.oidc_login, name="openid_connect_login"),
    path(
        "accounts/oidc/<slug:provider_id>/login/callback/",
        identity_sign_in.oidc_callback,
        name="openid_connect_callback",
    ),
    path("operations/", operations.operations, name="operations"),
    path("organisation/", choose, name="choose-organisation"),
    path("people/", people_views.people, name="people"),
    path("people/invitations/new/", people_views.invite, name="people-invite"),
    path("people/invitations/<int:pk>/", people_views.invitation, name="people-invitation"),
    path("people/teams/new/", people_views.new_team, name="people-team-new"),
    path("people/teams/<int:pk>/", people_views.team, name="people-team"),
    path("people/<int:pk>/", people_views.member, name="people-member"),
    path("people/<int:pk>/removal/", people_views.removal, name="people-removal"),
    path("invitations/<str:token>/", invitation_views.invitation, name="invitation"),
    path("tokens/", token_views.token_list, name="tokens"),
    path("tokens/new/", token_views.new_token, name="token-new"),
    path("tokens/<slug:token>/revocation/", token_views.token_revocation, name="token-revocation"),
    path("accounts/", include("allauth.urls")),
    path("", include("incidents.urls")),
    path("", include("maintenance.urls")),
    path("api/v1/", include("incidents.api_urls")),
    path("api/v1/", include("maintenance.api_urls")),
    path("api/v1/", include(audit_router.urls)),
    path("api/v1/", include(people_api.urls)),
    path("api/v1/", include("portal.api_urls")),
    # With the slash at its end: what lacks it is still sent to the address that has it.
    re_path(r"^api/(?P<rest>[\s\S]*)/$", no_such_address, name="api-nothing"),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]

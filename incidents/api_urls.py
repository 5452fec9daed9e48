from django.urls import URLPattern, include, path
from rest_framework.routers import SimpleRouter

from incidents import api, bridge_api, rca_api, report_api
from incidents.intake.alarms import door
from incidents.intake.chat import door as chat_door
from portal.api import StandardFormSchema

router = SimpleRouter()
router.register("incidents", api.IncidentViewSet, basename="api-incident")
router.register("services", api.ServiceViewSet, basename="api-service")
router.register("organisations", api.OrganisationViewSet, basename="api-organisation")
router.register("articles", api.ArticleViewSet, basename="api-article")
router.register("reports", report_api.ReportViewSet, basename="api-report")


def rca_paths(prefix: str, door: type[rca_api.RCADoor], name: str, **more: str) -> list[URLPattern]:
    """The nouns of an RCA below what it is about."""
    base = f"{prefix}/<str:reference>/rca/"
    nouns: dict[str, dict[str, str]] = {
        "": {"get": "retrieve", **more},
        "draft/": {"post": "begin", "put": "save"},
        "submission/": {"post": "submission"},
        "review/": {"post": "review"},
        "publication/": {"post": "publication"},
        "comments/": {"get": "comments", "post": "comment"},
        "acceptance/": {"post": "acceptance"},
        "actions/": {"get": "actions"},
        "actions/<int:number>/": {"patch": "change_action"},
        "recurrences/": {"post": "recurrence"},
    }
    return [
        path(
            f"{base}{noun}",
            door.as_view({**methods}),
            name=f"{name}-{noun.split('/<')[0].strip('/') or 'rca'}",
        )
        for noun, methods in nouns.items()
    ]


def bridge_paths() -> list[URLPattern]:
    """The nouns of an incident's live bridge."""
    base = "incidents/<str:reference>/bridge/"
    nouns: dict[str, dict[str, str]] = {
        "": {"get": "retrieve", "post": "open"},
        "presence/": {"post": "join", "delete": "leave"},
        "notes/": {"get": "notes", "post": "note"},
        "side-notes/": {"post": "side_note"},
        "decisions/": {"post": "decision"},
        "steps/": {"post": "agree"},
        "steps/<int:step>/completion/": {"post": "completion"},
        "parts/": {"post": "parts"},
        "closing/": {"post": "closing"},
    }
    return [
        path(
            f"{base}{noun}",
            bridge_api.BridgeDoor.as_view({**methods}),
            name=f"api-bridge-{noun.strip('/').split('/')[-1] or 'state'}",
        )
        for noun, methods in nouns.items()
    ]


urlpatterns = [
    *bridge_paths(),
    *rca_paths("incidents", rca_api.IncidentRCADoor, "api-incident-rca", post="request_one"),
    *rca_paths("maintenance-windows", rca_api.WindowRCADoor, "api-window-rca"),
    path("standard-form/", StandardFormSchema.as_view(), name="api-standard-form"),
    path("alarms/alertmanager/", door.AlertmanagerDoor.as_view(), name="api-alarms-alertmanager"),
    path("alarms/grafana/", door.GrafanaDoor.as_view(), name="api-alarms-grafana"),
    path("alarms/generic/", door.GenericDoor.as_view(), name="api-alarms-generic"),
    path("channels/slack/<uuid:key>/", chat_door.SlackDoor.as_view(), name="api-channel-slack"),
    path(
        "channels/mattermost/<uuid:key>/",
        chat_door.MattermostDoor.as_view(),
        name="api-channel-mattermost",
    ),
    path("", include(router.urls)),
]

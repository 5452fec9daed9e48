from django.urls import path, register_converter

from incidents import (
    bridge_views,
    knowledge_views,
    original_views,
    rca_views,
    report_pages,
    views,
    watching_views,
)
from portal.converters import ReferenceConverter

register_converter(ReferenceConverter, "reference")

app_name = "incidents"
urlpatterns = [
    # the list and the form
    path("incidents/", views.incident_list, name="list"),
    path("incidents/new/", views.new, name="new"),
    path("incidents/new/suggestions/", knowledge_views.suggestions, name="suggestions"),
    # one incident, and what is done to it: nouns
    path("incidents/<reference:reference>/", views.detail, name="detail"),
    path("incidents/<reference:reference>/now/", views.now_fragment, name="now"),
    path("incidents/<reference:reference>/timeline/", views.timeline_fragment, name="timeline"),
    path("incidents/<reference:reference>/watchers/", watching_views.watchers, name="watchers"),
    path("incidents/<reference:reference>/team/", watching_views.team, name="team"),
    path("incidents/<reference:reference>/replies/", views.replies, name="replies"),
    path("incidents/<reference:reference>/contest/", views.contest, name="contest"),
    path("incidents/<reference:reference>/escalation/", views.escalation, name="escalation"),
    path("incidents/<reference:reference>/confirmation/", views.confirmation, name="confirmation"),
    path("incidents/<reference:reference>/reopening/", views.reopening, name="reopening"),
    path("incidents/<reference:reference>/withdrawal/", views.withdrawal, name="withdrawal"),
    path("incidents/<reference:reference>/rca/", rca_views.rca, name="rca"),
    path("incidents/<reference:reference>/rca/pdf/", rca_views.rca_pdf, name="rca_pdf"),
    path("incidents/<reference:reference>/rca/comments/", rca_views.rca_comments, name="rca_comments"),
    path("incidents/<reference:reference>/rca/acceptance/", rca_views.rca_acceptance, name="rca_acceptance"),
    path("incidents/<reference:reference>/attachments/<int:pk>/", views.attachment, name="attachment"),
    path("incidents/<reference:reference>/original/", original_views.report_original, name="report_original"),
    path(
        "incidents/<reference:reference>/messages/<int:pk>/original/",
        original_views.original,
        name="original",
    ),
    # its live bridge: the same addresses for both sides
    path("incidents/<reference:reference>/bridge/", bridge_views.bridge, name="bridge"),
    path("incidents/<reference:reference>/bridge/live/", bridge_views.live, name="bridge_live"),
    path("incidents/<reference:reference>/bridge/opening/", bridge_views.opening, name="bridge_opening"),
    path("incidents/<reference:reference>/bridge/presence/", bridge_views.presence, name="bridge_presence"),
    path("incidents/<reference:reference>/bridge/leaving/", bridge_views.leaving, name="bridge_leaving"),
    path(
        "incidents/<reference:reference>/bridge/notes/",
        bridge_views.do,
        {"deed": "note"},
        name="bridge_notes",
    ),
    path(
        "incidents/<reference:reference>/bridge/side-notes/",
        bridge_views.do,
        {"deed": "side_note"},
        name="bridge_side_notes",
    ),
    path(
        "incidents/<reference:reference>/bridge/decisions/",
        bridge_views.do,
        {"deed": "decision"},
        name="bridge_decisions",
    ),
    path(
        "incidents/<reference:reference>/bridge/steps/",
        bridge_views.do,
        {"deed": "step"},
        name="bridge_steps",
    ),
    path(
        "incidents/<reference:reference>/bridge/steps/<int:pk>/completion/",
        bridge_views.completion,
        name="bridge_completion",
    ),
    path(
        "incidents/<reference:reference>/bridge/parts/",
        bridge_views.do,
        {"deed": "part"},
        name="bridge_parts",
    ),
    path("incidents/<reference:reference>/bridge/closing/", bridge_views.closing, name="bridge_closing"),
    # the monthly report; for staff of all organisations
    path("reports/", report_pages.months, name="reports"),
    path("reports/all/", report_pages.latest, name="report_latest"),
    path("reports/all/<slug:month>/", report_pages.all_organisations, name="report_all"),
    path("reports/all/<slug:month>/csv/", report_pages.all_csv, name="report_all_csv"),
    path("reports/<slug:month>/", report_pages.month, name="report"),
    path("reports/<slug:month>/csv/", report_pages.month_csv, name="report_csv"),
    path("reports/<slug:month>/pdf/", report_pages.month_pdf, name="report_pdf"),
    # the RCA of a maintenance window
    path("maintenance/<str:reference>/rca/", rca_views.window_rca, name="window_rca"),
    path("maintenance/<str:reference>/rca/pdf/", rca_views.window_rca_pdf, name="window_rca_pdf"),
    path(
        "maintenance/<str:reference>/rca/comments/", rca_views.window_rca_comments, name="window_rca_comments"
    ),
    path(
        "maintenance/<str:reference>/rca/acceptance/",
        rca_views.window_rca_acceptance,
        name="window_rca_acceptance",
    ),
    # knowledge and the promise
    path("knowledge/", knowledge_views.articles, name="articles"),
    path("knowledge/<slug:slug>/", knowledge_views.article, name="article"),
    path("sla/", knowledge_views.sla, name="sla"),
]

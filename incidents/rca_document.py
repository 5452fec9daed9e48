"""The RCA as a PDF: one organisation's copy, in the reader's language and zone."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from incidents.models import RCA
from incidents.rca_reading import Reading, moment_of
from incidents.standard_rca import TEXT_LABELS, promises, rca_form
from portal.models.service_impact import Impact
from portal.pdf import render_pdf

TEMPLATE = "documents/rca.html"


def context_of(reading: Reading) -> dict[str, Any]:
    """What page, document and mail show of a reading."""
    form = rca_form(reading)
    return {
        "reading": reading,
        "form": form,
        "version": reading.version,
        "content": reading.content,
        "sections": _sections(reading, RCA.TEXTS[3:]),
        "detection": reading.text["detection"],
        "opened_at": reading.at("opened_at"),
        "restored_at": reading.at("restored_at"),
        "resolved_at": reading.at("resolved_at"),
        "starts_at": reading.at("starts_at"),
        "ends_at": reading.at("ends_at"),
        "ended_at": reading.at("ended_at"),
        "felt": felt(reading),
        "promises": promises(reading),
        "brand": settings.SUPPORT_BRAND,
    }


def _sections(reading: Reading, names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(str(TEXT_LABELS[name]), reading.text[name]) for name in names if reading.text[name]]


def felt(reading: Reading) -> list[dict[str, Any]]:
    """What was felt of each service, from when until when; rows without times are left to the form."""
    return [
        {
            "name": row["name"],
            "impact": row["impact"],
            "word": str(Impact(row["impact"]).label),
            "since": moment_of(row["from"]),
            "until": moment_of(row["until"]) if row["until"] else None,
            "is_planned": row["is_planned"],
        }
        for row in reading.content["services"]
        if row.get("from")
    ]


def pdf_of(reading: Reading) -> bytes:
    """The document. Raises portal.pdf.Unavailable where this machine makes no PDFs."""
    return render_pdf(TEMPLATE, context_of(reading))


def file_name(reading: Reading) -> str:
    return f"RCA-{reading.content['reference']}-v{reading.version.number}.pdf"

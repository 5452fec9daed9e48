"""Which events of each timeline are for staff's eyes only: kind by kind, for a customer reads all the others."""

import pytest

from incidents.models import IncidentEvent
from incidents.models.rca import RCAEvent
from maintenance.models import WindowEvent

INTERNAL = {
    IncidentEvent: """
        automatic_mail_received clock_breached clock_corrected clock_warned escalated mail_held not_reached note_added
        outage_joined outage_left status_update_accepted status_update_discarded status_update_held
        status_update_scheduled
    """,
    RCAEvent: """
        rca_accepted rca_approved rca_commented rca_drafted rca_owed rca_returned rca_revised rca_saved rca_submitted
        recurrence_linked
    """,
    WindowEvent: """
        alarm_recorded alarm_resolved approved changed condition_checked consent_asked consent_given
        consent_overridden consent_refused consent_resolved decided decision_asked decision_lapsed drafted
        expected_end_passed extension_asked extension_refused invitation_answered invited note_added proposed
        reminded returned_to_draft start_held step_ticked
    """,
}


@pytest.mark.parametrize("event", INTERNAL, ids=lambda event: event.__name__)
def test_exactly_these_events_are_internal(event):
    assert {kind for kind, facts in event.payloads.items() if not facts.is_public} == set(
        INTERNAL[event].split()
    )

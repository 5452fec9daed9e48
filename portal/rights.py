"""Who of the staff may do what on the desk: the whole matrix, in one place. PURE: no Django, no I/O.

Each cell names the least role that may: agent, duty (manager), head (of support) or admin(istrator); “-” is
nobody. What has no row is refused to everybody. Verbs on incidents, windows and RCAs are held to their rooms'
`rules.py` as well, at every door: those say in which state, and let the one at work (an owner, an author).

“of” says whose a row is, for staff who look after some organisations only:
  all         everybody's: no customer stands in it
  visible     what `visible_to` of the model lets them see
  unlimited   nothing of it: it concerns customers together, or tells of customers whom they do not look after
  a path      to the organisation; with “?” also rows of no organisation; paths are joined by “|”
"""

from __future__ import annotations

from dataclasses import dataclass

MODELS = """
                               view   add    change  delete  of
incidents.alarm                agent  -      -       -       source__organisation
incidents.alarmsource          agent  head   head    -       organisation
incidents.article              agent  agent  agent   -       visible
incidents.attachment           agent  -      -       -       incident__organisation
incidents.cannedtext           agent  duty   duty    duty    all
incidents.communicationplan    agent  head   head    -       support_plans__organisation?
incidents.inboundmessage       agent  -      -       -       incident__organisation|endpoint__organisation
incidents.incident             agent  agent  -       -       visible
incidents.rca                  agent  -      -       -       visible
incidents.shift                agent  duty   duty    duty    all
incidents.slapolicy            agent  head   head    -       versions__support_plans__organisation?
incidents.slapolicyversion     agent  head   head    -       support_plans__organisation?
incidents.supportplan          agent  head   head    -       organisation
maintenance.freeze             agent  agent  -       -       visible
maintenance.maintenanceplan    agent  head   head    -       support_plans__organisation?
maintenance.maintenancewindow  agent  agent  -       -       visible
mfa.authenticator              admin  -      -       admin   unlimited
portal.announcement            agent  agent  agent   -       unlimited
portal.auditentry              head   -      -       -       visible
portal.businesscalendar        agent  head   head    -       support_plans__organisation?
portal.calendarversion         agent  head   -       -       calendar__support_plans__organisation?
portal.endpoint                agent  head   head    -       organisation?
portal.erasure                 admin  -      -       -       unlimited
portal.identityprovider        agent  head   head    -       organisation
portal.organisation            agent  head   head    -       visible
portal.organisationdomain      agent  head   head    head    organisation
portal.outboxmessage           agent  -      -       -       unlimited
portal.retentionrule           admin  -      -       -       unlimited
portal.service                 agent  head   head    -       visible
portal.team                    -      -      -       -       organisation
portal.user                    agent  admin  admin   -       visible
"""

# The rows within the page of another model.
INLINES = """
                                                   view   add    change  delete  of
incidents.article incidents.articleversion         agent  -      -       -       all
incidents.communicationplan incidents.communicationrule
                                                   agent  head   head    head    all
incidents.communicationplan incidents.escalationstep
                                                   agent  head   head    head    all
incidents.slapolicyversion incidents.slatarget     agent  head   head    head    all
portal.businesscalendar portal.calendarversion     agent  -      -       -       all
portal.calendarversion portal.ownday               agent  -      -       -       all
portal.calendarversion portal.specialdate          agent  -      -       -       all
portal.identityprovider portal.grouprole           agent  head   head    head    all
portal.organisation portal.membership              agent  head   head    head    all
portal.organisation portal.servicesubscription     agent  head   head    head    all
portal.organisation portal.team                    agent  head   head    head    all
portal.outboxmessage portal.deliveryattempt        agent  -      -       -       all
portal.user portal.stafflimit                      agent  admin  admin   admin   organisation
"""

# What is done with rows that are ticked in a list.
ACTIONS = """
incidents.alarmsource make_token      head
incidents.attachment delete_file      admin
portal.endpoint make_a_new_secret     head
portal.endpoint send_a_test           head
portal.organisationdomain vouch       head
portal.outboxmessage replay           duty
portal.outboxmessage send_again       duty
"""

# Pages and dialogs of the desk that are no form of a model. “own”: whoever it is about may, and that role.
VERBS = """
incidents.inboundmessage reply             agent
incidents.inboundmessage note              agent
incidents.inboundmessage open              agent
incidents.inboundmessage discard           agent
incidents.inboundmessage again             agent
incidents.inboundmessage raw               agent
incidents.incident acknowledge             agent
incidents.incident add_note                agent
incidents.incident answer_escalation       duty
incidents.incident ask_customer            agent
incidents.incident assign                  agent
incidents.incident change_promise          head
incidents.incident decide_contest          duty
incidents.incident declare_major           duty
incidents.incident discard_status_update   agent
incidents.incident document_solution       agent
incidents.incident file_action_plan        agent
incidents.incident mark_duplicate          agent
incidents.incident move_release            agent
incidents.incident plan_release            agent
incidents.incident publish_status_update   agent
incidents.incident release_held_update     agent
incidents.incident reopen                  agent
incidents.incident reply                   agent
incidents.incident request_rca             agent
incidents.incident resolve                 agent
incidents.incident restore                 agent
incidents.incident schedule_status_update  agent
incidents.incident ship_release            agent
incidents.incident start_intervention      agent
incidents.incident validate_level          agent
incidents.incident withdraw                agent
incidents.incident withdraw_release        agent
incidents.incident outage                  agent
incidents.rca draft_rca                    agent
incidents.rca save_rca                     agent
incidents.rca submit_rca                   agent
incidents.rca return_rca                   agent
incidents.rca approve_rca                  agent
incidents.rca publish_rca                  duty own
incidents.rca revise_rca                   agent
incidents.rca comment_rca                  agent
incidents.rca start_action                 agent
incidents.rca move_action                  agent
incidents.rca hand_over_action             agent
incidents.rca close_action                 agent
incidents.rca drop_action                  head
incidents.rca link_recurrence              agent
incidents.shift hand_over                  duty own
incidents.slapolicyversion move            head
maintenance.freeze withdraw                agent
maintenance.maintenancewindow announce            agent
maintenance.maintenancewindow approve             agent
maintenance.maintenancewindow approve_extension   agent
maintenance.maintenancewindow ask_extension       agent
maintenance.maintenancewindow begin_verification  agent
maintenance.maintenancewindow cancel              agent
maintenance.maintenancewindow change_window       agent
maintenance.maintenancewindow check_condition     agent
maintenance.maintenancewindow complete            agent
maintenance.maintenancewindow decide              duty own
maintenance.maintenancewindow give_consent        duty own
maintenance.maintenancewindow move_window         agent
maintenance.maintenancewindow order_rollback      agent
maintenance.maintenancewindow override_consent    duty
maintenance.maintenancewindow post                agent
maintenance.maintenancewindow propose             agent
maintenance.maintenancewindow refuse_consent      duty own
maintenance.maintenancewindow refuse_extension    agent
maintenance.maintenancewindow return_to_draft     agent
maintenance.maintenancewindow start               agent
maintenance.maintenancewindow tick_step           agent
portal.announcement expire                 duty
portal.announcement pin                    duty
portal.announcement publish                duty
portal.announcement schedule               duty
portal.announcement unpin                  duty
portal.announcement unschedule             duty
portal.announcement withdraw               duty own
portal.heartbeat operations                duty
portal.user look_as                        duty
"""

NOBODY, ALL, UNLIMITED, VISIBLE = "-", "all", "unlimited", "visible"
ROLES = {
    "agent": "agent",
    "duty": "duty_manager",
    "head": "head_of_support",
    "admin": "administrator",
    NOBODY: NOBODY,
}
FORM_VERBS = ("view", "add", "change", "delete")


@dataclass(frozen=True)
class Row:
    """The least role for each verb of a form, and whose its rows are."""

    least: dict[str, str]
    of: str


NO_ROW = Row(dict.fromkeys(FORM_VERBS, NOBODY), UNLIMITED)


@dataclass(frozen=True)
class Verb:
    """The least role that may; `is_own`: or, whatever their role, whoever of the staff it is about."""

    least: str
    is_own: bool


def _forms(table: str) -> dict[str, Row]:
    found = {}
    lines = table.strip().partition("\n")[2].replace("\n  ", "")  # a long name has its cells below
    for line in lines.splitlines():
        *names, view, add, change, delete, of = line.split()
        cells = [ROLES[word] for word in (view, add, change, delete)]
        found[" ".join(names)] = Row(dict(zip(FORM_VERBS, cells, strict=True)), of)
    return found


def _verbs(table: str) -> dict[str, Verb]:
    found = {}
    for line in table.strip().splitlines():
        page, verb, least, *own = line.split()
        found[f"{page} {verb}"] = Verb(ROLES[least], own == ["own"])
    return found


OF_MODELS, OF_INLINES = _forms(MODELS), _forms(INLINES)
OF_ACTIONS, OF_VERBS = _verbs(ACTIONS), _verbs(VERBS)


def of_model(label: str) -> Row:
    """The row of a model by its label, such as portal.user; of a model without one: nobody may anything."""
    return OF_MODELS.get(label, NO_ROW)


def of_inline(page: str, rows: str) -> Row:
    """The same for the rows of one model within the page of another."""
    return OF_INLINES.get(f"{page} {rows}", NO_ROW)


def of_action(page: str, action: str) -> str:
    """The least role that may use an action of a list; “-”: nobody."""
    found = OF_ACTIONS.get(f"{page} {action}")
    return found.least if found else NOBODY


def of_verb(page: str, verb: str) -> Verb:
    """Who may use a verb of the desk; of one without a row: nobody."""
    return OF_VERBS.get(f"{page} {verb}", Verb(NOBODY, False))

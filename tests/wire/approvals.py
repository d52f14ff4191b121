"""The bytes of the messages about approvals, for `test_golden`."""

from __future__ import annotations

from broker.wire import approvals as wire
from broker.wire.messages import Reply, Request
from broker.wire.tagged import Message

ROW = wire.RequestView(
    "R-4F2", "command", "pending", "alice", False, "prod-db-1", "postgres", "shell", "DELETE ⟨U+202E⟩",
    "INC-1", "HIGH", 8, 1, 2, "S-81c", may_decide=True,
)  # fmt: skip
DETAIL = wire.RequestDetail(
    request=ROW,
    digest="1c9e",
    content=wire.Drawn("DELETE ⟨U+202E⟩", 1, ["Latin", "Cyrillic"], 10, "ab"),
    groups=["ops"],
    source="10.1.4.7",
    credential="SHA256:9f3",
    mfa_at=None,
    tags={"env": "prod"},
    note="orders",
    session_started_at=1,
    ticket="INC-1",
    rule="prod-destructive",
    origin="prod.yaml:41",
    why="DELETE",
    risk=wire.Risk("HIGH", 8, [wire.RiskFactor("env-prod", 3, "PROD")]),
    past=wire.PastView(2, 1, "R-3A0", "bob"),
    history=wire.HistoryView(41, 3, 2, 1),
    panels=[wire.PanelView("1 of bob", 1, ["bob"])],
    needs="1 of bob",
    effect="runs once",
    lasts_s=None,
    screen=["orders=#"],
    so_far=[wire.LineView(5, "select 1", "OK")],
    votes=[wire.VoteView("bob", 3, True, "ok")],
    notes=[wire.NoteView(1, "asked", "alice")],
    deliveries=[wire.DeliveryView("hook", "sent", 2, 1)],
    may_decide=True,
    confirm="prod-db-1",
)
TERMS = wire.AccessTerms("WAIT", "needs 1 of bob", "prod", "p.yaml:1", True, "INC-.*", "1 of bob", 900, 1800)

MESSAGES: dict[str, Message] = {
    "list-requests": Request(1, wire.ListRequests("inbox", "prod", 9)),
    "show-request": Request(1, wire.ShowRequest("R-4F2", True)),
    "show-terms": Request(1, wire.ShowTerms("web1", "deploy")),
    "open-request": Request(1, wire.OpenRequest("R-4F2")),
    "ask-approval": Request(1, wire.AskApproval("web1", "deploy", "INC-1", "systemctl *", 60, 600)),
    "decide-request": Request(1, wire.DecideRequest("R-4F2", True, "1c9e", "ok", "web1", 60)),
    "cancel-request": Request(1, wire.CancelRequest("R-4F2")),
    "withdraw-request": Request(1, wire.WithdrawRequest("R-4F2", "wrong")),
    "say-request": Request(1, wire.SayRequest("R-4F2", "why?")),
    "notify-request": Request(1, wire.NotifyRequest("R-4F2")),
    "wait-request": Request(1, wire.WaitRequest("R-4F2", 60)),
    "explain-decision": Request(1, wire.ExplainDecision("R-4F2")),
    "subscribe": Request(1, wire.Subscribe()),
    "access-terms": Reply(1, TERMS),
    "request-list": Reply(1, wire.RequestList([ROW])),
    "request-detail": Reply(1, DETAIL),
    "counters": Reply(1, wire.Counters(1, 2)),
    "explanation": Reply(
        1, wire.Explanation("R-4F2", ["it"], "r", "p:1", {"user": "alice"}, [wire.NoteView(1, "asked")])
    ),
    "request-changed": wire.RequestChanged("R-4F2", "asked", "pending", "alice", wire.Counters(0, 1), True),
}

GOLDEN: dict[str, bytes] = {
    "list-requests": (
        b"\x83\xa4type\xa7request\xa2id\x01\xa3ask\x84\xa4type\xadlist-requests\xa5which\xa5inbox\xa5quer"
        b"y\xa4prod\xa5limit\t"
    ),
    "show-request": (
        b"\x83\xa4type\xa7request\xa2id\x01\xa3ask\x83\xa4type\xacshow-request\xa2id\xa5R-4F2\xa4peek\xc3"
    ),
    "show-terms": (
        b"\x83\xa4type\xa7request\xa2id\x01\xa3ask\x83\xa4type\xaashow-terms\xa6target\xa4web1\xa7account"
        b"\xa6deploy"
    ),
    "open-request": (b"\x83\xa4type\xa7request\xa2id\x01\xa3ask\x82\xa4type\xacopen-request\xa2id\xa5R-4F2"),
    "ask-approval": (
        b"\x83\xa4type\xa7request\xa2id\x01\xa3ask\x87\xa4type\xacask-approval\xa6target\xa4web1\xa7accou"
        b"nt\xa6deploy\xa6reason\xa5INC-1\xa7pattern\xabsystemctl *\xa5for_s<\xa6wait_s\xcd\x02X"
    ),
    "decide-request": (
        b"\x83\xa4type\xa7request\xa2id\x01\xa3ask\x87\xa4type\xaedecide-request\xa2id\xa5R-4F2\xa7approv"
        b"e\xc3\xa6digest\xa41c9e\xa7comment\xa2ok\xa7confirm\xa4web1\xa5for_s<"
    ),
    "cancel-request": (
        b"\x83\xa4type\xa7request\xa2id\x01\xa3ask\x82\xa4type\xaecancel-request\xa2id\xa5R-4F2"
    ),
    "withdraw-request": (
        b"\x83\xa4type\xa7request\xa2id\x01\xa3ask\x83\xa4type\xb0withdraw-request\xa2id\xa5R-4F2\xa7comm"
        b"ent\xa5wrong"
    ),
    "say-request": (
        b"\x83\xa4type\xa7request\xa2id\x01\xa3ask\x83\xa4type\xabsay-request\xa2id\xa5R-4F2\xa4text\xa4why?"
    ),
    "notify-request": (
        b"\x83\xa4type\xa7request\xa2id\x01\xa3ask\x82\xa4type\xaenotify-request\xa2id\xa5R-4F2"
    ),
    "wait-request": (
        b"\x83\xa4type\xa7request\xa2id\x01\xa3ask\x83\xa4type\xacwait-request\xa2id\xa5R-4F2\xa9timeout_s<"
    ),
    "explain-decision": (
        b"\x83\xa4type\xa7request\xa2id\x01\xa3ask\x82\xa4type\xb0explain-decision\xa2id\xa5R-4F2"
    ),
    "subscribe": b"\x83\xa4type\xa7request\xa2id\x01\xa3ask\x81\xa4type\xa9subscribe",
    "access-terms": (
        b"\x83\xa4type\xa5reply\xa2id\x01\xa4body\x8c\xa4type\xacaccess-terms\xa5state\xa4WAIT\xa3why\xae"
        b"needs 1 of bob\xa4rule\xa4prod\xa6origin\xa8p.yaml:1\xa6reason\xc3\xa6ticket\xa6INC-.*\xa5needs"
        b"\xa81 of bob\xa8within_s\xcd\x03\x84\xa7lasts_s\xcd\x07\x08\xa7request\xa0\xa5until\xc0"
    ),
    "request-list": (
        b"\x83\xa4type\xa5reply\xa2id\x01\xa4body\x83\xa4type\xacrequest-list\xa5items\x91\xde\x00\x15"
        b"\xa2id\xa5R-4F2\xa4kind\xa7command\xa5state\xa7pending\xa4user\xa5alice\xa5agent\xc2\xa6target"
        b"\xa9prod-db-1\xa7account\xa8postgres\xa7channel\xa5shell\xa4what\xb3DELETE \xe2\x9f\xa8U+202E"
        b"\xe2\x9f\xa9\xa6reason\xa5INC-1\xa4risk\xa4HIGH\xa5score\x08\xa9opened_at\x01\xaaexpires_at\x02"
        b"\xa7session\xa5S-81c\xaamay_decide\xc3\xa4mine\xc2\xaasettled_at\xc0\xaasettled_by\xa0\xa7comme"
        b"nt\xa0\xa5until\xc0\xa4more\xc2"
    ),
    "request-detail": (
        b"\x83\xa4type\xa5reply\xa2id\x01\xa4body\xde\x00 \xa4type\xaerequest-detail\xa7request\xde\x00"
        b"\x15\xa2id\xa5R-4F2\xa4kind\xa7command\xa5state\xa7pending\xa4user\xa5alice\xa5agent\xc2\xa6tar"
        b"get\xa9prod-db-1\xa7account\xa8postgres\xa7channel\xa5shell\xa4what\xb3DELETE \xe2\x9f\xa8U+202"
        b"E\xe2\x9f\xa9\xa6reason\xa5INC-1\xa4risk\xa4HIGH\xa5score\x08\xa9opened_at\x01\xaaexpires_at"
        b"\x02\xa7session\xa5S-81c\xaamay_decide\xc3\xa4mine\xc2\xaasettled_at\xc0\xaasettled_by\xa0\xa7c"
        b"omment\xa0\xa5until\xc0\xa6digest\xa41c9e\xa7content\x85\xa4text\xb3DELETE \xe2\x9f\xa8U+202E"
        b"\xe2\x9f\xa9\xa6hidden\x01\xa7scripts\x92\xa5Latin\xa8Cyrillic\xa5bytes\n\xa6sha256\xa2ab\xa6gr"
        b"oups\x91\xa3ops\xa6source\xa810.1.4.7\xaacredential\xaaSHA256:9f3\xa6mfa_at\xc0\xa4tags\x81\xa3"
        b"env\xa4prod\xa4note\xa6orders\xb2session_started_at\x01\xa6ticket\xa5INC-1\xa4rule\xb0prod-dest"
        b"ructive\xa6origin\xacprod.yaml:41\xa3why\xa6DELETE\xa4risk\x83\xa5level\xa4HIGH\xa5score\x08"
        b"\xa7factors\x91\x83\xa4name\xa8env-prod\xa6weight\x03\xa4text\xa4PROD\xa4past\x84\xa8approved"
        b"\x02\xa6denied\x01\xa7last_id\xa5R-3A0\xa7last_by\xa3bob\xa7history\x84\xa8sessions)\xa5holds"
        b"\x03\xa8approved\x02\xa7blocked\x01\xa6panels\x91\x83\xa4text\xa81 of bob\xa6needed\x01\xa6agre"
        b"ed\x91\xa3bob\xa5needs\xa81 of bob\xa6effect\xa9runs once\xa7lasts_s\xc0\xa6screen\x91\xa8order"
        b"s=#\xa6so_far\x91\x83\xa1t\x05\xa4text\xa8select 1\xa6answer\xa2OK\xa5votes\x91\x85\xa2by\xa3bo"
        b"b\xa2at\x03\xa7approve\xc3\xa7comment\xa2ok\xa6counts\xc3\xa5notes\x91\x84\xa2at\x01\xa4what"
        b"\xa5asked\xa2by\xa5alice\xa4text\xa0\xaadeliveries\x91\x85\xa8notifier\xa4hook\xa5state\xa4sent"
        b"\xa2at\x02\xa5tries\x01\xa5error\xa0\xaamay_decide\xc3\xa7why_not\xa0\xa7confirm\xa9prod-db-1"
        b"\xa7used_at\xc0\xacused_session\xa0"
    ),
    "counters": (
        b"\x83\xa4type\xa5reply\xa2id\x01\xa4body\x83\xa4type\xa8counters\xa7waiting\x01\xa9to_decide\x02"
    ),
    "explanation": (
        b"\x83\xa4type\xa5reply\xa2id\x01\xa4body\x87\xa4type\xabexplanation\xa2id\xa5R-4F2\xa4text\x91"
        b"\xa2it\xa4rule\xa1r\xa6origin\xa3p:1\xa6inputs\x81\xa4user\xa5alice\xa6events\x91\x84\xa2at\x01"
        b"\xa4what\xa5asked\xa2by\xa0\xa4text\xa0"
    ),
    "request-changed": (
        b"\x87\xa4type\xafrequest-changed\xa2id\xa5R-4F2\xa4what\xa5asked\xa5state\xa7pending\xa2by\xa5al"
        b"ice\xa8counters\x83\xa4type\xa8counters\xa7waiting\x00\xa9to_decide\x01\xa4bell\xc3"
    ),
}

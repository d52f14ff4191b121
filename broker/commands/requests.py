"""`bartizan request`, `requests`, `approvals`, `approve`, `deny`, `why`: asking for approval, deciding."""

from __future__ import annotations

import sys

import click
from click.shell_completion import CompletionItem

from broker.commands.asking import ask, control_socket, converse
from broker.commands.context import Context
from broker.commands.listing import done, inert, print_object
from broker.commands.request_rows import for_json, page, show_detail, show_requests
from broker.config.units import duration
from broker.model import exits
from broker.model.errors import BartizanError, Invalid
from broker.wire import approvals as wire
from broker.wire.attached import attach
from broker.wire.client import WireClient
from broker.wire.messages import Done

AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
STATUS = {
    "pending": exits.WAITING,
    "approved": exits.OK,
    "used": exits.OK,
    "denied": exits.DENIED,
    "withdrawn": exits.DENIED,
    "unused": exits.DENIED,
    "expired": exits.WAITING,
    "cancelled": exits.CANCELLED,
}
"""What a verb that waits for a request exits with, by the request's state."""
ONE_WAIT = 600


class _Duration(click.ParamType[int]):
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return value if isinstance(value, int) else max(1, round(duration(value)))
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION = _Duration()


def _ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of this user's requests and of those he may decide."""
    context = ctx.find_object(Context) or Context(ctx.find_root().params["config_path"])
    try:
        found = ask(context, wire.ListRequests("all"), wire.RequestList).items
    except (BartizanError, OSError):
        return []
    return [
        CompletionItem(view.id, help=f"{view.user} {view.account}@{view.target} {view.state}")
        for view in found
        if view.id.startswith(incomplete.upper())
    ]


ID = click.argument("id", shell_complete=_ids)


# ---------------------------------------------------------------- asking


@click.command()
@click.argument("target")
@click.option("-r", "--reason", default="", help="Why; asked for where the policy wants one.")
@click.option("--wait", type=DURATION, help="Wait so long for the decision, e.g. 10m.")
@click.option("--for", "lasts", type=DURATION, help="How long it shall last, at most what the policy gives.")
@click.option("--pattern", default="", help="For held commands that fit it: 'systemctl restart *'.")
@AS_JSON
@click.pass_obj
def request(
    context: Context,
    target: str,
    reason: str,
    wait: int | None,
    lasts: int | None,
    pattern: str,
    as_json: bool,
) -> None:
    """Ask for [ACCOUNT+]TARGET before it is needed; exits with 75 while nobody has decided.

    Example: bartizan request postgres+prod-db-1 -r INC-4821 --for 30m --wait 10m
    """
    account, _, name = target.rpartition("+")
    question = wire.AskApproval(name, account, reason, pattern, lasts or 0, 0)

    async def talk(client: WireClient) -> wire.RequestDetail:
        detail = await client.ask(question)
        assert isinstance(detail, wire.RequestDetail)
        return await _waited(client, detail, wait or 0)

    _tell(converse(context, talk), as_json or context.json)


async def _waited(client: WireClient, detail: wire.RequestDetail, seconds: int) -> wire.RequestDetail:
    """The request once it is settled, or after so many seconds."""
    while detail.request.state == "pending" and seconds > 0:
        found = await client.ask(wire.WaitRequest(detail.request.id, min(seconds, ONE_WAIT)))
        assert isinstance(found, wire.RequestDetail)
        detail, seconds = found, seconds - ONE_WAIT
    return detail


def _tell(detail: wire.RequestDetail, as_json: bool) -> None:
    """One line for scripts and people, and the exit status of the state."""
    view = detail.request
    said = f' "{view.comment}"' if view.comment else ""
    by = f" by {view.settled_by}{said}" if view.settled_by else f": needs {detail.needs}"
    done(f"{view.id} {view.state}{by}", for_json(detail.request), as_json=as_json)
    sys.exit(STATUS[view.state])


@click.group()
def requests() -> None:
    """Your requests for approval.

    Example: bartizan requests ls
    """


@requests.command("ls")
@click.argument("query", nargs=-1)
@click.option("--all", "which", flag_value="all", help="Also those of others that you may see.")
@click.option("--decided", "which", flag_value="decided", help="Those of others that are settled.")
@click.option("--mine", "which", flag_value="mine", default="mine", help="Your own (as without it).")
@AS_JSON
@click.pass_obj
def list_mine(context: Context, query: tuple[str, ...], which: str, as_json: bool) -> None:
    """List requests, undecided ones first; every word of QUERY must occur.

    Example: bartizan requests ls prod --all
    """
    found = ask(context, wire.ListRequests(which, " ".join(query)), wire.RequestList).items
    show_requests(found, as_json=as_json or context.json)


@requests.command("show")
@ID
@AS_JSON
@click.pass_obj
def show_one(context: Context, id: str, as_json: bool) -> None:
    """Show all of the request ID: what is asked for, by whom, how risky, and what became of it.

    Example: bartizan requests show R-4F2
    """
    show_detail(ask(context, wire.ShowRequest(id), wire.RequestDetail), as_json=as_json or context.json)


@requests.command()
@ID
@click.option("--timeout", type=DURATION, default="1h", show_default=True, help="At most so long.")
@AS_JSON
@click.pass_obj
def wait(context: Context, id: str, timeout: int, as_json: bool) -> None:
    """Wait until ID is decided. Exits with 0 approved, 77 denied, 75 expired or still waiting, 130 cancelled.

    Example: bartizan requests wait R-4F2 && bartizan requests resume R-4F2
    """

    async def talk(client: WireClient) -> wire.RequestDetail:
        detail = await client.ask(wire.ShowRequest(id, peek=True))
        assert isinstance(detail, wire.RequestDetail)
        return await _waited(client, detail, timeout)

    _tell(converse(context, talk), as_json or context.json)


@requests.command()
@ID
@click.pass_obj
def resume(context: Context, id: str) -> None:
    """Open what the approved request ID was for: the same session, or exactly the same command.

    Example: bartizan requests resume R-4F2
    """
    sys.exit(attach(control_socket(context), f"requests resume {id}"))


@requests.command()
@ID
@AS_JSON
@click.pass_obj
def cancel(context: Context, id: str, as_json: bool) -> None:
    """Take your own request ID back; what rests on it ends.

    Example: bartizan requests cancel R-4F2
    """
    _done(context, wire.CancelRequest(id), as_json)


@requests.command()
@ID
@click.option("-m", "--message", required=True, help="Why; it is kept and shown.")
@AS_JSON
@click.pass_obj
def withdraw(context: Context, id: str, message: str, as_json: bool) -> None:
    """Take your approval of ID back; sessions that rest on it end at once.

    Example: bartizan requests withdraw R-4F2 -m 'wrong host'
    """
    _done(context, wire.WithdrawRequest(id, message), as_json)


@requests.command()
@ID
@click.option("-m", "--message", required=True, help="What to say.")
@click.pass_obj
def say(context: Context, id: str, message: str) -> None:
    """Say something about ID, to its requester or to those who decide.

    Example: bartizan requests say R-4F2 -m 'backup taken?'
    """
    click.echo(ask(context, wire.SayRequest(id, message), Done).message)


@requests.command()
@ID
@click.pass_obj
def notify(context: Context, id: str) -> None:
    """Have those who may decide your request ID told once more.

    Example: bartizan requests notify R-4F2
    """
    click.echo(ask(context, wire.NotifyRequest(id), Done).message)


# ---------------------------------------------------------------- deciding


@click.group()
def approvals() -> None:
    """Requests that wait for you.

    Example: bartizan approvals ls
    """


@approvals.command("ls")
@click.option("--mine", "which", flag_value="mine", help="Your own instead.")
@click.option("--decided", "which", flag_value="decided", help="Settled ones instead.")
@click.option("--inbox", "which", flag_value="inbox", default="inbox", help="Those you may decide (default).")
@AS_JSON
@click.pass_obj
def list_inbox(context: Context, which: str, as_json: bool) -> None:
    """List the requests that you may decide, urgent ones first.

    Example: bartizan approvals ls --json
    """
    found = ask(context, wire.ListRequests(which), wire.RequestList).items
    show_requests(found, as_json=as_json or context.json)


@click.command()
@ID
@click.option("-m", "--message", default="", help="A comment; it is kept and shown.")
@click.option("--for", "lasts", type=DURATION, help="A shorter time than was asked for.")
@click.option("--confirm", default="", metavar="TARGET", help="The target's name, where the risk is HIGH.")
@AS_JSON
@click.pass_obj
def approve(context: Context, id: str, message: str, lasts: int | None, confirm: str, as_json: bool) -> None:
    """Approve the request ID as it is now. HIGH risk wants the target's name; on a terminal it is asked for.

    Example: bartizan approve R-4F2 --confirm prod-db-1 -m 'backup 14:00 exists'
    """

    async def talk(client: WireClient) -> wire.RequestDetail:
        detail = await client.ask(wire.ShowRequest(id))
        assert isinstance(detail, wire.RequestDetail)
        typed = confirm or _confirmed(detail)
        answer = await client.ask(
            wire.DecideRequest(detail.request.id, True, detail.digest, message, typed, lasts or 0)
        )
        assert isinstance(answer, wire.RequestDetail)
        return answer

    _decided(converse(context, talk), as_json or context.json)


def _confirmed(detail: wire.RequestDetail) -> str:
    """What is typed for a request of high risk. Raises Invalid where nobody can be asked."""
    if not detail.confirm:
        return ""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Invalid(
            f"{detail.request.id} is of HIGH risk, and there is no terminal to ask on",
            hint=f"--confirm {detail.confirm}",
        )
    for line in page(detail):
        click.echo(line)
    return str(click.prompt(f"Type {inert(detail.confirm)} to approve", default="", show_default=False))


@click.command()
@ID
@click.option("-m", "--message", required=True, help="Why; the requester is shown it.")
@AS_JSON
@click.pass_obj
def deny(context: Context, id: str, message: str, as_json: bool) -> None:
    """Deny the request ID.

    Example: bartizan deny R-4F2 -m 'take a backup first'
    """

    async def talk(client: WireClient) -> wire.RequestDetail:
        detail = await client.ask(wire.ShowRequest(id))
        assert isinstance(detail, wire.RequestDetail)
        answer = await client.ask(wire.DecideRequest(detail.request.id, False, detail.digest, message))
        assert isinstance(answer, wire.RequestDetail)
        return answer

    _decided(converse(context, talk), as_json or context.json)


def _decided(detail: wire.RequestDetail, as_json: bool) -> None:
    view = detail.request
    lacking = [panel for panel in detail.panels if len(panel.agreed) < panel.needed]
    more = f"; still needs {' and '.join(panel.text for panel in lacking)}" if view.state == "pending" else ""
    done(f"{view.id} {view.state}{more}", for_json(view), as_json=as_json)


def _done(context: Context, question: wire.CancelRequest | wire.WithdrawRequest, as_json: bool) -> None:
    view = ask(context, question, wire.RequestDetail).request
    done(f"{view.id} {view.state}", for_json(view), as_json=as_json or context.json)


@click.command()
@ID
@AS_JSON
@click.pass_obj
def why(context: Context, id: str, as_json: bool) -> None:
    """Explain a decision: ID of a request (R-…) or a session (S-…). Rule, place, inputs, votes, audit.

    Example: bartizan why R-4F2
    """
    found = ask(context, wire.ExplainDecision(id), wire.Explanation)
    if as_json or context.json:
        print_object(for_json(found))
        return
    for line in found.text:
        click.echo(line)
    click.echo(f"Rule {found.rule} ({found.origin})")
    for name, value in found.inputs.items():
        click.echo(f"  {name:<15} {value}")
    for note in found.events:
        click.echo(f"  {note.what:<22} {note.by}  {note.text}".rstrip())

"""What to do about a break, in words, and the forms that close it."""

from typing import ClassVar

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from orders import events
from orders.breaks import closing
from orders.breaks.models import Break
from orders.breaks.vocabulary import BreakKind

# What a person does about each kind; docs/reconciliation.md says more.
ADVICE = {
    BreakKind.MISSING_AT_BROKER: (
        "Here it stands and the broker, asked to the end, does not list it. An order: look for it in TWS or on the "
        "statement of the day; a day order that ran out while no worker was connected is the ordinary case, and if it "
        "was filled, import the statement. An execution: the broker may have taken it back."
    ),
    BreakKind.MISSING_HERE: (
        "The broker lists it and it is not on record. Look into the worker's log for what could not be applied; the "
        "next sync of executions records it, or says why not."
    ),
    BreakKind.QUANTITY: (
        "The figures differ. Of an order's fills some are probably missing here, of earlier days mostly: import the "
        "statement of those days."
    ),
    BreakKind.PRICE: (
        "The prices differ. Somebody may have changed the order elsewhere; the broker's is the one that counts."
    ),
    BreakKind.COMMISSION: (
        "The statement charges something else than the broker told at the time. The statement is what was paid."
    ),
    BreakKind.SIDE: "Bought here and sold there, or the other way round. Ask the broker; then look at the position.",
    BreakKind.CONTRACT: "One execution, two contracts. Ask the broker which; then look at both positions.",
    BreakKind.STATUS: (
        "The broker says something else about where the order stands. If it works there and is over here, cancel it in "
        "TWS or leave it knowingly. If it was filled there, its executions are missing here: import the statement."
    ),
    BreakKind.POSITION: (
        "More or less is held than the executions on record explain. Look for trades that are missing here, then for "
        "transfers, splits, exercises and expirations."
    ),
    BreakKind.ORPHAN_FILL: (
        "Executed under our client id or with our stamp, and no order here knows of it. Find out what placed it: "
        "another program on the same client id, or a database that was set back to an earlier state."
    ),
    BreakKind.OVERFILL: "More was filled than ordered. Look at the executions of the order, then at the position.",
    BreakKind.DUPLICATE_PERM_ID: (
        "Two orders where one is meant to be. Look at both at the broker, and cancel the one too many."
    ),
}


class ClosingForm(forms.Form):
    """One way to close a break; `consequences` stand above the field, in words."""

    title: ClassVar[str] = "Close it"
    consequences: ClassVar[str] = (
        "It leaves the work list. It is opened anew if the difference changes, or goes and comes back."
    )
    reason = forms.CharField(
        label="Reason",
        help_text="Where you looked and what you found. It is recorded with your name and cannot be changed.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )

    def close(self, row: Break, *, actor: str, request_id: str) -> Break:
        """Take the decision. Raises: InvalidDecision, BreakNotOpen."""
        return closing.close(row.pk, reason=self.cleaned_data["reason"], actor=actor, request_id=request_id)


class PositionForm(ClosingForm):
    title = "It is explained"
    consequences = (
        "From now on the difference is counted in: what should be held is what the broker says, and only what changes "
        "after this is a break. No execution is made up."
    )


class EndingForm(ClosingForm):
    ending: ClassVar[type[closing.Ending]]

    def close(self, row: Break, *, actor: str, request_id: str) -> Break:
        return closing.end_order(
            row.pk, self.ending, reason=self.cleaned_data["reason"], actor=actor, request_id=request_id
        )


class ExpiredForm(EndingForm):
    title = "The order expired"
    ending = events.ResolvedExpired
    consequences = "The order ends here as expired, by your decision. If the broker lists it again, it works again."


class CanceledForm(EndingForm):
    title = "The order was canceled"
    ending = events.ResolvedCanceled
    consequences = "The order ends here as canceled, by your decision. If the broker lists it again, it works again."


FORMS: dict[str, type[ClosingForm]] = {
    "close": ClosingForm,
    "explained": PositionForm,
    "expired": ExpiredForm,
    "canceled": CanceledForm,
}


def ways_to_close(row: Break) -> tuple[str, ...]:
    """The names of the forms that a break needs one of."""
    if closing.needs_an_ending(row):
        return "expired", "canceled"
    return ("explained",) if closing.can_be_counted_in(row) else ("close",)

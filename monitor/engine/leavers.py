"""Who has left the accounts that a sum is over: taken out at once, and said once to those who were told. Pure."""

import json

from monitor.model.alert import Alert, State, Verdict
from monitor.model.record import Account, RuleWatch


def leavers(alert: Alert, account: Account, still: str = "[]") -> str:
    """`hot-2 30 USDT, cold-1`: whom an alert on a sum named, and who is no member now; empty for nobody.

    Not those among the contributors in `still`: they are about to be taken out.
    """
    watch = account.target
    if not isinstance(watch, RuleWatch) or "contributors" not in alert.details:
        return ""
    told = json.loads(alert.details["contributors"])
    counted = {one["account"] for one in json.loads(still)}
    gone = (one for one in told if one["account"] not in watch.members and one["account"] not in counted)
    return ", ".join(
        one["account"] if one["value"] is None else f"{one['account']} {one['value']} {one['asset'].partition('@')[0]}"
        for one in gone
    )


def parting(alert: Alert | None, verdict: Verdict, account: Account) -> Verdict:
    """The verdict saying who has left since people were told of the alert."""
    if alert is None or alert.state is not State.FIRING:
        return verdict
    if not (left := leavers(alert, account, verdict.details.get("contributors", "[]"))):
        return verdict
    return verdict._replace(details={**verdict.details, "left": left})


def says_so(alert: Alert) -> bool:
    """Whether an alert has to be told again for who has left."""
    return alert.state is State.FIRING and "left" in alert.details

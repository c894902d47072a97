"""Alerts about the monitor itself: their rules are always there, and no file can write them."""

from typing import Literal

from monitor.rules.base import RuleBase

#: Their names: a rule in a file cannot have one of them.
SELF_ALERTS = frozenset({
    "ConfigReloadFailed", "NotificationFailing", "TemplateError", "PriceMissing", "EventGap", "StateLost",
    "SelfOffline", "SilenceEnding", "GuardClosed", "GuardQuarantined", "GuardLateCommit", "GuardUnsettled",
})  # fmt: skip
#: Label of what any process may report: whether all that poll do.
EVERYWHERE = "everywhere"
#: What is told when a channel fails; its alerts have a label `channel`, which names it.
NOTIFICATION_FAILING = "NotificationFailing"


class SelfRule(RuleBase):
    """A rule with its settings built in; routes find its alerts by `rule_type: self`."""

    type: Literal["self"] = "self"

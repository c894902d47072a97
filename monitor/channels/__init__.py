"""Destinations. A channel is one file here and one line below."""

from typing import Annotated

from pydantic import Field

from monitor.channels.alertmanager import Alertmanager
from monitor.channels.base import ChannelSettings
from monitor.channels.discord import Discord
from monitor.channels.email import Email
from monitor.channels.google_chat import GoogleChat
from monitor.channels.mattermost import Mattermost
from monitor.channels.ntfy import Ntfy
from monitor.channels.pagerduty import PagerDuty
from monitor.channels.slack import Slack
from monitor.channels.teams import Teams
from monitor.channels.telegram import Telegram
from monitor.channels.webhook import Webhook
from monitor.fields import by_type

AnyChannel = Annotated[
    Alertmanager | Discord | Email | GoogleChat | Mattermost | Ntfy | PagerDuty | Slack | Teams | Telegram | Webhook,
    Field(discriminator="type"),
]

#: Type in the configuration → its settings.
CHANNELS: dict[str, type[ChannelSettings]] = by_type(AnyChannel)

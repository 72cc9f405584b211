"""Settings of the operator: what its owner put into the environment."""

from domaintraining.controller.settings.graph import GraphSettings
from domaintraining.controller.settings.model import Settings
from domaintraining.controller.settings.patterns import plain_url, registry_of
from domaintraining.controller.settings.servers import ServerLimits
from domaintraining.controller.settings.source import SettingsError

__all__ = ["GraphSettings", "ServerLimits", "Settings", "SettingsError", "plain_url", "registry_of"]

"""What the operator's owner decides, and what follows from it for a spec."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Final

from domaintraining.api.job import Resources, Toleration
from domaintraining.api.sources import Leads
from domaintraining.api.spec import Auto
from domaintraining.controller.settings.datahosts import host_leads
from domaintraining.controller.settings.graph import GraphSettings, read_graph
from domaintraining.controller.settings.patterns import (
    MODEL,
    any_value_matches,
    matches,
    model_matches,
    plain_url,
    registry_of,
    url_matches,
    valid_url,
)
from domaintraining.controller.settings.servers import (
    MOST_CALLS,
    MOST_TRAININGS,
    ServerLimits,
    read_resources,
    read_servers,
)
from domaintraining.controller.settings.source import SettingsError, Source
from domaintraining.guard import Origin, origin_of
from domaintraining.proxy import Proxy
from domaintraining.reach import Reach

ONE_DAY: Final = 86_400
ONE_WEEK: Final = 7 * ONE_DAY
HIGHEST_PORT: Final = 65_535
NO_RESOURCES: Final = Resources()
DIRECT: Final = Proxy()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator's owner decides. Lists hold fnmatch patterns (`*`, `?`), matched without `[…]`."""

    trainer_image: str
    """TRAINER_IMAGE: image of new runs; required."""
    ollama_base_url: str = "http://ollama.ollama:11434"
    """OLLAMA_BASE_URL: the default model server."""
    model: str = "qwen3:32b"
    """OLLAMA_MODEL_GENERATION: the default model."""
    auto: Auto = "light"
    """DSPY_AUTO_MODE: the default mode; never manual, whose numbers stand in a spec alone."""
    verbose: bool = False
    """DSPY_VERBOSE: whether a trainer's log tells every step."""
    num_parallel: int | None = None
    """OLLAMA_NUM_PARALLEL: calls that the default server serves at once, 1 to 64; not set: nobody knows, and
    each trainer measures it."""
    model_servers: tuple[ServerLimits, ...] = ()
    """MODEL_SERVERS: further model servers, each allowed as it is written, with numbers of their own."""
    trainings_per_server: int = 2
    """TRAININGS_PER_SERVER: trainings that may run at once on a server, 1 to 1000."""
    allowed_endpoints: tuple[str, ...] = ()
    """ALLOWED_ENDPOINTS: further model servers as patterns, see `url_matches`."""
    allowed_pulls: tuple[str, ...] = ("*",)
    """ALLOWED_PULLS: models that may be pulled; `*` means those of the default registry and of
    ALLOWED_REGISTRIES, any other pattern those of the default registry or of the host that it names."""
    allowed_registries: tuple[str, ...] = ()
    """ALLOWED_REGISTRIES: registry hosts that names of models may begin with."""
    allowed_priority_classes: tuple[str, ...] = ()
    """ALLOWED_PRIORITY_CLASSES: priority classes of trainers."""
    allowed_node_labels: tuple[str, ...] = ("*",)
    """ALLOWED_NODE_LABELS: `KEY=VALUE` of node selectors."""
    allowed_tolerations: tuple[str, ...] = ("*",)
    """ALLOWED_TOLERATIONS: `KEY=VALUE` of taints that trainers may tolerate."""
    allowed_data_hosts: tuple[str, ...] = ()
    """ALLOWED_DATA_HOSTS: `HOST` or `HOST:PORT` of data servers that need not be public, see `host_leads`."""
    trainer_resources: Resources = NO_RESOURCES
    """TRAINER_RESOURCES: resources of trainers whose spec.job.resources is empty."""
    image_pull_secrets: tuple[str, ...] = ()
    """IMAGE_PULL_SECRETS: names of Secrets in a trainer's namespace, beside those of spec.job."""
    ca_bundle: str = ""
    """CA_BUNDLE: the text of that PEM file: authorities to trust beside the system's."""
    proxy: Proxy = DIRECT
    """HTTP_PROXY, HTTPS_PROXY, NO_PROXY: the way to model servers, for controller and trainers."""
    network_policies: bool = True
    """NETWORK_POLICIES: whether each run gets a NetworkPolicy."""
    api_server_cidrs: tuple[str, ...] = ()
    """API_SERVER_CIDRS: networks where pods reach the API server; none: the controller finds out."""
    health_port: int = 8080
    """HEALTH_PORT: where the controller's probes are served."""
    resync_seconds: int = 300
    """RESYNC_SECONDS: how often everything is looked at again, 1 to 86,400."""
    check_seconds: int = 21_600
    """CHECK_SECONDS: how often a trainer looks at data that the controller can't see, 1 to 604,800."""
    outage_seconds: int = 600
    """OUTAGE_SECONDS: how long a trainer waits for a failing model server, 1 to 86,400."""
    namespaces: tuple[str, ...] = ()
    """WATCH_NAMESPACES: the watched namespaces; none means all."""
    graph: GraphSettings | None = None
    """The Neo4j server; None: there is none."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings in an environment.

        A single value that is empty counts as not set; an empty list allows nothing.

        Raises:
            SettingsError: naming all variables that are missing or wrong.
        """
        source = Source(environ)
        settings = cls(
            trainer_image=source.text("TRAINER_IMAGE", None),
            ollama_base_url=source.url("OLLAMA_BASE_URL", cls.ollama_base_url),
            model=source.model("OLLAMA_MODEL_GENERATION", cls.model),
            auto=source.mode("DSPY_AUTO_MODE", cls.auto),
            verbose=source.switch("DSPY_VERBOSE", default=cls.verbose),
            num_parallel=source.number_if_set("OLLAMA_NUM_PARALLEL", MOST_CALLS),
            model_servers=source.parsed("MODEL_SERVERS", read_servers, cls.model_servers),
            trainings_per_server=source.number(
                "TRAININGS_PER_SERVER", cls.trainings_per_server, MOST_TRAININGS
            ),
            allowed_endpoints=source.patterns("ALLOWED_ENDPOINTS", cls.allowed_endpoints, "server"),
            allowed_pulls=source.patterns("ALLOWED_PULLS", cls.allowed_pulls, "model"),
            allowed_registries=source.patterns("ALLOWED_REGISTRIES", cls.allowed_registries, "host"),
            allowed_priority_classes=source.patterns(
                "ALLOWED_PRIORITY_CLASSES", cls.allowed_priority_classes, "class"
            ),
            allowed_node_labels=source.patterns("ALLOWED_NODE_LABELS", cls.allowed_node_labels, "label"),
            allowed_tolerations=source.patterns("ALLOWED_TOLERATIONS", cls.allowed_tolerations, "label"),
            allowed_data_hosts=source.patterns("ALLOWED_DATA_HOSTS", cls.allowed_data_hosts, "data host"),
            trainer_resources=source.parsed("TRAINER_RESOURCES", read_resources, cls.trainer_resources),
            image_pull_secrets=source.object_names("IMAGE_PULL_SECRETS"),
            ca_bundle=source.certificates("CA_BUNDLE"),
            proxy=source.proxy(),
            network_policies=source.switch("NETWORK_POLICIES", default=cls.network_policies),
            api_server_cidrs=source.networks("API_SERVER_CIDRS"),
            health_port=source.number("HEALTH_PORT", cls.health_port, HIGHEST_PORT),
            resync_seconds=source.number("RESYNC_SECONDS", cls.resync_seconds, ONE_DAY),
            check_seconds=source.number("CHECK_SECONDS", cls.check_seconds, ONE_WEEK),
            outage_seconds=source.number("OUTAGE_SECONDS", cls.outage_seconds, ONE_DAY),
            namespaces=source.object_names("WATCH_NAMESPACES"),
            graph=read_graph(environ, source.faults),
        )
        if source.faults:
            raise SettingsError("; ".join(source.faults))
        return settings

    @property
    def reach(self) -> Reach:
        """The way to model servers."""
        return Reach(self.proxy, self.ca_bundle)

    @property
    def named_origins(self) -> frozenset[Origin]:
        """Hosts and ports that are named to the letter, here or as proxies: they may be any machine."""
        exact = [one for one in self.allowed_endpoints if valid_url(one)]  # with a wildcard it is no URL
        named = [self.ollama_base_url, *(one.endpoint for one in self.model_servers), *exact]
        proxies = [one for one in (self.proxy.http, self.proxy.https) if one]
        return frozenset(map(origin_of, named + proxies))

    def endpoint_allowed(self, url: str) -> bool:
        """Whether requests may go to a model server: the default one, and those of the lists."""
        if not valid_url(url):
            return False
        if self._is_default(url) or self._limits(url) is not None:
            return True
        return any(url_matches(url, pattern) for pattern in self.allowed_endpoints)

    def registry_allowed(self, name: str) -> bool:
        """Whether a model may be named: without a registry host, with one of the lists, or as the default."""
        if name == self.model:
            return True
        if not MODEL.fullmatch(name):
            return False
        host, _ = registry_of(name.lower())
        return (
            not host
            or any(matches(host, pattern.lower()) for pattern in self.allowed_registries)
            or any(model_matches(name, pattern) for pattern in self.allowed_pulls)
        )

    def pull_allowed(self, name: str) -> bool:
        """Whether a model server may be told to pull a model, by its name as `ollama pull` takes it."""
        if not self.registry_allowed(name):
            return False
        if "*" in self.allowed_pulls:
            return True
        return any(model_matches(name, pattern) for pattern in self.allowed_pulls)

    def priority_class_allowed(self, name: str) -> bool:
        """Whether a trainer may have a priority class."""
        return any(matches(name, pattern) for pattern in self.allowed_priority_classes)

    def node_label_allowed(self, key: str, value: str) -> bool:
        """Whether a trainer may select nodes by a label."""
        return any(matches(f"{key}={value}", pattern) for pattern in self.allowed_node_labels)

    def toleration_allowed(self, toleration: Toleration) -> bool:
        """Whether a trainer may tolerate a taint; all that the toleration covers has to be on the list."""
        key, value = toleration.key, toleration.value or ""
        if key and toleration.operator == "Equal":
            return any(matches(f"{key}={value}", pattern) for pattern in self.allowed_tolerations)
        start = f"{key}=" if key else ""
        return any(any_value_matches(start, pattern) for pattern in self.allowed_tolerations)

    def data_host_leads(self, url: str) -> Leads:
        """Where the name of a data server may lead: one that is named to the letter may lead anywhere."""
        return host_leads(url, self.allowed_data_hosts)

    def permits(self, endpoint: str, wanted: int | None) -> int | None:
        """Calls in flight at once: as wanted, but never more than the server is said to serve.

        None where nobody says.
        """
        limits = self._limits(endpoint)
        serves = limits.requests if limits is not None else None
        if serves is None and self._is_default(endpoint):
            serves = self.num_parallel
        return min((number for number in (wanted, serves) if number is not None), default=None)

    def trainings(self, endpoint: str) -> int:
        """Trainings that may run on a server at once; all spellings of its URL are one, see `plain_url`."""
        limits = self._limits(endpoint)
        own = limits.trainings if limits is not None else None
        return own or self.trainings_per_server

    def digest(self) -> str:
        """16 hex digits that change with whatever an attempt depends on, as its being allowed."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        left_out = {
            *("trainings_per_server", "health_port", "resync_seconds", "check_seconds", "namespaces"),
            "graph",
        }
        content = {name: value for name, value in asdict(self).items() if name not in left_out}
        content["model_servers"] = [[one.endpoint, one.requests] for one in self.model_servers]
        content["trainer_resources"] = self.trainer_resources.model_dump(mode="json")
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def _servers(self) -> dict[str, ServerLimits]:
        return {plain_url(one.endpoint): one for one in self.model_servers}

    def _limits(self, url: str) -> ServerLimits | None:
        return self._servers.get(plain_url(url))

    def _is_default(self, url: str) -> bool:
        return plain_url(url) == plain_url(self.ollama_base_url)

"""Settings of a trainer: what the controller put into the arguments and the environment of its pod."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from domaintraining.api.reasons import Reason
from domaintraining.errors import DomainTrainingError
from domaintraining.proxy import Proxy
from domaintraining.reach import PLAIN, Reach

SERVICE_HOST: Final = "KUBERNETES_SERVICE_HOST"
SERVICE_PORT: Final = "KUBERNETES_SERVICE_PORT"


@dataclass(frozen=True, slots=True)
class TrainerSettings:
    """Where a trainer finds its run and where it reports."""

    run_file: Path
    """--run-file: the run, JSON."""
    data_dir: Path
    """--data-dir: folder with the file of samples."""
    served_dir: Path
    """--served-dir: folder with the files of the served revision; need not exist."""
    report_name: str
    """REPORT_NAME: name of the report ConfigMap."""
    report_namespace: str
    """REPORT_NAMESPACE: its namespace."""
    attempt: int
    """ATTEMPT: number of the attempt, from 1."""
    credentials: Path
    """KUBE_CREDENTIALS_DIR: folder with token and ca.crt for the API server."""
    service_host: str
    """KUBERNETES_SERVICE_HOST: host of the API server."""
    service_port: str
    """KUBERNETES_SERVICE_PORT: its port."""
    termination_log: Path | None = None
    """TERMINATION_LOG: file whose content Kubernetes shows as the container's message."""

    journal_dir: Path | None = None
    """JOURNAL_DIR: folder for the answers of the model; without one they live as long as the process."""
    similar_dir: Path | None = None
    """SIMILAR_DIR: folder with what similar domains offer; need not exist."""
    data_credentials_dir: Path | None = None
    """DATA_CREDENTIALS_DIR: folder with the Secret for the server of the data, where spec names one."""
    reach: Reach = PLAIN
    """HTTP_PROXY, HTTPS_PROXY, NO_PROXY; CA_BUNDLE: file with further authorities to trust."""

    @property
    def service(self) -> dict[str, str]:
        """The API server's address as a pod's environment names it."""
        return {SERVICE_HOST: self.service_host, SERVICE_PORT: self.service_port}

    @classmethod
    def read(cls, argv: Sequence[str], environ: Mapping[str, str]) -> "TrainerSettings":
        """The settings in arguments (without the program's name) and environment.

        Raises:
            DomainTrainingError: a setting is missing or no value, or the file with authorities can't be read
                (TrainerFailed); the message names all of the missing ones.
        """
        options = _arguments(argv)
        names = (
            "REPORT_NAME",
            "REPORT_NAMESPACE",
            "ATTEMPT",
            "KUBE_CREDENTIALS_DIR",
            SERVICE_HOST,
            SERVICE_PORT,
        )
        if missing := [name for name in names if not environ.get(name)]:
            raise DomainTrainingError(Reason.TRAINER_FAILED, f"not set: {', '.join(missing)}")
        attempt = environ["ATTEMPT"]
        if not attempt.isascii() or not attempt.isdigit() or int(attempt) < 1:
            raise DomainTrainingError(Reason.TRAINER_FAILED, "ATTEMPT is not a number from 1")
        log, journal = environ.get("TERMINATION_LOG"), environ.get("JOURNAL_DIR")
        credentials = environ.get("DATA_CREDENTIALS_DIR")
        return cls(
            run_file=options.run_file,
            data_dir=options.data_dir,
            served_dir=options.served_dir,
            report_name=environ["REPORT_NAME"],
            report_namespace=environ["REPORT_NAMESPACE"],
            attempt=int(attempt),
            credentials=Path(environ["KUBE_CREDENTIALS_DIR"]),
            service_host=environ[SERVICE_HOST],
            service_port=environ[SERVICE_PORT],
            termination_log=Path(log) if log else None,
            journal_dir=Path(journal) if journal else None,
            similar_dir=Path(similar) if (similar := environ.get("SIMILAR_DIR")) else None,
            data_credentials_dir=Path(credentials) if credentials else None,
            reach=Reach(Proxy.read(environ), _authorities(environ.get("CA_BUNDLE"))),
        )


def _authorities(path: str | None) -> str:
    """The text of the file, which the controller has checked."""
    try:
        return Path(path).read_text(encoding="ascii") if path else ""
    except (OSError, ValueError) as error:
        raise DomainTrainingError(Reason.TRAINER_FAILED, f"CA_BUNDLE: {path}: {error}") from error


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise DomainTrainingError(Reason.TRAINER_FAILED, message)


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = _Parser("domaintraining trainer", allow_abbrev=False)
    for name, what in (("run", "run, JSON"), ("data", "samples"), ("served", "served revision")):
        kind = "file" if name == "run" else "dir"
        parser.add_argument(f"--{name}-{kind}", type=Path, required=True, help=f"{kind} of the {what}")
    return parser.parse_args(argv)

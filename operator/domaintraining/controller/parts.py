"""What the objects around one trainer are called: those of a run, and those of a check. Pure."""

from dataclasses import dataclass
from typing import Final

from domaintraining.api.names import (
    LABEL_RUN,
    check_data_name,
    check_job_name,
    check_name,
    check_report_name,
    data_name,
    job_name,
    record_name,
    report_name,
    run_name,
)
from domaintraining.api.run import Run

ROLE_RUN: Final = "run"
ROLE_DATA: Final = "data"
ROLE_REPORT: Final = "report"
ROLE_TRAINER: Final = "trainer"
ROLE_CHECK: Final = "check"
"""The ConfigMap with the record of a resource's checks."""
ROLE_CHECK_REPORT: Final = "check-report"
ROLE_CHECKER: Final = "checker"
"""Job, pods and rights of a check: nothing that looks for runs finds them."""


@dataclass(frozen=True)
class Parts:
    """Names and labels of what is made around one trainer."""

    name: str
    """ServiceAccount, Role, RoleBinding and NetworkPolicy."""
    record: str
    """ConfigMap that the trainer starts from."""
    report: str
    """ConfigMap that the trainer alone may patch."""
    data: str
    """ConfigMap with inline samples."""
    role: str
    """Role label of Job, pods and rights."""
    report_role: str
    """Role label of the report."""
    labels: dict[str, str]
    """Further labels that all of them bear."""


def parts_of_run(name: str, run: int) -> Parts:
    """Those of one run (from 1) of a resource."""
    return Parts(
        name=run_name(name, run),
        record=record_name(name, run),
        report=report_name(name, run),
        data=data_name(name, run),
        role=ROLE_TRAINER,
        report_role=ROLE_REPORT,
        labels={LABEL_RUN: str(run)},
    )


def parts_of_check(name: str) -> Parts:
    """Those of the checks of a resource, of which there is one at a time."""
    return Parts(
        name=check_name(name),
        record=check_name(name),
        report=check_report_name(name),
        data=check_data_name(name),
        role=ROLE_CHECKER,
        report_role=ROLE_CHECK_REPORT,
        labels={},
    )


def parts_of(run: Run) -> Parts:
    """Those of what a trainer starts from, which is a run or a check."""
    return parts_of_run(run.name, run.number) if run.check is None else parts_of_check(run.name)


def job_of(run: Run, attempt: int) -> str:
    """The Job of an attempt at a run, or of the check of this number."""
    if run.check is None:
        return job_name(run.name, run.number, attempt)
    return check_job_name(run.name, attempt)

"""The checks of a resource as the cluster holds them: record, Jobs, and the open one's report."""

from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

from domaintraining.api.names import LABEL_ROLE, check_job_name, check_name, check_report_name
from domaintraining.api.report import REPORT_KEY, Drift, Failure, Report
from domaintraining.api.run import RUN_KEY, Run
from domaintraining.controller.checks import RECORD_KEY, Checks
from domaintraining.controller.observed import CheckState, JobState, Object
from domaintraining.controller.parts import ROLE_CHECK, ROLE_CHECKER

LONGEST_REPORT: Final = 2**20


def of_checks(found: Sequence[Object]) -> tuple[list[Object], list[Object]]:
    """Jobs or pods of runs, and those of checks."""
    checks = [one for one in found if _role(one) == ROLE_CHECKER]
    return [one for one in found if _role(one) != ROLE_CHECKER], checks


def check_state(name: str, config_maps: Sequence[Object], jobs: Sequence[JobState]) -> CheckState:
    """The checks of the resource of this name.

    Args:
        name: of the resource.
        config_maps: all of it.
        jobs: those of its checks.
    """
    by_name = {one["metadata"]["name"]: one for one in config_maps}
    record, reported = by_name.get(check_name(name)), by_name.get(check_report_name(name))
    data = (record.get("data") or {}) if record is not None and _role(record) == ROLE_CHECK else {}
    checks = _checks(data.get(RECORD_KEY, ""))
    own = tuple(job for job in jobs if job.name == check_job_name(name, job.attempt))
    drift, failure, error = _reported((reported or {}).get("data") or {}, data.get(RUN_KEY, ""), checks)
    return CheckState(
        checks=checks,
        jobs=own,
        found=drift,
        failure=failure,
        error=error,
        left=reported is not None or bool(own),
    )


def _checks(text: str) -> Checks:
    """The record; one that can't be read counts as none, and what it knew is looked at again."""
    try:
        return Checks.model_validate_json(text) if text else Checks()
    except ValidationError:
        return Checks()


def _reported(data: dict[str, str], run: str, checks: Checks) -> tuple[Drift | None, Failure | None, str]:
    """What the open check's trainer says: hostile input, bounded and validated; nothing of an earlier one."""
    text = data.get(REPORT_KEY, "")
    if checks.current is None or not text:
        return None, None, ""
    if len(text) > LONGEST_REPORT:
        return None, None, f"more than {LONGEST_REPORT} characters"
    try:
        started, report = Run.model_validate_json(run), Report.model_validate_json(text)
    except ValidationError as error:
        return None, None, _where(error)
    except RecursionError:
        return None, None, "nested too deeply"
    if (report.run, report.attempt) != (started.number, checks.current.number):
        return None, None, ""
    return report.check, report.failure, ""


def _where(error: ValidationError) -> str:
    """Fields and kinds of the first faults, without what was written there."""
    faults = error.errors(include_input=False, include_url=False)[:3]
    return "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"[:200] for one in faults)


def _role(body: Object) -> str:
    return str((body["metadata"].get("labels") or {}).get(LABEL_ROLE, ""))

"""What is kept of runs that are over, and what may go. Pure."""

from domaintraining.controller.observed import Observed, Revision
from domaintraining.controller.promotion import needed_by, pinned, revision_of


def to_prune(observed: Observed, serve: Revision | None) -> tuple[Revision, ...]:
    """Revisions beyond the newest that nobody serves, needs or asked to keep."""
    trained = observed.trained
    newest = {one.number for one in trained[-observed.resource.spec.revision_history_limit :]}
    held = {
        revision.number for revision in (serve, observed.served, pinned(observed)) if revision is not None
    }
    settled = revision_of(observed, observed.resource.hash)
    held |= {settled.number} if settled is not None else set()
    stay = [one for one in trained if one.keep or one.number in held | newest]
    stays = {one.number for one in stay}.union(*(needed_by(one) for one in stay)) | _compared_with(observed)
    return tuple(one for one in trained if one.number not in stays and one.owned)


def _compared_with(observed: Observed) -> set[int]:
    """Revisions that a run without a result mounts, and goes on with where a task fails."""
    record = observed.record
    if record is None or any(one.number == record.run.number for one in observed.trained):
        return set()
    origins = (origin.revision for origin in record.run.served_from.values())
    return {*origins, *([record.run.served] if record.run.served else [])}


def to_forget(observed: Observed) -> tuple[int, ...]:
    """Runs that a later one followed and whose Job, if it goes on, will not read anything any more.

    The last run stays, and with it the last that can be read: number and attempt come from there.
    """
    needed = {job.run for job in observed.jobs if job.active}
    needed |= {observed.record.run.number} if observed.record else set()
    return tuple(number for number in observed.runs[:-1] if number not in needed)

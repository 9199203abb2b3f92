"""A cluster that is none: jobs whose logs are known, and connections that break when told to."""

from tune_metalr.ray_pool.job import Job, JobFacts, JobState, LostConnectionError

URL = "http://127.0.0.1:8265"


def a_job(job_id="small-1", state=JobState.RUNNING, **changes):
    facts = JobFacts(
        changes.pop("study", "small"), changes.pop("results", "/results"),
        changes.pop("digest", "d"), "tune-metalr submit small.yaml",
    )  # fmt: skip
    return Job(job_id, state, facts, "", None, 0)._replace(**changes)


class FakeJobs:
    """Each call of `tail` gives the next of its scripts: texts, and errors to be raised."""

    url = URL
    ray_version = "2.60.0"

    def __init__(self, *tails, jobs=(), token=True):
        self.known = {job.job_id: job for job in jobs}
        self.orders = []
        self.stopped = []
        self._tails = list(tails)
        self._token = token

    def asks_for_a_token(self):
        return self._token

    def all(self):
        return list(self.known.values())

    def find(self, job_id):
        return self.known.get(job_id)

    def submit(self, order):
        self.orders.append(order)
        self.known[order.job_id] = Job(order.job_id, JobState.PENDING, order.facts, "", None, 1)

    def stop(self, job_id):
        self.stopped.append(job_id)
        self.known[job_id] = self.known[job_id]._replace(state=JobState.STOPPED)

    def logs(self, job_id):
        return "".join(text for text in self._tails[-1] if isinstance(text, str))

    def tail(self, job_id):
        if job_id not in self.known:
            raise lost("404")
        script = self._tails.pop(0) if len(self._tails) > 1 else self._tails[0]
        for item in script:
            if isinstance(item, Job):
                self.known[job_id] = item
            elif isinstance(item, str):
                yield item
            else:
                raise item


def lost(reason="nothing answers there"):
    return LostConnectionError(URL, reason)

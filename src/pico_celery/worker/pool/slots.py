"""Who runs and who waits: the slots of a pool."""

from __future__ import annotations

import threading
from collections import deque
from itertools import count

from pico_celery.worker.pool.jobs import PoolJob


class Lane:
    """Jobs of one kind: how many run, and which wait for a slot."""

    __slots__ = ("limit", "running", "waiting")

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.running = 0
        self.waiting: deque[PoolJob] = deque()

    @property
    def is_full(self) -> bool:
        """Whether no more of this kind may run."""
        return self.limit is not None and self.running >= self.limit


class Slots:
    """Gives jobs a slot each, in the order of their coming.

    A job of a task that is in flight here already waits until that one has ended: Celery publishes a retry before it stores
    that the first run ends, and the second run must not overtake it.
    """

    def __init__(self, limit: int, synchronous_limit: int) -> None:
        self.limit = limit
        self._least = min(1, limit)  # --autoscale may begin with none
        self.coroutines = Lane()
        self.synchronous = Lane(synchronous_limit)
        self.jobs: set[PoolJob] = set()  # Celery keeps a weak reference only
        self._lanes = (self.coroutines, self.synchronous)
        self._lane_of: dict[PoolJob, Lane] = {}
        # By id of the task in flight; a deque is bigger than all else that is kept of a job, and nearly never needed.
        self._followers: dict[str, deque[PoolJob] | None] = {}
        self._numbers = count()
        self._closed = False
        self._lock = threading.RLock()  # a cold shutdown comes in a signal handler, whatever it interrupts

    @property
    def running(self) -> int:
        """How many jobs run."""
        return sum(lane.running for lane in self._lanes)

    @property
    def waiting(self) -> int:
        """How many jobs have no slot yet."""
        return len(self.jobs) - self.running

    def take(self, job: PoolJob, lane: Lane) -> bool:
        """Take a job in."""
        with self._lock:
            if self._closed:
                return False  # never acknowledged: the broker gives it to another worker
            job.number = next(self._numbers)
            self.jobs.add(job)
            self._lane_of[job] = lane
            if job.task_id in self._followers:
                followers = self._followers[job.task_id]
                if followers is None:
                    followers = self._followers[job.task_id] = deque()
                followers.append(job)
                return False
            self._followers[job.task_id] = None
            # A slot that has just become free belongs to those who wait: `next` is about to be asked for one of them.
            overtakes = any(one.waiting and not one.is_full for one in self._lanes)
            if self.running < self.limit and not lane.is_full and not overtakes:
                lane.running += 1
                return True
            lane.waiting.append(job)
            return False

    def withdraw(self, job: PoolJob) -> bool:
        """Take back a job that has no slot yet."""
        with self._lock:
            lane = self._lane_of.get(job)
            if lane is None:
                return False
            followers = self._followers.get(job.task_id)
            if followers is not None and job in followers:
                followers.remove(job)
                self._forget(job)
                return True
            if job in lane.waiting:
                lane.waiting.remove(job)
                self._end(job)
                return True
            return False

    def release(self, job: PoolJob) -> None:
        """Take the slot of a job that has ended."""
        with self._lock:
            self._lane_of[job].running -= 1
            self._end(job)

    def next(self) -> PoolJob | None:
        """Give a slot to the job that has waited longest."""
        with self._lock:
            ready = [lane for lane in self._lanes if lane.waiting and not lane.is_full]
            if self._closed or not ready or self.running >= self.limit:
                return None
            lane = min(ready, key=lambda one: one.waiting[0].number)
            lane.running += 1
            return lane.waiting.popleft()

    def resize(self, by: int) -> None:
        """Change how many jobs may run."""
        with self._lock:
            if self.limit + by < self._least:
                raise ValueError(f"cannot shrink a pool of {self.limit} by {-by}: it would run nothing any more")
            self.limit += by

    def flush(self) -> None:
        """Forget every job that has no slot."""
        with self._lock:
            for lane in self._lanes:
                for job in tuple(lane.waiting):
                    for follower in self._followers.pop(job.task_id) or ():
                        self._forget(follower)
                    self._forget(job)
                lane.waiting.clear()
            for task_id, followers in self._followers.items():
                for follower in followers or ():
                    self._forget(follower)
                self._followers[task_id] = None

    def close(self) -> None:
        """Take no more jobs, and forget those without a slot."""
        self._closed = True
        self.flush()

    def abandon(self) -> list[PoolJob]:
        """Forget the jobs that still run."""
        with self._lock:
            left = list(self.jobs)
            self.jobs.clear()
            return left

    def _end(self, job: PoolJob) -> None:
        self._forget(job)
        followers = self._followers[job.task_id]
        if followers:
            follower = followers.popleft()
            self._lane_of[follower].waiting.append(follower)
        else:
            del self._followers[job.task_id]

    def _forget(self, job: PoolJob) -> None:
        self.jobs.discard(job)
        self._lane_of.pop(job, None)

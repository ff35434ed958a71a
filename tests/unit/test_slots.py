"""Who runs and who waits: the slots of a pool against a model of them, and under many threads."""

import threading
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from pico_celery.worker.pool.jobs import Call, Callbacks, Lane, PoolJob, Slots

_numbers = count()
IDS = st.sampled_from("abcde")
KINDS = st.sampled_from(["coroutine", "synchronous"])


def job_of(task_id: str) -> PoolJob:
    number = next(_numbers)
    call = Call(print, (f"job {number}", task_id), {})
    return PoolJob(cast("Any", None), call, Callbacks(None, None, None, None), (None, None))


class SlotsMachine(RuleBasedStateMachine):
    """Every job is in one place at a time: it waits, follows another of its task, runs, or is gone."""

    taken: Bundle[PoolJob] = Bundle("taken")

    def __init__(self) -> None:
        super().__init__()
        self.slots = Slots(0, 0)
        self.lanes: dict[str, Lane] = {}
        self.kind_of: dict[PoolJob, str] = {}
        # The model. The queue of each kind has the jobs that lack nothing but a slot, in their order.
        self.limit = 0
        self.synchronous_limit = 0
        self.least = 0
        self.closed = False
        self.abandoned: set[PoolJob] = set()
        self.running: list[PoolJob] = []
        self.queues: dict[str, list[PoolJob]] = {"coroutine": [], "synchronous": []}
        self.followers: dict[str, list[PoolJob]] = {}
        self.started: Counter[PoolJob] = Counter()

    @initialize(limit=st.integers(0, 5), synchronous_limit=st.integers(1, 3))
    def start(self, limit: int, synchronous_limit: int) -> None:
        self.slots = Slots(limit, synchronous_limit)
        self.lanes = {"coroutine": self.slots.coroutines, "synchronous": self.slots.synchronous}
        self.limit, self.synchronous_limit = limit, synchronous_limit
        self.least = min(1, limit)

    @rule(target=taken, task_id=IDS, kind=KINDS)
    def take(self, task_id: str, kind: str) -> PoolJob:
        job = job_of(task_id)
        self.kind_of[job] = kind
        known = self.in_flight(task_id)
        overtakes = any(self.may_start(head) for head in self.heads())
        has_slot = self.slots.take(job, self.lanes[kind])
        if self.closed:
            assert not has_slot
        elif known:
            assert not has_slot, "it runs beside its own task"
            self.followers.setdefault(task_id, []).append(job)
        elif has_slot:
            assert self.may_start(job), "more run than the limit"
            assert not overtakes, "it overtook one that waits"
            self.begin(job)
        else:
            assert overtakes or not self.may_start(job), "a free slot was not used"
            self.queues[kind].append(job)
        return job

    @rule()
    def next(self) -> None:
        candidates = [] if self.closed else [head for head in self.heads() if self.may_start(head)]
        job = self.slots.next()
        if job is None:
            assert not candidates, "a free slot was not used"
            return
        assert job is min(candidates, key=lambda one: one.number)
        self.queues[self.kind_of[job]].remove(job)
        self.begin(job)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.running))
        self.slots.release(job)
        self.running.remove(job)
        self.abandoned.discard(job)
        self.promote(job.task_id)

    @rule(job=taken)
    def withdraw(self, job: PoolJob) -> None:
        self.withdraw_it(job)

    @rule(job=consumes(taken))
    def withdraw_twice(self, job: PoolJob) -> None:
        self.withdraw_it(job)
        assert not self.slots.withdraw(job)

    @rule(by=st.integers(-6, 6))
    def resize(self, by: int) -> None:
        if self.limit + by < self.least:
            with pytest.raises(ValueError, match=f"cannot shrink a pool of {self.limit} by {-by}"):
                self.slots.resize(by)
        else:
            self.slots.resize(by)
            self.limit += by

    @rule()
    def flush(self) -> None:
        self.slots.flush()
        self.forget_waiting()

    @precondition(lambda self: len(self.started) > 5)
    @rule()
    def close(self) -> None:
        self.slots.close()
        self.closed = True
        self.forget_waiting()

    @precondition(lambda self: self.closed)
    @rule()
    def abandon(self) -> None:
        left = self.slots.abandon()
        assert sorted(map(id, left)) == sorted(id(job) for job in self.running if job not in self.abandoned)
        self.abandoned.update(self.running)

    @invariant()
    def agrees_with_the_model(self) -> None:
        waiting = [*self.queues["coroutine"], *self.queues["synchronous"]]
        following = [job for followers in self.followers.values() for job in followers]
        known = {*self.running, *waiting, *following} - self.abandoned
        assert self.slots.limit == self.limit
        assert self.slots.jobs == known
        assert self.slots.running == len(self.running)
        for kind, lane in self.lanes.items():
            assert lane.running == sum(self.kind_of[job] == kind for job in self.running)
            assert list(lane.waiting) == self.queues[kind]
        if not self.abandoned:
            assert self.slots.waiting == len(waiting) + len(following)

    @invariant()
    def no_task_runs_beside_itself(self) -> None:
        assert max(Counter(job.task_id for job in self.running).values(), default=0) <= 1
        assert max(self.started.values(), default=0) <= 1

    @invariant()
    def nothing_is_kept_of_what_is_gone(self) -> None:
        if not self.slots.jobs and not self.abandoned:
            assert not self.slots._lane_of
            assert not self.slots._followers

    def teardown(self) -> None:
        """Let everything end: whatever was taken and not forgotten has its turn, once."""
        owed = {job for queue in (*self.queues.values(), *self.followers.values()) for job in queue}
        self.limit = self.limit or 1
        self.slots.limit = self.limit
        for _ in range(3 * len(self.kind_of) + 3):
            for job in tuple(self.running):
                self.slots.release(job)
                self.running.remove(job)
                self.promote(job.task_id)
            while not self.closed and any(self.may_start(head) for head in self.heads()):
                self.next()
        assert all(self.started[job] == 1 for job in owed)
        assert not self.slots.running
        self.abandoned.clear()
        self.nothing_is_kept_of_what_is_gone()

    # The model's own rules.

    def heads(self) -> Iterator[PoolJob]:
        return (queue[0] for queue in self.queues.values() if queue)

    def may_start(self, job: PoolJob) -> bool:
        busy = sum(self.kind_of[one] == "synchronous" for one in self.running)
        return len(self.running) < self.limit and (self.kind_of[job] == "coroutine" or busy < self.synchronous_limit)

    def in_flight(self, task_id: str) -> bool:
        known = [*self.running, *self.queues["coroutine"], *self.queues["synchronous"]]
        return any(job.task_id == task_id for job in known)

    def begin(self, job: PoolJob) -> None:
        self.running.append(job)
        self.started[job] += 1

    def promote(self, task_id: str) -> None:
        followers = self.followers.get(task_id)
        if followers:
            follower = followers.pop(0)
            self.queues[self.kind_of[follower]].append(follower)

    def withdraw_it(self, job: PoolJob) -> None:
        queue, followers = self.queues[self.kind_of[job]], self.followers.get(job.task_id, [])
        withdrawn = self.slots.withdraw(job)
        assert withdrawn == (job in queue or job in followers)
        if job in followers:
            followers.remove(job)
        elif job in queue:
            queue.remove(job)
            self.promote(job.task_id)

    def forget_waiting(self) -> None:
        for queue in (*self.queues.values(), *self.followers.values()):
            queue.clear()


SlotsMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)
test_slots_do_what_their_model_says: Any = SlotsMachine.TestCase


def test_many_threads_give_each_job_one_slot_and_none_is_left_over() -> None:
    limit, synchronous_limit, each, threads = 7, 3, 400, 4
    slots = Slots(limit, synchronous_limit)
    lock = threading.Lock()
    started: Counter[PoolJob] = Counter()
    withdrawn: Counter[PoolJob] = Counter()
    busy: Counter[str] = Counter()
    errors: list[str] = []
    begun: list[PoolJob] = []

    def start(job: PoolJob) -> None:
        with lock:
            started[job] += 1
            busy[job.task_id] += 1
            begun.append(job)
            if busy[job.task_id] > 1:
                errors.append(f"{job.task_id} ran beside itself")
            if slots.coroutines.running + slots.synchronous.running > limit:
                errors.append("more ran than the limit")
            if slots.synchronous.running > synchronous_limit:
                errors.append("more synchronous ones ran than their limit")

    def end_one() -> bool:
        with lock:
            if not begun:
                return False
            job = begun.pop(0)
            busy[job.task_id] -= 1
        slots.release(job)
        start_waiting()
        return True

    def start_waiting() -> None:
        while (job := slots.next()) is not None:
            start(job)

    def submit(worker: int) -> None:
        for number in range(each):
            job = job_of(str((worker + number) % 11))
            if slots.take(job, slots.synchronous if number % 3 == 0 else slots.coroutines):
                start(job)
            if number % 7 == 0 and slots.withdraw(job):
                with lock:
                    withdrawn[job] += 1
                start_waiting()
            end_one()

    crowd = [threading.Thread(target=submit, args=(worker,)) for worker in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(60)
    while end_one():
        pass
    assert errors == []
    assert set(started.values()) == {1}
    assert not started.keys() & withdrawn.keys()
    assert len(started) + len(withdrawn) == each * threads
    assert (slots.running, slots.waiting, slots.jobs) == (0, 0, set())

"""The books: any order of sends, answers, doubles, losses and epochs ends each request exactly once."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from coordinator.serving.ledger import MAX_ATTEMPTS, Ledger


def send_all(ledger, epoch):
    sent = []
    while (request := ledger.next_to_send(epoch)) is not None:
        sent.append(request)
    return sent


def opened(n_requests, **options):
    ledger = Ledger(**options)
    ledger.begin_epoch(1)
    for _ in range(n_requests):
        ledger.accept()
    return ledger


def test_an_answer_is_delivered_once():
    ledger = opened(2)
    assert send_all(ledger, 1) == [0, 1]
    assert ledger.end(1, 1)
    assert not ledger.end(1, 1)
    assert ledger.n_dropped == 1
    assert ledger.n_open == 1


def test_what_was_lost_is_sent_again_in_order_before_what_is_newer():
    ledger = opened(4)
    send_all(ledger, 1)
    ledger.end(1, 2)
    ledger.accept()
    assert ledger.lose(1) == ()
    assert send_all(ledger, 1) == []
    ledger.begin_epoch(2)
    assert ledger.next_to_send(1) is None
    assert send_all(ledger, 2) == [0, 1, 3, 4]


def test_late_answers_of_an_older_epoch_are_dropped():
    ledger = opened(1)
    send_all(ledger, 1)
    ledger.lose(1)
    assert not ledger.end(1, 0)
    ledger.begin_epoch(2)
    assert send_all(ledger, 2) == [0]
    assert not ledger.end(1, 0)
    assert ledger.end(2, 0)
    assert ledger.n_dropped == 2


def test_an_epoch_that_drains_is_still_answered_while_the_next_one_serves():
    ledger = opened(2)
    send_all(ledger, 1)
    ledger.begin_epoch(2)
    ledger.accept()
    assert send_all(ledger, 2) == [2]
    assert ledger.end(1, 0)
    assert ledger.lose(1, is_blamed=False) == ()
    assert send_all(ledger, 2) == [1]
    assert ledger.in_flight(2) == (1, 2)


def test_a_request_that_kills_every_node_ends_alone_and_harms_no_other():
    ledger = opened(3)
    ended = []
    for epoch in range(1, 9):
        ledger.begin_epoch(epoch)
        while sent := send_all(ledger, epoch):
            if 1 in sent:
                ended += ledger.lose(epoch)
                break
            assert all(ledger.end(epoch, request) for request in sent)
    assert ended == [1]
    assert ledger.n_open == 0


def test_changing_plans_often_blames_nobody():
    ledger = opened(1)
    for epoch in range(1, 3 * MAX_ATTEMPTS):
        ledger.begin_epoch(epoch)
        assert send_all(ledger, epoch) == [0]
        assert ledger.lose(epoch, is_blamed=False) == ()


class Books(RuleBasedStateMachine):
    """Beside the ledger, a plain record of what was sent and what ended."""

    def __init__(self):
        super().__init__()
        self.ledger = Ledger()
        self.epoch = 1
        self.lost = set()
        self.ledger.begin_epoch(1)
        self.accepted = 0
        self.sent = []
        self.ended = Counter()
        self.n_lost = Counter()
        self.last_sent_of_epoch = {}

    @rule()
    def accept(self):
        assert self.ledger.accept() == self.accepted
        self.accepted += 1

    @rule()
    def send(self):
        request = self.ledger.next_to_send(self.epoch)
        if request is None:
            return
        assert not self.ended[request]
        assert self.epoch not in self.lost
        assert request > self.last_sent_of_epoch.get(self.epoch, -1)
        assert self.n_lost[request] < MAX_ATTEMPTS
        if self.n_lost[request] == MAX_ATTEMPTS - 1:
            assert self.ledger.n_in_flight == 1
        self.last_sent_of_epoch[self.epoch] = request
        self.sent.append((self.epoch, request))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def answer(self, data):
        """Of any attempt there ever was: fresh, late or doubled."""
        epoch, request = data.draw(st.sampled_from(self.sent))
        is_fresh = epoch not in self.lost and not self.ended[request]
        assert self.ledger.end(epoch, request) == is_fresh
        self.ended[request] += is_fresh

    @rule(is_blamed=st.booleans())
    def lose_and_go_on(self, is_blamed):
        gone = self.ledger.in_flight(self.epoch)
        ended = self.ledger.lose(self.epoch, is_blamed=is_blamed)
        self.n_lost.update(gone if is_blamed else ())
        assert set(ended) == {request for request in gone if self.n_lost[request] == MAX_ATTEMPTS}
        self.ended.update(ended)
        self.lost.add(self.epoch)
        assert self.ledger.next_to_send(self.epoch) is None
        self.begin_next()

    @rule()
    def begin_next(self):
        """The one before drains, or is lost already."""
        self.epoch += 1
        self.ledger.begin_epoch(self.epoch)
        # What drains may be lost later, so that an older request may follow a newer one.
        self.last_sent_of_epoch[self.epoch] = -1

    @precondition(lambda self: self.epoch > 1)
    @rule(data=st.data())
    def lose_what_drains(self, data):
        epoch = data.draw(st.integers(1, self.epoch - 1))
        ended = self.ledger.lose(epoch, is_blamed=False)
        assert ended == ()
        self.lost.add(epoch)
        self.last_sent_of_epoch[self.epoch] = -1

    @invariant()
    def no_request_ends_twice(self):
        assert all(count == 1 for request, count in self.ended.items() if count)
        assert self.ledger.n_open == self.accepted - sum(self.ended.values())

    def teardown(self):
        self.ended.update(self.ledger.end_all())
        assert +self.ended == Counter(range(self.accepted))


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

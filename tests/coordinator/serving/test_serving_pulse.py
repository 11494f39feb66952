"""When a node counts as lost, and when as back."""

import math

from coordinator.serving.pulse import ANSWER_SECONDS, BEAT_SECONDS, SILENCE_SECONDS, Pulse, Turn


def heard(at=0.0, instance="one"):
    pulse = Pulse(last_heard_at=at)
    pulse.hear(at, at, instance)
    return pulse


def test_a_killed_node_is_lost_at_its_second_refusal_within_a_second():
    pulse = heard()
    at = BEAT_SECONDS
    assert pulse.miss(at, at + 0.01, "refused") is None
    at += 0.01 + pulse.pause_seconds
    assert pulse.miss(at, at + 0.01, "refused") is Turn.LOST
    assert at + 0.01 < 1.0
    assert "refuses connections (last heard 0.6 s ago): refused" in pulse.reason
    assert pulse.miss(at + 0.5, at + 0.51, "refused") is None


def test_a_frozen_node_is_lost_within_five_seconds_and_not_before_three():
    pulse, at = heard(), BEAT_SECONDS
    while (turn := pulse.miss(at, at + ANSWER_SECONDS, "late")) is None:
        at += ANSWER_SECONDS + pulse.pause_seconds
    assert turn is Turn.LOST
    assert SILENCE_SECONDS <= at + ANSWER_SECONDS < 5.0
    assert "does not answer" in pulse.reason


def test_a_connection_that_was_reset_is_no_loss():
    pulse = heard()
    assert pulse.miss(1.0, 1.01, "reset") is None
    assert pulse.hear(1.1, 1.2, "one") is None
    assert pulse.miss(2.0, 2.01, "reset") is None
    assert pulse.is_alive


def test_a_slow_answer_now_and_then_is_no_loss():
    pulse = heard()
    for at in range(1, 100, 2):
        assert pulse.miss(at, at + ANSWER_SECONDS, "late") is None
        assert pulse.hear(at + 1, at + 1.5, "one") is None


def test_how_long_each_beat_was_answered_is_counted_from_the_last_one_that_was_missed():
    pulse = heard()
    pulse.hear(0.5, 0.6, "one")
    assert pulse.answering_since == 0.0
    pulse.miss(1.0, 2.0, "late")
    assert pulse.answering_since == math.inf
    pulse.hear(2.0, 2.1, "one")
    pulse.hear(2.5, 2.6, "one")
    assert pulse.answering_since == 2.1


def test_who_answers_again_is_back_and_another_process_has_restarted():
    pulse = heard()
    for at in (1.0, 1.2):
        pulse.miss(at, at, "refused")
    assert not pulse.is_alive
    assert pulse.hear(5.0, 5.1, "two") is Turn.BACK
    assert pulse.answering_since == 5.1
    assert pulse.reason == ""
    assert pulse.hear(6.0, 6.1, "three") is Turn.RESTARTED
    assert pulse.hear(7.0, 7.1, "three") is None


def test_beats_come_at_once_while_it_is_not_clear_what_is_going_on():
    pulse = heard()
    assert pulse.pause_seconds == BEAT_SECONDS
    pulse.miss(1.0, 2.0, "late")
    assert pulse.pause_seconds == 0
    pulse.miss(2.0, 2.0, "refused")
    assert 0 < pulse.pause_seconds < BEAT_SECONDS
    pulse.miss(2.1, 2.1, "refused")
    assert pulse.pause_seconds == BEAT_SECONDS

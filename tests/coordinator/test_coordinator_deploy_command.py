"""What `splitfront deploy` says of a plan that is up."""

import pytest

from coordinator.cli.deploy_command import answer_sentence
from coordinator.errors import MeasurementError, OutputMismatchError, RequestLostError, ServiceEndedError
from coordinator.output_gate import OutputErrors
from node_agent.errors import FrameError, StageFailedError


def failing(error):
    def check():
        raise error

    return check


def test_how_far_answers_are_off_is_told():
    assert answer_sentence(lambda: OutputErrors(relative=2e-7)) == "answers correctly (largest relative error 2.0e-07)"
    assert answer_sentence(lambda: OutputErrors(relative=0.02, l2=0.01)) == (
        "answers correctly (largest relative error 2.0e-02, relative L2 1.0e-02)"
    )


FAILURES = [FrameError, MeasurementError, OutputMismatchError, RequestLostError, StageFailedError]


@pytest.mark.parametrize("kind", FAILURES)
def test_a_request_that_fails_is_told_with_its_reason(kind):
    assert answer_sentence(failing(kind("too long."))) == "does not answer correctly: too long."


def test_that_the_service_has_ended_is_no_answer():
    with pytest.raises(ServiceEndedError):
        answer_sentence(failing(ServiceEndedError("it gave up.")))

"""What is said of a step where no bars can be drawn."""

import pytest

from coordinator.cli.progress_lines import LINE_SECONDS, ProgressLines
from coordinator.cli.terminal import Terminal


class Clock:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


def test_the_stand_of_all_lanes_is_said_now_and_then():
    clock, said = Clock(), []
    lines = ProgressLines(said.append, clock)
    lines("pi", 1, 40, "timing")
    clock.seconds += 0.9 * LINE_SECONDS
    lines("server", 8, 40)
    assert said == []
    clock.seconds += 0.1 * LINE_SECONDS
    lines("pi", 2, 40, "timing")
    assert said == ["  pi 2/40 timing; server 8/40"]
    lines("pi", 3, 40, "timing")
    assert len(said) == 1
    clock.seconds += LINE_SECONDS / 2
    lines.end()
    assert said[1:] == [f"  done after {1.5 * LINE_SECONDS:.1f} s"]
    clock.seconds += 2 * LINE_SECONDS
    lines("pi", 4, 40)
    assert len(said) == 2, "who tells of a step that has ended is not heard"


@pytest.mark.parametrize("error", [OSError("the disk is full"), BrokenPipeError(), SystemExit(1)])
def test_what_cannot_be_said_ends_nobodys_work(error):
    clock, tries = Clock(), []

    def say(line):
        tries.append(line)
        raise error

    lines = ProgressLines(say, clock)
    for n_done in range(3):
        clock.seconds += LINE_SECONDS
        lines("pi", n_done, 3)
    lines.end()
    assert len(tries) == 1


def test_a_step_is_told_in_lines_where_standard_error_is_no_terminal(capsys):
    title = "Profiling [net], " + 30 * "long "
    with Terminal().progress(title) as on_lane:
        on_lane("pi", 1, 2, "timing")
        said = capsys.readouterr().err
    assert said == f"{title}\n"
    ended = capsys.readouterr().err
    assert ended.startswith("  done after ")
    assert (ended[:-1].isprintable(), ended[-1]) == (True, "\n")


def test_a_terminal_without_a_width_is_told_all(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "0")
    terminal = Terminal()
    terminal.show("a table")
    assert capsys.readouterr().out == "a table\n"


def test_a_step_that_fails_is_not_said_to_be_done(capsys):
    with pytest.raises(ValueError, match="broken"), Terminal().progress("Loading"):
        raise ValueError("broken")
    assert capsys.readouterr().err == "Loading\n"

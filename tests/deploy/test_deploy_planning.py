from dataclasses import replace

import pytest
from deploy_builders import NOTHING, PYTHON, finished, system_layout, wanted
from hypothesis import given
from hypothesis import strategies as st

from deploy.facts.installed import Installed
from deploy.layout import Layout
from deploy.planning.install import plan_install
from deploy.planning.removal import plan_removal
from deploy.planning.wanted import Wanted

LAYOUTS = {
    "systemd": system_layout(),
    "supervised": system_layout(has_systemd=False),
    "user": Layout(
        is_system=False,
        has_systemd=False,
        root="/home/pi/s",
        state="/home/pi/s/state",
        logs="/home/pi/s/log",
        staging="/home/pi/s/install",
        python=PYTHON.path,
    ),
}
layouts = st.sampled_from(sorted(LAYOUTS)).map(LAYOUTS.__getitem__)
versions = st.tuples(st.sampled_from(["1.0", "1.1", "2.0"]), st.sampled_from(["a", "b"]))


def names(steps):
    return [step.name for step in steps]


def installed(layout: Layout, version: str = "1.0") -> Installed:
    return finished(NOTHING, plan_install(NOTHING, wanted(layout, version), layout))


@st.composite
def histories(draw):
    """A layout, and what is left of some installs each of which was killed somewhere."""
    layout = draw(layouts)
    state = NOTHING
    for version, settings in draw(st.lists(versions, max_size=4)):
        steps = plan_install(state, wanted(layout, version, settings), layout)
        state = finished(state, steps[: draw(st.integers(0, len(steps)))])
    if draw(st.booleans()):
        state = replace(state, is_active=False)
    return layout, state


def holds(state: Installed, goal: Wanted, layout: Layout) -> None:
    assert goal.release in state.releases
    assert state.current == goal.release
    assert state.confirmed == goal.stamp
    assert state.is_active
    assert state.is_enabled == layout.has_systemd
    assert state.has_user == layout.is_system
    assert {file.path: file.sha256 for file in goal.files}.items() <= state.files.items()
    assert not state.kept_files
    assert not state.partial_releases


@given(histories(), versions)
def test_from_anywhere_a_plan_leads_to_what_is_wanted_and_a_second_one_is_empty(history, version) -> None:
    layout, state = history
    goal = wanted(layout, *version)
    state = finished(state, plan_install(state, goal, layout))
    holds(state, goal, layout)
    assert plan_install(state, goal, layout) == ()


@given(histories(), versions, st.integers(0, 20))
def test_killed_at_any_step_planning_again_finishes(history, version, n_done) -> None:
    layout, state = history
    goal = wanted(layout, *version)
    steps = plan_install(state, goal, layout)
    state = finished(state, steps[:n_done])
    state = finished(state, plan_install(state, goal, layout))
    holds(state, goal, layout)
    assert plan_install(state, goal, layout) == ()


@given(histories())
def test_what_was_found_healthy_is_never_taken_away_before_the_new_one_is(history) -> None:
    layout, state = history
    goal = wanted(layout, "3.0")
    fallback = state.confirmed_release
    for step in plan_install(state, goal, layout):
        state = step.after(state)
        if fallback and state.confirmed_release == fallback:
            assert fallback in state.releases
        assert not step.is_guard or fallback in step.undo or not fallback


@given(histories())
def test_all_that_can_disturb_a_working_agent_comes_behind_the_guard(history) -> None:
    layout, state = history
    order = names(plan_install(state, wanted(layout, "3.0"), layout))
    disturbing = [name for name in order if name in ("switch", "restart") or name.startswith("settings")]
    assert all(order.index("keep") < order.index(name) < order.index("confirm") for name in disturbing)


@given(histories())
def test_removal_leaves_nothing_and_says_so(history) -> None:
    layout, state = history
    state = finished(state, plan_removal(state, (), layout))
    assert state == NOTHING
    assert plan_removal(state, (), layout) == ()


@pytest.mark.parametrize("name", LAYOUTS)
def test_removal_of_what_was_never_installed_takes_nothing_away(name: str) -> None:
    layout = LAYOUTS[name]
    theirs = replace(
        NOTHING,
        folders=frozenset({layout.root, layout.logs}),
        others=frozenset({"photos"}),
        files=dict.fromkeys(layout.managed_files, "a" * 64),
        current="theirs",
    )
    assert plan_removal(theirs, (), layout) == ()


def test_a_bare_machine_gets_all_steps_in_order() -> None:
    steps = plan_install(NOTHING, wanted(LAYOUTS["systemd"]), LAYOUTS["systemd"])
    assert names(steps) == [
        "folders",
        "staging",
        "user",
        "state",
        "send",
        "build",
        "keep",
        "settings splitfront-agent.service",
        "switch",
        "restart",
        "health",
        "enable",
        "confirm",
    ]


def test_only_wheels_that_are_missing_or_damaged_are_sent() -> None:
    layout = LAYOUTS["systemd"]
    goal = wanted(layout)
    kept, other = goal.wheels
    half = replace(NOTHING, wheels={kept.name: kept.sha256, other.name: "damaged"})
    send = next(step for step in plan_install(half, goal, layout) if step.name == "send")
    assert [upload.source for upload in send.uploads] == [other.path]


def test_an_upgrade_does_not_touch_the_shard_store() -> None:
    layout = LAYOUTS["systemd"]
    steps = plan_install(installed(layout), wanted(layout, "2.0"), layout)
    assert not any(layout.state in step.command for step in steps)


def test_new_settings_alone_build_nothing_and_keep_the_old_ones_for_the_way_back() -> None:
    layout = LAYOUTS["systemd"]
    steps = plan_install(installed(layout), wanted(layout, settings="b"), layout)
    assert names(steps) == ["keep", "settings splitfront-agent.service", "restart", "health", "confirm"]
    assert f"mv -f {layout.unit}.before {layout.unit}" in steps[0].undo


def test_an_agent_that_stopped_is_started_again() -> None:
    layout = LAYOUTS["supervised"]
    steps = plan_install(replace(installed(layout), is_active=False), wanted(layout), layout)
    assert names(steps) == ["keep", "restart", "health", "confirm"]


def test_one_release_is_kept_for_the_way_back_and_older_ones_go() -> None:
    layout = LAYOUTS["systemd"]
    state = NOTHING
    for version in ("1.0", "2.0", "3.0"):
        state = finished(state, plan_install(state, wanted(layout, version), layout))
    assert {name.partition("-")[0] for name in state.releases} == {"2.0", "3.0"}
    assert len(state.wheels) == 2


def test_a_node_with_tls_gets_its_identity_once_and_before_it_is_started() -> None:
    from deploy.steps import Step

    layout = LAYOUTS["systemd"]
    goal = wanted(layout, server_name="192.168.1.11")
    first = replace(goal, identity_steps=(Step(name="identity", description="Give it a key"),))
    order = names(plan_install(NOTHING, first, layout))
    assert order.index("build") < order.index("identity") < order.index("keep")
    state = finished(NOTHING, plan_install(NOTHING, first, layout))
    assert plan_install(state, goal, layout) == ()


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_step_as_root_without_a_system_install(name: str) -> None:
    layout = LAYOUTS[name]
    steps = plan_install(NOTHING, wanted(layout), layout)
    assert any(step.as_root for step in steps) == layout.is_system
    assert all("sudo" not in step.command for step in steps)

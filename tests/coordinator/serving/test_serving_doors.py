"""What stands between the pure core and the nodes: calls that hang, heartbeats, connections."""

import threading
import time
from types import SimpleNamespace

import pytest
from serving_fakes import FakeCluster, FakeHeart, wait_until

from coordinator.fleet import Fleet, FleetNode
from coordinator.serving.pulse import Turn
from coordinator.serving.roster import Roster
from coordinator.serving.watch import Watch
from coordinator.side_by_side import run_side_by_side
from node_agent.errors import NodeUnreachableError


def never():
    return None


def test_results_come_in_the_order_of_the_calls():
    gate = threading.Event()

    def late():
        gate.wait(10)
        return "late"

    def early():
        gate.set()
        return "early"

    assert run_side_by_side([late, early], why_give_up=never) == ["late", "early"]
    assert run_side_by_side([], why_give_up=never) == []


@pytest.mark.parametrize("error", [NodeUnreachableError("gone"), SystemExit("gone"), KeyboardInterrupt("gone")])
def test_the_first_error_is_raised_and_what_others_did_is_undone(error):
    gate, undone = threading.Event(), []

    def hangs():
        gate.wait(10)
        return "made"

    def fails():
        raise error

    with pytest.raises(type(error), match="gone"):
        run_side_by_side([hangs, fails], why_give_up=never, on_late=undone.append)
    gate.set()
    wait_until(lambda: undone == ["made"])


def test_a_call_that_hangs_is_given_up_for_a_reason():
    gate, undone = threading.Event(), []

    def hangs():
        gate.wait(10)
        return "made"

    with pytest.raises(NodeUnreachableError, match="lost 'b'"):
        run_side_by_side([hangs, lambda: "done"], why_give_up=lambda: "lost 'b'", on_late=undone.append)
    gate.set()
    wait_until(lambda: sorted(undone) == ["done", "made"])


def watched(cluster, **options):
    signs = []
    watch = Watch(cluster.hearts(), signs.append, **options)
    watch.start()
    return watch, signs


def test_a_watch_tells_once_of_each_loss_and_return():
    cluster = FakeCluster("a", "b")
    watch, signs = watched(cluster, prepare=cluster.renew)
    assert watch.confirm("ab", 5) == {"a", "b"}
    cluster.kill("b")
    assert watch.confirm("ab", 5) == {"a"}
    assert watch.alive == {"a"}
    assert "refuses connections" in watch.vital("b").reason
    cluster.revive("b")
    assert watch.wait_for_change(frozenset("a"), 5)
    assert [(sign.node, sign.turn) for sign in signs] == [("b", Turn.LOST), ("b", Turn.BACK)]
    assert watch.vital("b").instance == "b-1+"
    watch.close()


def test_a_node_that_cannot_be_connected_to_is_not_back():
    cluster, tries = FakeCluster("a"), []

    def refuse(name):
        tries.append(name)
        raise NodeUnreachableError("not yet")

    watch, signs = watched(cluster, prepare=refuse)
    watch.confirm("a", 5)
    cluster.kill("a")
    watch.confirm("a", 5)
    cluster.revive("a")
    wait_until(lambda: len(tries) >= 2)
    assert [sign.turn for sign in signs] == [Turn.LOST]
    watch.close()


def test_another_process_is_connected_to_before_it_is_told_of():
    cluster, prepared = FakeCluster("a"), []
    watch, signs = watched(cluster, prepare=lambda name: prepared.append(list(signs)))
    watch.confirm("a", 5)
    cluster.instances["a"] = "other"
    watch.confirm("a", 5)
    wait_until(lambda: signs)
    assert prepared == [[]]
    assert signs[0].turn is Turn.RESTARTED
    watch.close()


def test_a_frozen_node_is_not_confirmed_and_holds_up_nobody():
    cluster, gate = FakeCluster("a", "b"), threading.Event()

    class Frozen(FakeHeart):
        def beat(self):
            gate.wait(10)
            return super().beat()

        def close(self):
            gate.set()

    watch = Watch({"a": FakeHeart(cluster, "a"), "b": Frozen(cluster, "b")}, lambda sign: None)
    watch.start()
    began = time.monotonic()
    assert watch.confirm("ab", 0.2) == {"a"}
    assert time.monotonic() - began < 5
    watch.close()


def test_a_roster_uses_the_newest_connection_and_ends_what_waits_on_one_that_is_lost():
    made = []

    class Connection:
        def __init__(self, address):
            self.address, self.is_closed = address, False
            made.append(self)

        def describe(self):
            return f"process {len(made)}"

        def close(self):
            self.is_closed = True

    node = FleetNode(name="a", address="x:1", client=None, description=None, config=None, tls=None)
    roster = Roster(Fleet(config=SimpleNamespace(), nodes=(node,)), lambda address, tls: Connection(address))
    roster.renew("a")
    assert roster.node("a").client is made[0]
    roster.drop("a")
    assert made[0].is_closed
    roster.renew("a")
    assert roster.node("a").client is made[1]
    assert roster.node("a").description == "process 2"
    roster.renew("a")
    assert made[1].is_closed
    roster.close()
    assert made[2].is_closed

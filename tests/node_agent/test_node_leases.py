import math

from node_agent.host.leases import Leases


def test_a_lease_ends_so_long_after_it_was_last_renewed():
    leases = Leases()
    leases.grant("d", 5.0, 100.0)
    leases.grant("e", 2.0, 100.0)
    assert leases.next_end == 102.0
    assert leases.expired(101.9) == ()
    leases.renew(("e", "unknown"), 101.5)
    assert leases.expired(103.4) == ()
    assert leases.expired(103.5) == ("e",)
    assert leases.next_end == 103.5
    assert set(leases.expired(105.0)) == {"d", "e"}


def test_what_is_gone_or_has_no_lease_never_ends():
    leases = Leases()
    leases.grant("gone", 1.0, 0.0)
    leases.grant("kept", 0.0, 0.0)
    leases.grant("was leased", 1.0, 0.0)
    leases.grant("was leased", 0.0, 0.5)
    leases.keep({"kept", "was leased"})
    assert leases.expired(1e9) == ()
    assert leases.next_end == math.inf

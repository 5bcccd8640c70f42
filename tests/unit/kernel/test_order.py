"""Which entries make a chain, and in what order."""

from __future__ import annotations

import itertools

import pytest

from plugmw.errors import OrderError
from plugmw.kernel.order import SPECIFICITY, Entry, Slot, arrange, slots, specificity
from tests.support.plugins import nothing


def entry(name="p", rank=0, **options):
    return Entry(nothing("access", name=name, priority=rank), **options)


def names(*entries, route=None, service=None):
    return [slot.name for slot in slots(entries, route, service)]


def test_the_highest_priority_comes_first_and_ties_go_by_name_descending():
    assert names(entry("a", 1), entry("z", 1), entry("b", 5), entry("n"), entry("m"), entry("low", -1)) == [
        "b", "z", "a", "n", "m", "low",
    ]  # fmt: skip


def test_an_entry_may_have_a_priority_of_its_own():
    assert names(entry("a", 1), entry("b", 2, priority=0.5)) == ["a", "b"]
    assert names(entry("a", 1), entry("b", 2, priority=0)) == ["a", "b"]


def test_the_order_does_not_depend_on_the_order_given():
    entries = [entry("a", 1), entry("b", 1), entry("c", 2, after=("a",)), entry("d", 0, before=("b",))]
    assert len({tuple(names(*order)) for order in itertools.permutations(entries)}) == 1


@pytest.mark.parametrize("given", SPECIFICITY)
def test_specificity_counts_what_is_given(given):
    route, service, consumer = ("x" if scope else None for scope in given)
    assert specificity(entry(route=route, service=service, consumer=consumer)) == SPECIFICITY[given]


@pytest.mark.parametrize(
    ("route", "service", "expected"),
    [
        (None, None, ["all"]),
        ("r", None, ["r", "all"]),
        ("r", "s", ["s", "r", "all"]),
        ("q", "s", ["s", "all"]),
    ],
    ids=str,
)
def test_a_chain_has_what_is_for_its_route_and_service(route, service, expected):
    entries = [
        entry("all", 0),
        entry("r", 1, route="r"),
        entry("s", 2, service="s"),
        entry("off", 9, enabled=False),
    ]
    assert names(*entries, route=route, service=service) == expected


def test_a_slot_ends_with_the_first_variant_that_always_applies():
    always, jo, when = entry(), entry(consumer="jo"), entry(route="r", when=lambda x: True)
    (slot,) = slots([always, entry(), jo, when], "r")
    assert slot.entries == [jo, when, always]
    assert not slot.direct
    (slot,) = slots([always])
    assert slot.direct


def test_a_slot_tells_which_phases_its_variants_have():
    slot = Slot("p", [Entry(nothing("access", "log")), Entry(nothing("access"))])
    assert [slot.share(phase) for phase in ("access", "log", "rewrite")] == ["all", "some", "none"]
    assert [slot.has(phase) for phase in ("access", "log", "rewrite")] == [True, True, False]


@pytest.mark.parametrize("limit", ["route", "service", "consumer"])
def test_an_entry_is_global_without_a_route_a_service_and_a_consumer(limit):
    assert entry().is_global
    assert not entry(**{limit: "x"}).is_global


def test_a_variant_is_as_specific_as_its_scope_not_as_its_place():
    general, specific = entry(service="s"), entry(route="r")
    assert slots([general, specific], "r", "s")[0].entries == [specific]


# -- before and after -------------------------------------------------------------------------------------

MOVES = {
    "after moves down": ([entry("a", 3, after=("c",)), entry("b", 2), entry("c", 1)], "bca"),
    "before moves up": ([entry("a", 3), entry("b", 2), entry("c", 1, before=("a",))], "cab"),
    "satisfied already": ([entry("a", 3, before=("b",)), entry("b", 2, after=("a",))], "ab"),
    "both on one": (
        [entry("a", 3), entry("b", 2), entry("c", 1), entry("x", 0, after=("a",), before=("b",))],
        "axbc",
    ),
    "a chain against all priorities": (
        [entry("a", 3, after=("b",)), entry("b", 2, after=("c",)), entry("c", 1)],
        "cba",
    ),
    "two after the same": ([entry("a", 3, after=("c",)), entry("b", 2, after=("c",)), entry("c", 1)], "cab"),
    "absent names": ([entry("a", 1, after=("nobody",)), entry("b", 2, before=("none",))], "ba"),
}


@pytest.mark.parametrize(("entries", "order"), MOVES.values(), ids=MOVES)
def test_before_and_after_move_an_entry_the_shortest_way(entries, order):
    found = names(*entries)
    assert sorted(found) == sorted(order)
    for one in entries:
        for other in (name for name in one.after if name in found):
            assert found.index(other) < found.index(one.name)
        for other in (name for name in one.before if name in found):
            assert found.index(one.name) < found.index(other)
    if order != "cab" or entries[0].after == ():
        assert "".join(found) == order


def test_a_plugin_name_means_each_of_its_instances():
    plugin = nothing("access", name="p", priority=5)
    one, two = Entry(plugin, instance="one"), Entry(plugin, instance="two")
    assert names(one, two, entry("x", 9, after=("p",))) == ["two", "one", "x"]
    assert names(one, two, entry("x", 0, before=("p",))) == ["x", "two", "one"]
    assert names(one, two, entry("x", 9, after=("two",))) == ["two", "x", "one"]


CYCLES = {
    "itself": ([entry("a", before=("a",))], ("a", "a")),
    "two": ([entry("a", before=("b",)), entry("b", before=("a",))], ("a", "b", "a")),
    "three": (
        [entry("a", after=("b",)), entry("b", after=("c",)), entry("c", after=("a",))],
        ("a", "b", "c", "a"),
    ),
}


@pytest.mark.parametrize(("entries", "cycle"), CYCLES.values(), ids=CYCLES)
def test_a_cycle_is_refused_with_its_names(entries, cycle):
    with pytest.raises(OrderError) as caught:
        slots(entries)
    assert set(caught.value.names) == set(cycle)
    assert caught.value.names[0] == caught.value.names[-1]
    assert str(caught.value).startswith("before/after form a cycle: ")


@pytest.mark.slow
def test_a_hundred_constraints_against_the_priorities_are_settled():
    entries = [entry(f"p{n:03}", n, before=(f"p{n + 1:03}",)) for n in range(100)]
    assert names(*entries) == [f"p{n:03}" for n in range(100)]


def test_nothing_is_in_order():
    assert arrange([]) == []

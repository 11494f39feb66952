import math
from dataclasses import replace

import pytest

from benchmarks._sweep_model import chain_model, grid_conditions
from coordinator.sweep.predicting import predict_sweep
from coordinator.sweep.words import (
    advice,
    comparison_sentence,
    contraction_sentence,
    contraction_sentences,
    outlier_sentence,
    ranges_text,
    rate_sentences,
    recommendation,
)
from partitioner.decisions.contraction import find_contraction
from partitioner.decisions.crossover import RateRange
from partitioner.decisions.pairs import compare_pairs
from partitioner.plan import Stage
from partitioner.search.robust.network import random_conditions


@pytest.fixture(scope="module")
def model():
    return chain_model(2, 20)


def label(stages):
    return f"split {stages[0].stop}" if len(stages) > 1 else f"whole model on {stages[0].device}"


@pytest.fixture(scope="module")
def sweep(model):
    return predict_sweep(model, grid_conditions(model.cluster, (0.0, 0.05), (5e4, 1.1e5, 1e6, 5e7)), label=label)


def test_slow_links_say_do_not_split_and_fast_ones_send_the_input(sweep):
    near, far = rate_sentences(sweep, "latency")
    for sentence in (near, far):
        assert "below " in sentence
        assert "do not split: run the whole model on device-1; " in sentence
        assert "above " in sentence
        assert "do not split: send the input to device-2 and run the whole model there" in sentence
        assert "deploy split " in sentence
        assert sentence.endswith("(each within 2 % of the best).")
    assert near.startswith("For latency at a delay of 0 ms: ")
    assert far.startswith("For latency at a delay of 50 ms: ")


def test_what_no_delay_changes_is_said_once(sweep):
    (sentence,) = rate_sentences(sweep, "throughput")
    assert sentence.startswith("For throughput, whatever the delay: below ")


def test_a_recommendation_tells_what_it_costs_and_where_the_front_contracts(sweep):
    latency, throughput, *others = recommendation(sweep)
    assert latency.startswith("For latency: ")
    assert "of 8 conditions, and at worst its latency is " in latency
    assert "at worst its throughput is " in throughput
    assert "a link is the bottleneck, and the front contracts to the splits with the smallest bound" in others[-1]


def test_random_conditions_have_no_rates_to_speak_of(model):
    found = predict_sweep(model, random_conditions(model.cluster, 4, seed=0))
    assert rate_sentences(found, "latency") == ()
    assert len(recommendation(found)) >= 2


def test_a_single_best_plan_loses_nothing(model, sweep):
    one = predict_sweep(model, grid_conditions(model.cluster, (0.0,), (5e7,)), label=label)
    assert "it is the best, and nothing is lost by it anywhere." in recommendation(one)[0]
    everywhere = replace(sweep.plans[0], worst_regret=(math.inf, math.inf))
    lost = replace(sweep, plans=(everywhere, *sweep.plans[1:]), minimax=(0, 0))
    assert "no single plan is possible under all conditions" in recommendation(lost)[0]


def test_kinds_of_advice():
    here, there = Stage(device="pi", start=0, stop=2), Stage(device="server", start=2, stop=5)
    assert advice("split", "split 2", (here, there)) == "deploy split 2"
    assert advice("stay", "x", (here,)) == "do not split: run the whole model on pi"
    assert advice("send", "x", (there,)) == "do not split: send the input to server and run the whole model there"


def test_ranges(sweep):
    plans = dict(enumerate(sweep.plans))
    everywhere = ranges_text([RateRange(plan=0, low=0, high=math.inf)], plans)
    assert everywhere.startswith("at every rate looked at do not split: run")
    many = [RateRange(plan=index % 2, low=index * 1e6, high=(index + 1) * 1e6) for index in range(6)]
    assert "from 8 Mbit/s to 16 Mbit/s do not split" in ranges_text(many, plans)
    assert "; above, 2 further changes" in ranges_text(many, plans)


def test_contraction_in_words():
    sizes = [900.0, 5e3, 4e3, 7e3, 8e3, 9e3, 9e3, 9e3]
    found = find_contraction([0], sizes, [True] * 8, [True] * 8)
    said = contraction_sentence("wifi-poor", found)
    assert said.startswith("Under wifi-poor a link is the bottleneck, and the front contracts to the split with the ")
    assert "smallest boundary of 8 (up to 900 B)" in said
    rest = find_contraction([0], sizes, [True] * 8, [False] + [True] * 7)
    assert contraction_sentence("lte", rest).startswith(
        "Under lte a link is the bottleneck of every split that sends more, and the front contracts to the split "
    )
    both = contraction_sentences([("wifi-poor", found), ("lte", rest), ("lan", find_contraction([], [], [], []))])
    assert "Under 2 of 3 conditions (wifi-poor; lte) a link is the bottleneck of the splits, or of all that" in both[0]
    assert contraction_sentence("x", find_contraction([0, 1], sizes, [True] * 8, [False] * 8)) == ""


def test_comparisons_promise_no_more_than_they_can():
    few = comparison_sentence("grpc", "tcp", "latency", compare_pairs([1.0, 1.1], [2.0, 2.2]))
    assert few == (
        "tcp has 2.00 times the latency of grpc, but 2 pairs cannot tell that from chance (p is 0.5 at least): "
        "repeat more often."
    )
    clear = comparison_sentence("grpc", "tcp", "latency", compare_pairs([1.0] * 8, [2.0, 2.1] * 4))
    assert "chance alone would hardly show that" in clear
    assert "significant at 5 %" in clear
    same = comparison_sentence("grpc", "tcp", "latency", compare_pairs([1.0, 2.0] * 4, [1.1, 1.9] * 4))
    assert same.startswith("No difference in latency between grpc and tcp is shown (95 % interval ")


def test_outliers_are_told_not_hidden():
    assert outlier_sentence(0, 100) == ""
    assert "2 of 100 samples are far" in outlier_sentence(2, 100)

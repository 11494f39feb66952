"""What is asked for, judged before anything is started."""

from pathlib import Path

import pytest

from coordinator.cli.request import Request
from coordinator.wishes import SearchWish
from partitioner.errors import ChoiceError, PlanError


@pytest.mark.parametrize(
    "wish",
    [
        SearchWish(),
        SearchWish(objectives=("latency", "energy", "memory"), within=("error<=1%",), codecs=("int8",)),
        SearchWish(engine="nsga3", checkpoint=Path("kept.npz"), pinned_first="a", pinned_last="b"),
        SearchWish(engine="exact", within=("memory<=1GiB",)),
    ],
)
def test_wishes_that_can_be_meant(wish):
    wish.check(["a", "b"])


@pytest.mark.parametrize(
    ("wish", "error", "words"),
    [
        (SearchWish(objectives=("latency", "thruput")), PlanError, "'thruput'"),
        (SearchWish(objectives=("latency",)), PlanError, "two or more"),
        (SearchWish(objectives=("latency", "error")), PlanError, "--codecs"),
        (SearchWish(within=("latency<=50",)), ChoiceError, "'latency<=50'"),
        (SearchWish(engine="exackt"), PlanError, "'exackt'"),
        (SearchWish(engine="exact", objectives=("latency", "energy")), PlanError, "use engine 'labels'"),
        (SearchWish(engine="minimum_cut", within=("energy<=1J",)), PlanError, "use engine 'labels'"),
        (SearchWish(checkpoint=Path("kept.npz")), PlanError, "no checkpoint"),
        (SearchWish(pinned_first="c"), PlanError, "the cluster has a, b"),
        (SearchWish(pinned_last="c"), PlanError, "the cluster has a, b"),
    ],
)
def test_wishes_that_cannot(wish, error, words):
    with pytest.raises(error, match=words):
        wish.check(["a", "b"])


@pytest.mark.parametrize(
    ("model", "name"),
    [("zoo.nets:make", "make"), ("zoo.nets:large", "large"), ("models/net.onnx", "net"), ("resnet18", "resnet18")],
)
def test_a_run_is_named_by_the_last_part_of_its_model(model, name):
    assert Request(model=model).run_folder().path == Path("runs", name)
    assert Request(model=model, folder=Path("mine")).run_folder().path == Path("mine")

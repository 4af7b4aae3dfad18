"""What is said of the amount of work before it begins."""

from __future__ import annotations

from convprof import networks
from convprof.problems import TypedProblem, parse
from convprof.studies.run import Choice, contestants
from convprof.studies.selection import select, whole_network
from convprof.studies.workload import notes, taking_part


def of(problems, budget_s=0.07, **choice):
    tasks = [TypedProblem(problem) for problem in problems]
    return notes(tasks, lambda task: contestants(task.problem, Choice(**choice)), budget_s)


def test_a_network_is_many_contestants_and_another_command():
    work, better = of(select(["resnet50"]).problems)
    assert work.startswith("24 problems, ")
    assert work.endswith(" at least")
    assert better == ("these are all shapes of resnet50; as one network: convprof network resnet50")


def test_short_work_and_one_problem_need_no_words():
    assert of([parse("mb1ic64ih56oc64kh3ph1")]) == []
    assert of([parse("8x8:8x8"), parse("9x9:9x9")], strategies=("packed",)) == []


def test_the_time_is_by_the_budget():
    problems = [parse(f"{n}x8:8x8") for n in range(1, 21)]
    (work,) = of(problems, 10.0, strategies=("packed",))
    assert work.startswith("20 problems, 20 contestants: 5 min 5 s at least")


def test_who_refuses_takes_no_time():
    pointwise = parse("mb1ic64ih56oc64kh1ph0")
    names = [c.strategy.name for c in taking_part(contestants(pointwise, Choice()))]
    assert "winograd" not in names
    assert "direct" in names


def test_a_part_of_a_network_is_not_the_network():
    layers = select(["resnet50:layer1*"]).problems
    assert whole_network(layers) is None
    every = select(["resnet50"], mb=4).problems
    assert whole_network(every) == "resnet50"
    assert whole_network([*every, *networks.find("resnet18:conv1")]) is None
    assert whole_network([parse("8x8:8x8")]) is None

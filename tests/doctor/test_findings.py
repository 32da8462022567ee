"""Which finding comes first, for measurements that show one fault and for those of a healthy run."""

from dataclasses import replace

import pytest

from es_randomized.config.yaml import load
from es_randomized.doctor.closeup import Closeup
from es_randomized.doctor.finding import Finding, between, count_times, rate_times
from es_randomized.doctor.findings import findings
from es_randomized.doctor.measured import Measured
from es_randomized.doctor.path import Way
from es_randomized.doctor.seeds import SeedUse
from es_randomized.doctor.settling import Settling
from es_randomized.doctor.signal import Agreement
from es_randomized.doctor.spread import Spread
from es_randomized.schedules import Schedule
from tests.tools.command import TINY, TINY_GRADIENT

SPREAD = Spread(level=0.5, spread=0.02, not_finite=0.0, tied=0.0, pairs=-0.7)


def look(generation, centre, **changes):
    known = {"spread": 0.02, "distance": 0.05, "batches": 0.8, "pairs": -0.7, "scales": 0.95}
    return Closeup(**{"generation": generation, "centre": centre, "members": centre + 0.005} | known | changes)


def healthy(config=TINY, **settings):
    experiment = load(config, {"driver.population": 256, "batch.seeds": 8, **settings} if config is TINY else settings)
    return Measured(
        experiment,
        parameters=1000,
        generations=500,
        directions=128,
        early=SPREAD,
        late=SPREAD,
        agreement=Agreement(0.05, 0.005, 64 / 1065, 48),
        way=Way(step=0.005, straight=0.3, growth=1.3, travelled=0.8),
        closeups=(look(0, 2.0), look(160, 0.9), look(330, 0.6), look(499, 0.5)),
        settling=Settling(each=0.5, spread=0.002, average=0.499),
        seeds=SeedUse(share=0.5, instances=0.1, few=0.5, many=0.49, mean=0.5),
        held_out=((0.1, 0.0), (0.5, 0.0), (0.8, 0.1), *[(0.9, 0.2)] * 9),
    )


def without_members(measured, cosine):
    return replace(measured, directions=None, closeups=(), agreement=Agreement(cosine, 0.02, None, 12))


def spread(measured, **changes):
    return replace(measured, early=SPREAD._replace(**changes), late=SPREAD._replace(**changes))


HUNT = {
    "task": {"kind": "treasure_hunt", "rows": 3, "columns": 3, "steps": 10},
    "model": {"width": 4, "blocks": 1, "hidden": 4, "attention": "linear"},
    "batch.instances": "all",
}
LONG = {"budget.generations": 500}
FAULTS = {
    "std too large": spread(healthy(**LONG), pairs=0.1),
    "std too small": spread(healthy(**LONG), tied=0.95),
    "learning rate too large": replace(healthy(**LONG), way=Way(0.1, 0.3, 9.0, 9.0)),
    "learning rate too small": replace(healthy(**LONG), way=Way(1e-5, 0.9, 1.0, 0.01)),
    "population too small": replace(
        healthy(**LONG), directions=2, parameters=100_000, agreement=Agreement(0.0, 0.005, 1e-5, 48)
    ),
    "batch too small": replace(
        healthy(**LONG), closeups=tuple(each._replace(batches=0.01) for each in healthy().closeups)
    ),
    "losses not finite": spread(healthy(**LONG), not_finite=0.2),
    "seed ignored": replace(healthy(**LONG), seeds=SeedUse(0.0, 0.3, 0.5, 0.5, 0.5)),
    "seeds too few": replace(healthy(**LONG, **{"batch.seeds": 1}), seeds=SeedUse(0.5, 0.1, 0.8, 0.5, 0.5)),
    "still learning": replace(
        healthy(**LONG), held_out=tuple((0.05 * check, 0.0) for check in range(12))
    ),
}  # fmt: skip


def test_nothing_is_said_of_a_healthy_run():
    assert findings(healthy(**LONG)) == []
    assert findings(without_members(healthy(TINY_GRADIENT), cosine=0.6)) == []


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_is_what_is_found_first(name):
    found = findings(FAULTS[name])
    assert found[0].name == name
    assert [each.weight for each in found] == sorted((each.weight for each in found), reverse=True)
    assert all(isinstance(each, Finding) and each.measured and each.meaning for each in found)


def test_members_that_lose_what_the_centre_gains_lie_too_far_away():
    """On a plateau pairs still lie on something of a slope, but members lose more than was gained."""
    flat = tuple(look(each.generation, centre, members=centre + 0.1) for each, centre in
                 zip(healthy().closeups, (1.5, 0.7, 0.7, 0.69), strict=True))  # fmt: skip
    found = findings(replace(spread(healthy(**LONG), pairs=-0.3), closeups=flat))
    assert found[0].name == "std too large"
    assert "12% of all that it has gained" in found[0].measured
    worse = tuple(look(each.generation, 0.7, members=0.8) for each in flat)
    (found, *_) = findings(replace(spread(healthy(**LONG), pairs=-0.3), closeups=worse))
    assert found.name == "std too large"
    assert "which has gained little or nothing" in found.measured


def test_of_one_setting_one_thing_is_said():
    """Members of a loss of steps may both share their losses and lie on no slope."""
    both = spread(healthy(**LONG), pairs=0.1, tied=0.85)
    assert [each.name for each in findings(both) if each.setting == "driver.std"] == ["std too large"]
    most = spread(healthy(**LONG), pairs=-0.4, tied=0.95)
    assert [each.name for each in findings(most) if each.setting == "driver.std"] == ["std too small"]


def test_jumps_are_no_slopes_at_any_distance():
    """Where a loss has no gradient, pairs that do not lie on a slope are no fault by themselves."""
    assert findings(spread(healthy(**LONG, **HUNT), pairs=0.1)) == []


def test_where_members_tie_actions_could_be_sampled():
    """Weights that have grown long are no reason for a larger std."""
    grown = replace(healthy(**LONG, **HUNT), way=Way(step=0.005, straight=0.3, growth=5.0, travelled=0.8))
    found = {each.name: each.setting for each in findings(spread(grown, tied=0.85))}
    assert found.get("losses in steps") == "driver.temperature"
    assert "std too small" not in found
    sampled = replace(healthy(**LONG, **HUNT, **{"driver.temperature": 0.5}), way=grown.way)
    for other in (spread(sampled, tied=0.85), spread(replace(healthy(**LONG), way=grown.way), tied=0.85)):
        assert "losses in steps" not in [each.name for each in findings(other)]


def test_gradients_that_disagree_or_wander():
    measured = healthy(TINY_GRADIENT)
    assert findings(without_members(measured, cosine=0.01))[0].name == "batch too small"
    restless = replace(measured, settling=Settling(each=1.0, spread=0.1, average=0.5))
    assert findings(without_members(restless, cosine=0.6))[0].name == "learning rate too large"


def test_settings_to_try_are_the_runs_own():
    found = {name: findings(measured)[0] for name, measured in FAULTS.items()}
    assert (found["std too large"].setting, found["std too large"].change) == (
        "driver.std",
        "{start: 0.1, end: 0.05} → {start: 0.03, end: 0.015}",
    )
    assert (found["population too small"].setting, found["population too small"].change) == (
        "driver.population",
        "256 → 2048",
    )
    assert found["seeds too few"].change == "1 → 8"
    assert (found["seed ignored"].setting, found["seed ignored"].change) == ("batch.seeds", "8 → 32")
    in_phase = findings(replace(FAULTS["std too large"], phase=2))
    assert in_phase[0].setting == "phases.2.driver.std"


def test_a_task_with_kinds_of_inputs_can_make_specialists():
    ignored = {"seeds": SeedUse(0.0, 0.3, 0.5, 0.5, 0.5)}
    specialists = {"objective": {"kind": "specialists", "keep": 4}}
    guided = {"objective": {"kind": "guided", "keep": 4}}
    settings = [findings(replace(healthy(**LONG, **HUNT, **more), **ignored))[0] for more in ({}, specialists, guided)]
    assert [(each.setting, each.change) for each in settings] == [
        ("objective.kind", "q_norm → specialists, in a first phase"),
        ("objective.keep", "4 → 2"),
        ("objective.keep", "4 → 2"),
    ]


def test_a_deterministic_policy_of_few_seeds_should_get_more():
    few = replace(healthy(**LONG, **{"batch.seeds": 2}), seeds=SeedUse(0.0, 0.3, 0.5, 0.5, 0.5))
    assert (findings(few)[0].setting, findings(few)[0].change) == ("batch.seeds", "2 → 16")


def test_weights_and_texts():
    assert [between(value, 1.0, 3.0) for value in (0.0, 1.0, 2.0, 3.0, 9.0)] == [0, 0, 0.5, 1, 1]
    assert [between(value, 0.8, 0.3) for value in (0.9, 0.55, 0.1)] == [0, pytest.approx(0.5), 1]
    assert rate_times(0.1, 0.3) == "0.1 → 0.03"
    assert rate_times(Schedule(start=0.1, end=0.01), 0.3) == "{start: 0.1, end: 0.01} → {start: 0.03, end: 0.003}"
    assert count_times(6, 8) == "6 → 48"

"""The page of a report: self-contained, readable without eyes, and every number the one in evaluation.json."""

import base64
import itertools
import json
import shlex

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure
from scipy import stats

from es_randomized.config.phase import Phase
from es_randomized.errors import ConfigError, RunFolderError, StorageError
from es_randomized.evaluation.of_runs import evaluate_runs, newest
from es_randomized.evaluation.stored import score_of, stored, summary_of, table_of
from es_randomized.objectives.q_norm import QNorm
from es_randomized.objectives.specialists import Specialists
from es_randomized.report.material import read
from es_randomized.report.page import write_page
from es_randomized.report.sections.curves import blocks, checks, learning, phase_lines
from es_randomized.report.sections.seeds import look, variance_share
from es_randomized.runs.folder import RunFolder
from es_randomized.runs.metrics import SCHEMA
from tests.tools.html import read_html
from tests.tools.made_run import SEEDS, Made, metrics

pytestmark = pytest.mark.long  # whole pages with all their figures take long to draw


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two seeds of one experiment, another with an odd name and no table of instances, and the other tasks."""
    path = tmp_path_factory.mktemp("runs")
    made = {
        "recall-0": Made(path / "recall-0", "recall"),
        "recall-1": Made(path / "recall-1", "recall", seed=1),
        "odd": Made(path / '<script>alert("&")<', "recall", objective=QNorm(q=7.0)),
        "not evaluated": Made(path / "fresh", "recall", evaluated=False),
        "hunt": Made(path / "hunt", "hunt"),
        "cycles": Made(path / "cycles", "cycles"),
    }
    made["odd"].run.evaluation_table.unlink()
    return made


PAGES = {
    "groups": ["recall-0", "recall-1", "odd"],
    "not evaluated": ["not evaluated"],
    "hunt": ["hunt"],
}


@pytest.fixture(scope="module")
def written(made, tmp_path_factory):
    """Where every page was written."""
    out = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        for module in ("figures", "animation"):  # small pictures are drawn sooner
            patch.setattr(f"es_randomized.report.{module}.DOTS_PER_INCH", 40)
        return {name: write_page([made[run].run for run in runs], out / name) for name, runs in PAGES.items()}


@pytest.fixture(scope="module")
def pages(written):
    return {name: read_html(page.read_text()) for name, page in written.items()}


def table(page, caption):
    return next(each for each in page.all("table") if caption in each.all("caption")[0].text).cells()


def evaluation(folder):
    return json.loads((folder / "evaluation.json").read_text())


def percent(estimate):
    value, low, high = (f"{100 * estimate[name]:.1f}" for name in ("value", "low", "high"))
    return value if estimate["low"] == estimate["high"] else f"{value} [{low},\N{NO-BREAK SPACE}{high}]"


# The page


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_loaded_and_nothing_runs(pages, written, name):
    page = pages[name]
    assert not page.all("script", "iframe", "object", "form")
    loaded = [each.attributes.get(where) for each in page.all("img", "link", "a") for where in ("src", "href")]
    assert all(value.startswith(("data:", "#")) for value in loaded if value)
    assert not any(name.startswith("on") for each in page.all("img", "body", "details") for name in each.attributes)
    style = page.all("style")[0].text
    assert "url(" not in style
    assert "@import" not in style
    policy = next(each for each in page.all("meta") if each.attributes.get("http-equiv"))
    assert policy.attributes["content"].startswith("default-src 'none'; img-src data:")
    assert written[name].stat().st_size < 5e6


@pytest.mark.parametrize("name", PAGES)
def test_every_figure_has_words_and_lies_beside_the_page(pages, written, name):
    files = {file.read_bytes() for file in written[name].parent.glob("*.png")}
    images = pages[name].all("img")
    assert len(images) == len(files) > 3
    for image in images:
        content = base64.b64decode(image.attributes["src"].removeprefix("data:image/png;base64,"))
        assert content.startswith(b"\x89PNG")
        assert content in files
        assert len(image.attributes["alt"]) > 30
    for figure in pages[name].all("figure"):
        assert figure.all("figcaption")[0].text


@pytest.mark.parametrize("name", PAGES)
def test_structure_can_be_followed_without_seeing_it(pages, name):
    page = pages[name]
    assert page.all("html")[0].attributes["lang"] == "en"
    assert page.all("title")[0].text.startswith("Report: ")
    assert [len(page.all(landmark)) for landmark in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]
    levels = [int(heading.tag[1]) for heading in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    names = [each.attributes["id"] for each in page.all("main", "section", "h2") if "id" in each.attributes]
    assert len(set(names)) == len(names)
    assert all(link.attributes["href"][1:] in names for link in page.all("a"))
    for each in page.all("table"):
        assert each.all("caption")[0].text
        assert {cell.attributes.get("scope") for cell in each.all("thead")[0].all("th")} == {"col"}
        assert all(row.children[0].attributes["scope"] == "row" for row in each.all("tbody")[0].all("tr"))
        assert len({len(row) for row in each.cells()}) == 1


def test_names_are_escaped(pages):
    assert pages["groups"].all("h1")[0].text == 'Report: recall, <script>alert("&")<'


def test_a_moving_picture_waits_until_it_is_wanted(pages):
    moving = [image for image in pages["hunt"].all("img") if b"acTL" in base64.b64decode(image.attributes["src"][22:])]
    assert len(moving) == 1
    assert "details" in moving[0].within


# The numbers


def test_results_are_those_of_the_evaluation(pages, made):
    tree, found = evaluation(made["odd"].path), table(pages["groups"], f"{made['odd'].path.name}: success in %")
    parts = {"learned, one run": tree, "the same, seed frozen": tree["twin"]}
    parts |= {f"learned, majority of {k}": tree["majority"][k] for k in ("3", "5")}
    for name, part in parts.items():
        assert [name, *(percent(part[measure]) for measure in ("average", "p95", "worst"))] in found
    assert len(found) == 1 + 2 + 2 * 2  # and the best of 3 and 5
    known = [row[0] for row in table(pages["groups"], "All groups")][-len(tree["references"]) :]
    assert known == [each["name"] for each in tree["references"]]


def test_losses_are_those_of_the_evaluation_and_nobody_votes_on_them(pages, made):
    tree, found = evaluation(made["hunt"].path), table(pages["hunt"], "hunt: total steps (lower is better)")
    assert tree["majority"]
    assert [row[0] for row in found[1:3]] == ["learned, one run", "the same, seed frozen"]
    assert found[1][3].startswith(f"{tree['worst']['value']:.2f} [{tree['worst']['low']:.2f},")
    assert [row[0] for row in found[3:]] == [each["name"] for each in tree["references"]]
    alts = {image.attributes["alt"] for image in pages["hunt"].all("img")}
    for label, measure in (("average", "average"), ("worst", "worst")):
        best = min(each[measure] for each in tree["references"] if each[measure] is not None)
        assert any(f"Learning curve, {label}." in alt and alt.endswith(f": {best:.2f}.") for alt in alts)
    assert "Majority votes" not in [heading.text for heading in pages["hunt"].all("h2")]


def test_training_seeds_are_one_group_with_an_interval_over_them(pages, made):
    trees = [evaluation(made[f"recall-{seed}"].path) for seed in (0, 1)]
    values = [tree["average"]["value"] for tree in trees]
    interval = stats.t.interval(0.95, 1, np.mean(values), stats.sem(values))
    low, high = np.clip(interval, 0, 1)
    expected = percent({"value": np.mean(values), "low": low, "high": high})
    assert table(pages["groups"], "All groups")[1][:2] == ["recall, 2 training seeds", expected]
    rows = table(pages["groups"], "recall: success in %")
    assert ["one run, training seed 1", *(percent(trees[1][m]) for m in ("average", "p95", "worst"))] in rows


def test_votes_and_seed_usage_are_those_of_the_evaluation(pages, made):
    tree, alts = evaluation(made["odd"].path), [image.attributes["alt"] for image in pages["groups"].all("img")]
    for k, part in {1: tree, 3: tree["majority"]["3"], 5: tree["majority"]["5"]}.items():
        average = percent(part["average"]).replace("\N{NO-BREAK SPACE}", " ")
        assert any("votes in percent, average" in alt and f"{k}: {average}" in alt for alt in alts)
    assert any(f'alert("&")< {tree["loss"]["between_runs"]:.1%}' in alt for alt in alts)
    assert any(f"right under none {tree['by_seed']['never']:.1%}" in alt for alt in alts)


def test_queries_and_hardest_inputs_are_those_of_the_evaluation(pages, made):
    tree, rows = (
        evaluation(made["recall-0"].path),
        pq.read_table(made["recall-0"].run.evaluation_table).to_pylist(),
    )
    rates = ", ".join(f"{100 * part['value']:.1f}" for part in tree["by_group"]["query"])
    assert any(f"from the first stored: {rates};" in image.attributes["alt"] for image in pages["groups"].all("img"))
    hardest = sorted(rows, key=lambda row: row["success"])[:5]
    expected = [[f"{r['instance']:,}", str(r["query"]), str(r["value"]), f"{100 * r['success']:.1f}"] for r in hardest]
    assert table(pages["groups"], "the 5 hardest")[1:] == expected


def test_costs_are_those_of_the_last_generation(pages):
    row = dict(zip(*table(pages["hunt"], "What training cost"), strict=True))
    assert row == {
        "run": "hunt", "generations": "6", "rollouts": "600", "tokens": "700", "GFLOP": "5.0", "seconds": "6",
        "device seconds": "7", "device": "–",
    }  # fmt: skip


def test_groups_are_told_apart_by_the_settings_in_which_they_differ(pages):
    found = table(pages["groups"], "Settings in which")
    assert found == [["setting", "recall", '<script>alert("&")<'], ["objective.q", "3.0", "7.0"]]


def test_learning_curves_hold_the_checks_that_all_runs_reached():
    found = checks([metrics(), metrics(0.2).slice(0, 5)], "held_out_average")
    assert found.generation.tolist() == [2, 4]
    assert found.rollouts.tolist() == [200, 400]
    np.testing.assert_allclose(found.values, [[0.2, 0.4], [0.4, 0.6]])


def test_long_curves_of_the_training_loss_are_means_over_blocks():
    rows = [{"generation": g, "loss_mean": float(g % 4)} for g in range(1000)]
    generation, loss = blocks(pa.Table.from_pylist(rows, SCHEMA))
    assert generation.tolist() == [4 * block + 2.5 for block in range(250)]
    assert set(loss.tolist()) == {1.5}


# What is missing


def test_a_run_that_was_not_evaluated_shows_its_training_and_says_how_to_go_on(pages, made):
    page = pages["not evaluated"]
    assert [heading.text for heading in page.all("h2")] == ["Learning", "Cost of training", "Settings and origin"]
    assert f"es-randomized evaluate {made['not evaluated'].path}" in page.all("main")[0].text
    assert any("to 60.0 % after 6 generations" in image.attributes["alt"] for image in page.all("img"))


def test_a_run_that_has_not_begun_has_no_curves(tmp_path):
    fresh = Made(tmp_path / "fresh", "recall", evaluated=False)
    pq.write_table(SCHEMA.empty_table(), fresh.path / "metrics.parquet")
    page = read_html(write_page([fresh.run], tmp_path / "page").read_text())
    assert [heading.text for heading in page.all("h2")] == ["Cost of training", "Settings and origin"]
    assert table(page, "What training cost")[1] == ["fresh", "0", *["–"] * 6]


def test_a_checkpoint_without_its_table_of_instances_shows_the_rest(pages, made):
    page, name = pages["groups"], made["odd"].path.name
    assert f"es-randomized evaluate {shlex.quote(str(made['odd'].path))}" in page.all("main")[0].text
    assert table(page, "All groups")[2][0] == f"{name}, 1 training seed"
    assert not any(name in heading.text for heading in page.all("h2"))


def test_what_cannot_be_shown_is_refused_in_one_message(made, tmp_path):
    with pytest.raises(RunFolderError, match="is not a run folder"):
        write_page([RunFolder(tmp_path)], tmp_path / "page")
    with pytest.raises(ConfigError, match="another task"):
        write_page([made["hunt"].run, made["cycles"].run], tmp_path / "page")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot write into .*file: File exists; choose another folder with --out"):
        write_page([made["not evaluated"].run], tmp_path / "file")
    assert not (tmp_path / "page").exists()


def test_a_damaged_evaluation_is_said(made, tmp_path):
    damaged = Made(tmp_path / "damaged", "cycles", evaluated=False)
    damaged.run.evaluation_file.write_text("{")
    with pytest.raises(RunFolderError, match=r"damaged .*write it again: es-randomized evaluate"):
        write_page([damaged.run], tmp_path / "page")


# What lies behind it


@pytest.mark.parametrize("name", ["cycles", "hunt", "recall-0"])
def test_a_score_is_read_back_as_it_was_written(made, name):
    written, found = made[name].score, score_of(*stored(made[name].run))
    assert summary_of(found) == summary_of(written)
    assert table_of(found).equals(table_of(written))
    np.testing.assert_array_equal(found.per_instance, written.per_instance)


def test_the_look_at_single_runs_is_that_of_an_evaluation(made):
    run = newest(made["hunt"].run)
    evaluated = evaluate_runs([run])
    found = look(run.experiment, evaluated, run.weights)
    assert found.values.shape == (len(evaluated.per_instance), SEEDS) == (3, 20)
    np.testing.assert_allclose(found.values.mean(axis=1), evaluated.per_instance[found.instances], rtol=1e-6)
    assert (np.diff(evaluated.per_instance[found.instances]) <= 0).all()


def test_where_losses_are_not_kept_the_variance_is_that_of_success(made):
    run = read([made["recall-0"].run])[0].members[0]
    del run.summary["loss"]
    rate = run.score.success.astype(float)
    outcomes = np.concatenate([[np.arange(SEEDS) < round(p * SEEDS)] for p in rate]).astype(float)
    within = outcomes.var(axis=1, ddof=1).mean()
    across = max(0, rate.var(ddof=1) - within / SEEDS)
    assert variance_share(run) == pytest.approx(within / (within + across))


def test_learning_curves_say_where_phases_begin(tmp_path):
    phases = [Phase(share=0.6, objective=Specialists(keep=1)), Phase(share=0.4)]
    run = Made(tmp_path / "phased", "recall", phases=phases).run
    (group,) = read([run])
    said = "Phases: specialists from generation 0, q_norm from generation 600."
    assert all(said in figure.alt for figure in learning([group]))
    axes = Figure().subplots()
    phase_lines(axes, group)
    assert [line.get_xdata()[0] for line in axes.get_lines()] == [0, 600]
    assert [text.get_text().strip() for text in axes.texts] == ["specialists", "q_norm"]
    (plain,) = read([Made(tmp_path / "plain", "recall").run])
    assert not any("Phases:" in figure.alt for figure in learning([plain]))

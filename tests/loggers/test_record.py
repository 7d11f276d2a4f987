"""Names and values of the metrics that are logged."""

from fewshot.loggers.record import (
    Metric,
    Record,
    metrics_of,
    parameters_of,
    tags_of,
)


def test_curves_by_shots(summary):
    metrics = metrics_of(summary["cells"])
    assert [metric.step for metric in metrics] == sorted(metric.step for metric in metrics)
    curve = [(metric.step, metric.value) for metric in metrics if metric.name == "ncm/accuracy"]
    assert curve == [(1, 0.75), (5, 0.9)]
    assert Metric("lda/error", 1, 0.5) in metrics
    assert Metric("ncm/margin/mae", 5, 0.05) in metrics
    assert not [metric for metric in metrics if "loo" in metric.name]  # predicted nothing


def test_names_say_what_differs(make_cell):
    cells = [make_cell(dataset=name, ways=ways) for name, ways in (("d", 5), ("e", 2))]
    names = {metric.name for metric in metrics_of(cells)}
    assert {"d/5-way/ncm/accuracy", "e/2-way/ncm/accuracy"} <= names
    assert all("/b/" not in name for name in names)


def test_no_two_numbers_have_one_name(make_cell):
    cells = [
        make_cell(dataset=d, backbone=b, head=h, shots=k, seed=s)
        for d in "xy" for b in "pq" for h in "mn" for k in (1, 5) for s in (0, 1)
    ]  # fmt: skip
    metrics = metrics_of(cells)
    assert len({(metric.name, metric.step) for metric in metrics}) == len(metrics) == 32 * 5


def test_other_tasks(make_cell):
    bare = {key: value for key, value in make_cell(shots=2).items()
            if key not in ("accuracy", "actual_error", "estimators")}  # fmt: skip
    verified = bare | {"task": "verification", "auroc": {"episodes": {"mean": 0.8}, "images": None}}
    assert metrics_of([verified]) == [Metric("ncm/auroc", 2, 0.8)]
    measures = ("macro_f1", "f1", "balanced_accuracy", "auroc", "average_precision", "regret")
    entry = {"prevalence": 0.2} | {name: {"mean": 0.5} for name in measures}
    unknown = entry | {"regret": {"mean": float("nan")}}
    metrics = metrics_of([bare | {"task": "one_class", "prevalences": [unknown]}])
    assert Metric("ncm/macro_f1", 20, 0.5) in metrics
    assert len(metrics) == 5


def test_parameters_are_flat_and_name_no_server(settings):
    assert parameters_of(settings) == {"seed": "0", "head.lda.shrinkage": "auto"}


def test_tags(summary, folder, settings):
    tags = tags_of(summary)
    assert tags["fewshot.fewshot"] == "0.1.0"
    assert tags["fewshot.hash.features"] == "a" * 16
    assert "fewshot.git_commit" not in tags
    record = Record.of(folder, summary, settings, "run")
    assert record.tags["fewshot.kind"] == "run"
    assert record.page.read_text() == "<p>a page</p>"
    (folder / "report.html").unlink()
    assert Record.of(folder, summary, settings, "run").page is None

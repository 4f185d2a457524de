"""Names of metrics and tags that older versions wrote are read as those of today."""

from composed import composed
from made_runs import made

from gantrain.config.resolve import resolve
from gantrain.core.run_folder import RunFolder


def test_old_names_of_metrics_and_tags_are_still_read(tmp_path):
    result = {
        "metrics": {"fidelity/class_accuracy": 0.9, "loss/g": 1.0},
        "protocol": {"class_accuracy": {"tags": ["fidelity/class_accuracy"]}},
    }
    run = RunFolder(
        made(tmp_path / "a", result=result, history=[{"step": 3, "fidelity/class_accuracy": 0.9}])
    )
    assert run.result["metrics"] == {"fidelity/gan_test": 0.9, "loss/g": 1.0}
    assert run.result["protocol"] == {"gan_test": {"tags": ["fidelity/gan_test"]}}
    assert run.history == [{"step": 3, "fidelity/gan_test": 0.9}]


def test_old_name_of_a_metric_in_a_config_is_still_read():
    plain = composed("objective=conditional", "metric.names=[js,gan_test]")
    plain["metric"] |= {"names": ["js", "class_accuracy"], "published": {"fidelity/class_accuracy": 1.0}}
    suite = resolve(plain).metric
    assert (suite.names, suite.published) == (["js", "gan_test"], {"fidelity/gan_test": 1.0})

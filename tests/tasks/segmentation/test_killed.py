"""What is left of a run that is killed after its queries were judged."""

import pytest

import fewshot
from fewshot.tasks.segmentation.judging import QueryPass


def test_a_kill_after_the_last_query_loses_none(scenes_folder, network, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("FEWSHOT_CACHE", str(cache))

    def rows(runs=None):
        return fewshot.evaluate(
            scenes_folder, task="segmentation", backbone=network, head="pixel_lda", shots=1,
            episodes=2, threads=1, runs=runs, options={"size": "short:64", "stride": 8},
        ).rows("segmentation")  # fmt: skip

    expected, count, judged = rows(), QueryPass.count, []

    def killed(*arguments):
        raise KeyboardInterrupt

    def counted(self, row):
        judged.append(row)
        return count(self, row)

    monkeypatch.setattr(QueryPass, "count", counted)
    with monkeypatch.context() as late:
        late.setattr("fewshot.tasks.segmentation.work.add_pictures", killed)
        with pytest.raises(KeyboardInterrupt):
            rows(tmp_path)
    assert len(judged) == 12
    assert list(cache.glob("unfinished/*/*.npz"))
    assert rows(tmp_path).equals(expected)
    assert len(judged) == 12  # none a second time
    assert not list(cache.glob("unfinished/*/*.npz"))

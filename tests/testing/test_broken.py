"""Heads, estimators, backbones and tasks, each broken in one way, and what is said of it."""

import pandas as pd
import pytest
import torch

from fewshot.backbones.base import run_frozen
from fewshot.backbones.callable import CallableBackbone
from fewshot.estimators.base import ErrorEstimator, Prediction
from fewshot.estimators.label_free import AverageConfidence
from fewshot.estimators.loo import LeaveOneOut
from fewshot.estimators.tags import EstimatorTags
from fewshot.heads.base import Head, LinearForm
from fewshot.heads.ridge import Ridge
from fewshot.heads.tags import HeadTags
from fewshot.results.result import Result
from fewshot.tasks import tasks
from fewshot.tasks.base import Measure, Table
from fewshot.tasks.engine.episodic import EpisodicTask
from fewshot.testing import (
    check_backbone,
    check_estimator,
    check_head,
    check_task,
    estimator_checks,
    head_checks,
)


class Plain(Head):
    """Nearest class mean by distances, as others would write it: it passes."""

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def fit(self, support):
        self.means_ = support.means()
        return self

    def scores(self, query):
        return -self.alpha * (query.features[:, :, None] - self.means_[:, None]).square().sum(-1)


class WrongShape(Plain):
    def scores(self, query):
        return super().scores(query).mT


class DoublePrecision(Plain):
    def scores(self, query):
        return super().scores(query).double()


class ReturnsNothing(Plain):
    def fit(self, support):
        super().fit(support)


class OrderOfQueries(Plain):
    def scores(self, query):
        places = 1 + torch.linspace(0, 1, query.features.shape[1])[:, None].to(query.features)
        return super().scores(query) * places


class SeesOtherQueries(Plain):
    def scores(self, query):
        self_centred = query.features - 0.3 * query.features.mean(1, keepdim=True)
        return super().scores(type(query)(self_centred, query.mask))


class ChangesItsParameters(Plain):
    def fit(self, support):
        self.alpha = 2 * self.alpha
        return super().fit(support)


class AltersItsArguments(Plain):
    def __init__(self, alpha=1.0):
        self.alpha = alpha + 1


class UndeclaredText(Plain):
    def fit(self, support):
        super().fit(support)
        self.means_ = self.means_ + 0.1 * support.context.text
        return self


class UndeclaredMoments(Plain):
    def fit(self, support):
        super().fit(support)
        if support.context.base_mean is not None:
            self.means_ = self.means_ + support.context.base_mean * self.means_
        return self


class Random(Plain):
    def scores(self, query):
        return super().scores(query) + torch.rand(()) * torch.arange(4)


class CrossesEpisodes(Plain):
    def fit(self, support):
        super().fit(support)
        self.means_ = 0.8 * self.means_ + 0.2 * self.means_.mean(0, keepdim=True)
        return self


class Remembers(Plain):
    def fit(self, support):
        before = getattr(self, "means_", support.means()[:1])[:1]
        super().fit(support)
        self.means_ = self.means_ + 0.1 * before.to(self.means_)
        return self


class CountsItsCalls(Plain):
    def scores(self, query):
        self.calls_ = getattr(self, "calls_", 0) + 1
        return super().scores(query) * self.calls_


class WritesIntoTheSupport(Plain):
    def fit(self, support):
        support.features.sub_(support.features.mean())
        return super().fit(support)


class SeesPadding(Plain):
    def fit(self, support):
        self.means_ = support.features.mean(2)
        return self


class FavoursTheFirstClass(Plain):
    def scores(self, query):
        return super().scores(query) + torch.tensor([1.0, 0, 0, 0])


class Guesses(Plain):
    def scores(self, query):
        return torch.zeros(*query.features.shape[:2], 4, dtype=query.features.dtype)


class NaNAtOneShot(Plain):
    def fit(self, support):
        super().fit(support)
        if support.features.shape[2] == 1:
            self.means_ = self.means_ * torch.nan
        return self


class WrongForm(Ridge):
    def linear(self):
        form = super().linear()
        return LinearForm(form.weights, form.biases + 1, form.response)


class PromisesTooMuch(Plain):
    tags = HeadTags(shift_invariant=True)

    def scores(self, query):
        means = torch.nn.functional.normalize(self.means_, dim=-1)
        return query.features @ means.mT


HEADS = {
    WrongShape: "shapes_and_type .*expected scores \\(E, T, N\\) = \\(6, 40, 4\\), got \\(6, 4, 40",
    DoublePrecision: "in the type of the features, torch.float32, got torch.float64",
    ReturnsNothing: "parameters_are_kept: raised AttributeError|expected fit to return self",
    OrderOfQueries: "queries in another order|among fewer others",
    SeesOtherQueries: '`uses` does not have "queries"',
    ChangesItsParameters: "expected fit and scores to leave the parameters",
    AltersItsArguments: "expected the constructor to store its arguments as they are",
    UndeclaredText: "expected it to do with what `uses` declares, nothing, got TypeError",
    UndeclaredMoments: "equal scores with what `uses` declares alone, nothing",
    Random: "global generator of torch|expected the same scores twice|`scores` to leave the head",
    CrossesEpisodes: "in a batch, as episodes know nothing of each other",
    Remembers: "expected `fit` to forget earlier supports",
    CountsItsCalls: "expected `scores` to leave the head as it is",
    WritesIntoTheSupport: "expected support.features to be left as it is",
    SeesPadding: "that support.mask leaves out|as it is by itself",
    FavoursTheFirstClass: "classes in another order",
    Guesses: "expected an accuracy above 0.5",
    NaNAtOneShot: "shapes_and_type \\(one shot\\): expected finite scores",
    WrongForm: "expected `linear` to give the scores",
    PromisesTooMuch: "equal scores after a shift, as the tags promise",
}  # fmt: skip


def test_a_plain_head_passes():
    check_head(Plain(alpha=2.0))


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.__name__)
def test_a_broken_head_is_told_why(head):
    with pytest.raises(AssertionError, match=HEADS[head]) as caught:
        check_head(head())
    assert str(caught.value).startswith(f"{head.__name__}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("thing", [Plain, "ncm", None, LeaveOneOut()])
def test_what_is_no_head(thing):
    with pytest.raises(AssertionError, match=r"expected an object of a class derived from"):
        check_head(thing)


class Guess(LeaveOneOut):
    """Leave-one-out error under another name: it passes."""


class OutOfRange(Guess):
    def predict(self, support, head):
        return Prediction(super().predict(support, head).error * 3)


class Percent(Guess):
    def predict(self, support, head):
        return Prediction(1 + 99 * super().predict(support, head).error)


class OneNumber(Guess):
    def predict(self, support, head):
        return Prediction(super().predict(support, head).error.mean()[None])


class NoReason(Guess):
    def predict(self, support, head):
        prediction = super().predict(support, head)
        object.__setattr__(prediction, "reason", None)
        return prediction


class ATensor(Guess):
    def predict(self, support, head):
        return super().predict(support, head).error


class RandomEstimate(Guess):
    def predict(self, support, head):
        error = super().predict(support, head).error
        return Prediction((error + 0.1 * torch.rand(error.shape)).clamp(0, 1))


class MeanOfTheBatch(Guess):
    def predict(self, support, head):
        error = super().predict(support, head).error
        return Prediction((error + error.mean()) / 2)


class Constantly(ErrorEstimator):
    def predict(self, support, head):
        return Prediction(support.features.new_full((len(support.features),), 0.5))


class Learns(Guess):
    def predict(self, support, head):
        self.seen_ = getattr(self, "seen_", 0) + 1
        prediction = super().predict(support, head)
        return Prediction(prediction.error / self.seen_, prediction.reason)


class RefitsTheHead(Guess):
    def predict(self, support, head):
        prediction = super().predict(support, head)
        head.fit(type(support)(support.features.flip(0), support.mask, support.context))
        return prediction


class WantsQueries(Guess):
    def predict(self, support, head, queries=None):
        return super().predict(support, head)


class ClaimsQueries(Guess):
    sees_queries = True


class InvertedInterval(Guess):
    def predict(self, support, head):
        prediction = super().predict(support, head)
        error = prediction.error
        bands = torch.stack([error, error])[:, None]
        return Prediction(error, prediction.reason, error + 0.1, error - 0.1, bands)


class Promises(Guess):
    tags = EstimatorTags(at_one_shot=True)


class Looks(AverageConfidence):
    """Mean confidence on the unlabelled images under another name: it passes."""


class Mumbles(Looks):
    unlabelled = "perhaps"


class SaysItIgnoresThem(Looks):
    unlabelled = "ignored"


class SaysItNeedsThem(Guess):
    unlabelled = "needed"


class SaysItUsesThem(Guess):
    unlabelled = "used"


class NoReasonWithout(Looks):
    def predict(self, support, head):
        return Prediction.undefined(support, "sorry")


class GuessesWithout(Looks):
    def predict(self, support, head):
        return Prediction(support.features.new_full((len(support.features),), 0.5))


class FirstImages(Looks):
    def predict_with(self, support, head, unlabelled):
        first = type(unlabelled)(unlabelled.features[:, :6], unlabelled.mask[:, :6])
        return super().predict_with(support, head, first)


class SeesUnlabelledPadding(Looks):
    def predict_with(self, support, head, unlabelled):
        prediction = super().predict_with(support, head, unlabelled)
        padding = (~unlabelled.mask).to(prediction.error).mean(-1) / 10
        return Prediction((prediction.error + padding).clamp(0, 1), prediction.reason)


class SeesOtherUnlabelled(Looks):
    def predict_with(self, support, head, unlabelled):
        error = super().predict_with(support, head, unlabelled)
        return Prediction((error.error + error.error.nanmean()) / 2, error.reason)


class LinearHeadsOnly(Looks):
    def predict_with(self, support, head, unlabelled):
        if head.linear() is None:
            return Prediction.undefined(support, "this head is not linear")
        return super().predict_with(support, head, unlabelled)


ESTIMATORS = {
    OutOfRange: "expected errors in \\[0, 1\\]",
    Percent: "expected errors in \\[0, 1\\]",
    OneNumber: "expected errors \\(E,\\) = \\(8,\\), got \\(1,\\)",
    NoReason: "expected a reason with errors of NaN",
    ATensor: "expected a fewshot.estimators.base.Prediction, got Tensor|has no attribute",
    RandomEstimate: "expected the same errors twice|in a batch|sees_queries",
    MeanOfTheBatch: "equal `error` of an episode by itself and in a batch",
    Constantly: "expected larger errors of harder episodes, got 0.500 and 0.500",
    Learns: "expected the same errors twice|in a batch|sees_queries",
    RefitsTheHead: "expected `predict` to leave the head as it is",
    WantsQueries: "expected predict\\(support, head\\), got the parameters",
    ClaimsQueries: "expected sees_queries to say whether queries change its predictions",
    InvertedInterval: "bounds|`lower` and `upper`",
    Mumbles: "expected `unlabelled` to be one of ignored, used, needed, got 'perhaps'",
    SaysItIgnoresThem: "unlabelled images to change its predictions exactly if|number",
    SaysItNeedsThem: "unlabelled images to change its predictions exactly if",
    SaysItUsesThem: "unlabelled images to change its predictions exactly if",
    NoReasonWithout: "expected a reason that names the unlabelled images, got 'sorry'",
    GuessesWithout: "expected no number without unlabelled images, as `unlabelled` is 'needed'",
    FirstImages: "equal errors with unlabelled images in another order",
    SeesUnlabelledPadding: "equal errors with unlabelled images that the mask leaves out",
    SeesOtherUnlabelled: "by itself and in a batch",
    LinearHeadsOnly: "every_head: head \\w+: expected a number for every episode",
    Promises: "expected a number at one shot with base classes, as tags.at_one_shot=True says",
}  # fmt: skip


@pytest.mark.parametrize("estimator", [Guess, Looks])
def test_a_plain_estimator_passes(estimator):
    check_estimator(estimator())


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: estimator.__name__)
def test_a_broken_estimator_is_told_why(estimator):
    with pytest.raises(AssertionError, match=ESTIMATORS[estimator]) as caught:
        check_estimator(estimator())
    assert str(caught.value).startswith(f"{estimator.__name__}: ")
    assert "\n" not in str(caught.value)


def test_names_of_checks_are_unique():
    for checks in (head_checks(), estimator_checks()):
        names = [name for name, _ in checks]
        assert len(set(names)) == len(names)


class Net(torch.nn.Module):
    def forward(self, images):
        return torch.nn.functional.avg_pool2d(images, 56).flatten(1)


class Training(Net):
    def forward(self, images):
        features = super().forward(images)
        return features - features.mean(0)


class Flat(Net):
    def forward(self, images):
        return super().forward(images).mean()


class Noisy(Net):
    def __init__(self):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.rand(1))

    def forward(self, images):
        return super().forward(images) + self.bias


NETS = {
    Training: "by itself and in a batch",
    Flat: "expected a tensor \\(3, D\\) from the network",
    Noisy: "the same features after loading again|expected the same fingerprint twice",
}


def test_a_network_passes():
    check_backbone(Net)


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.__name__)
def test_a_broken_backbone_is_told_why(net):
    with pytest.raises(AssertionError, match=NETS[net]):
        check_backbone(net)


def test_a_fingerprint_without_the_transform():
    class Forgets(CallableBackbone):
        factory = Net

        def fingerprint(self):
            return super().fingerprint() | {"transform": {}}

        def load(self, device):
            return run_frozen(Net(), device)

    with pytest.raises(AssertionError, match="another fingerprint with another crop_pct"):
        check_backbone(Forgets(target="a:b"))


class Fine(EpisodicTask):
    """The number of the episode, which is no measure of anything."""

    name = "fine"
    title = "Fine"
    tables = (Table("fine", {"fine": "float64"}),)
    measures = (Measure("fine", table="fine"),)
    values = staticmethod(lambda count: [float(number) for number in range(count)])

    def evaluate(self, bank, episodes, head, evaluation, seed):
        values = self.values(len(episodes))
        rows = pd.DataFrame({"episode": range(len(episodes)), "fine": values})
        return Result({"fine": rows}, {"fine": float(rows["fine"].mean())})


class Unreliable(Fine):
    values = staticmethod(lambda count: torch.rand(count).tolist())


class Undeclared(Fine):
    tables = (Table("fine", {"fine": "float64", "other": "float64"}),)


class Unmeasured(Fine):
    measures = (Measure("fane", table="fine"),)


class NoTitle(Fine):
    title = ""


class NoReport(Fine):
    report = "fewshot.report.tasks:Missing"


class Fails(Fine):
    def evaluate(self, bank, episodes, head, evaluation, seed):
        raise KeyError("oh")


TASKS = {
    Unreliable: "expected the same rows twice",
    Undeclared: "expected a column 'other', got none",
    Unmeasured: "expected the main measure 'fane' in the summary",
    NoTitle: "expected the attribute 'title', got none",
    NoReport: "has no 'Missing'",
    Fails: "KeyError",
}


@pytest.mark.parametrize("task", [Fine, Fine(), "classification", "verification"])
def test_a_task_passes(task):
    check_task(task)
    assert "fine" not in tasks


@pytest.mark.filterwarnings("ignore:failed")
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__)
def test_a_broken_task_is_told_why(task):
    with pytest.raises(AssertionError, match=TASKS[task]) as caught:
        check_task(task)
    assert str(caught.value).startswith(f"{task.__name__}: ")
    assert "fine" not in tasks

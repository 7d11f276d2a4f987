"""What every registered estimator must do, with every registered head."""

import functools
import inspect

import pytest
import torch

from fewshot.estimators import estimators
from fewshot.estimators.base import (
    NO_NUMBER,
    BaseClasses,
    CalibrationSettings,
    ErrorEstimator,
    Prediction,
)
from fewshot.estimators.moments import Moments
from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.heads.base import Context, Support
from fewshot.heads.ncm import NCM
from fewshot.text.gaussians.class_gaussians import COVARIANCES, PRIORS, ClassGaussians
from fewshot.text.gaussians.mixing import Pool

E, N, K, D = 8, 4, 5, 20
# Oracles see the queries and have tests of their own.
NAMES = [name for name in estimators if not estimators[name].load().sees_queries]


def draw(shots=K, ways=N, seed=0, dtype=torch.float64, spread=1.2, episodes=E, dim=D):
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(episodes, ways, 1, dim, generator=generator, dtype=torch.float64)
    noise = torch.randn(episodes, ways, shots, dim, generator=generator, dtype=torch.float64)
    context = context_of(means[:, :, 0], generator).to(dtype)
    return Support.of((means + spread * noise).to(dtype), None, context)


def context_of(means, generator):
    """Text near the class means, and Gaussians as if they had been predicted from it."""
    near = means + torch.randn(means.shape, generator=generator, dtype=torch.float64)
    ones = torch.ones(means.shape[-1], dtype=torch.float64)
    pools = {(kind, prior): Pool(1.0, 0.3, 2.0, 1.0) for kind in COVARIANCES for prior in PRIORS}
    gaussians = ClassGaussians(
        near, 1.44 * torch.ones_like(means), 0 * ones, 1.44 * ones, ones, 20.0, ones[:, None], pools
    )
    return Context(torch.nn.functional.normalize(near, dim=-1), 10.0, gaussians=gaussians)


@pytest.fixture(params=["ncm", "lda", "text_gaussian"])
def head(request):
    made = heads.create(request.param)
    made.name = request.param
    return made


@pytest.fixture(scope="module", autouse=True)
def calibrator(hand_made):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fewshot.estimators.auto.load_general", lambda path: hand_made)
        yield


@pytest.fixture(params=NAMES)
def estimator(request, head):
    return fitted(request.param, head.name)


@functools.cache
def fitted(name, head, shots=K):
    return estimators.create(name).fit(base_classes(head, shots))


def base_classes(head, shots=K):
    """Twelve base classes like those of `draw`, and 60 episodes that are easy to hard."""
    rng = torch.Generator().manual_seed(99)
    means = torch.randn(12, D, generator=rng, dtype=torch.float64)
    spread = torch.linspace(0.3, 4.0, 60, dtype=torch.float64)
    support = draw(seed=98, episodes=60, spread=spread[:, None, None, None], shots=shots)
    noise = torch.rand(60, N, generator=rng, dtype=torch.float64)
    moments = Moments(
        means, torch.full((12,), 30.0).double(), 1.44 * torch.eye(D, dtype=torch.float64)
    )
    judged = heads.create(head).fit(support)
    return BaseClasses(
        moments=lambda: moments,
        map=lambda function: function(support, judged),
        errors_by_class=0.1 * noise + 0.15 * spread[:, None],
        members=torch.stack([torch.randperm(12, generator=rng)[:N] for _ in range(60)]),
    )


def predict(estimator, head, support):
    return estimator.predict(support, head.clone().fit(support))


def check(prediction, episodes=E):
    """What holds of every prediction, whatever the support."""
    error = prediction.error
    assert error.shape == (episodes,)
    defined = error.isfinite()
    assert bool(((error[defined] >= 0) & (error[defined] <= 1)).all())
    assert not bool(error.isinf().any())
    assert bool(defined.all()) or prediction.reason
    if prediction.fallback is not None:
        assert prediction.fallback.dtype == torch.bool
        assert not bool((prediction.fallback & ~defined).any())
        assert prediction.fallback_reason
    assert (prediction.lower is None) == (prediction.upper is None) == (prediction.bands is None)
    if prediction.lower is None:
        return
    lower, upper, bands = prediction.lower, prediction.upper, prediction.bands
    for bound in (lower, upper, *bands.flatten(0, 1)):
        assert bool((bound.isfinite() == defined).all())
        assert bool(((bound[defined] >= 0) & (bound[defined] <= 1)).all())
    assert bool(((lower <= error) & (error <= upper))[defined].all())
    assert bool(((bands[0] <= error) & (error <= bands[1]))[:, defined].all())
    assert bool((bands[0].diff(dim=0) <= 0)[:, defined].all())  # wider at higher levels
    assert bool((bands[1].diff(dim=0) >= 0)[:, defined].all())


def test_signature_has_no_room_for_queries(estimator):
    assert isinstance(estimator, ErrorEstimator)
    assert list(inspect.signature(estimator.predict).parameters) == ["support", "head"]


@pytest.mark.parametrize("name", estimators)
def test_only_what_says_that_it_sees_queries_does_anything_with_them(name):
    """By behaviour: other queries change what an oracle predicts, and nothing else's."""
    estimator, support, head = estimators.create(name), draw(), heads.create("ncm")
    estimator.fit(base_classes("ncm"))
    judged = head.fit(support)
    near, far = (
        estimator.predict_knowing(support, judged, draw(seed=0, shots=9, spread=spread)).error
        for spread in (0.3, 4.0)
    )
    assert estimator.sees_queries == (not torch.equal(near, far))
    alone = estimator.predict(support, judged)
    assert bool(alone.error.isnan().all()) == estimator.sees_queries
    assert not estimator.sees_queries or "queries" in alone.reason


SPACE = {"backbone": "net", "feature": "last", "normalize": "none", "dimensions": D}


@pytest.mark.parametrize("name", estimators)
def test_the_level_of_a_run_is_for_estimators_that_set_none(name):
    run = CalibrationSettings("none", 0.8, None, SPACE)
    estimator = estimators.create(name)
    configured = estimator.configured(run)
    assert type(configured) is type(estimator)
    if "level" not in estimator.get_params():
        assert configured.get_params() == estimator.get_params()
        return
    assert configured.level == 0.8
    assert estimators.create(name, level=0.6).configured(run).level == 0.6
    assert estimator.level == 0.9  # of the original


def test_a_label_of_a_calibration_is_of_what_calibrates_itself(estimator):
    assert estimator.calibration_label() == "none" or estimator.calibrates_itself


def test_what_goes_into_a_calibrator_was_learned_from_base_classes(estimator, hand_made):
    name = type(estimator).__name__.lower()
    unfitted = estimator.with_params()
    without = estimator.with_params().fit(BaseClasses())
    for nothing in (unfitted, without):
        assert nothing.add_to(hand_made, name, "ncm", K) is hand_made
    made = estimator.add_to(hand_made, name, "ncm", K)
    if made is not hand_made:
        assert estimator.calibrates_itself
        assert made.models != hand_made.models or name in made.others


def test_shape_range_and_reason(estimator, head):
    prediction = predict(estimator, head, draw())
    check(prediction)
    assert prediction.reason is None
    assert bool(prediction.error.isfinite().all())


@pytest.mark.parametrize("name", ["auto", "constant", "stack"])
def test_calibrated_estimators_have_intervals(name, head):
    prediction = predict(fitted(name, head.name), head, draw())
    assert bool((prediction.lower < prediction.upper).all())


def test_batch_equals_loop(estimator, head):
    support = draw()
    mask = support.mask.clone()
    mask[::2, 0, 3:] = mask[::3, 2, 2:] = False  # some episodes have fewer shots of some classes
    mask[5, :, 1:] = False  # and one has a single shot of each
    for mixed in (support, Support.of(support.features, mask, support.context)):
        whole = predict(estimator, head, mixed)
        each = [predict(estimator, head, mixed[e : e + 1]) for e in range(E)]
        for name in ("error", "lower", "upper", "bands"):
            together = getattr(whole, name)
            if together is not None:
                one_by_one = torch.cat([getattr(prediction, name) for prediction in each], -1)
                torch.testing.assert_close(
                    one_by_one, together, rtol=1e-9, atol=1e-9, equal_nan=True
                )


def test_order_of_classes_and_shots_does_not_matter(estimator, head):
    support = draw()
    error = predict(estimator, head, support).error
    other = support[:, [2, 0, 3, 1]]
    shuffled = Support.of(other.features.flip(2), None, other.context)
    # Quadrature points meet the classes in another order; random partitions deal other shots.
    atol = 0.06 if "seed" in estimator.get_params() else 0.02
    torch.testing.assert_close(predict(estimator, head, shuffled).error, error, rtol=0, atol=atol)


def test_repeatable_and_stateless(estimator, head):
    support = draw()
    first = predict(estimator, head, support).error
    predict(estimator, head, draw(seed=5))
    assert torch.equal(predict(estimator, head, support).error, first)


def test_float32_agrees(estimator, head):
    exact = predict(estimator, head, draw()).error
    rough = predict(estimator, head, draw(dtype=torch.float32)).error
    torch.testing.assert_close(rough.double(), exact, rtol=1e-3, atol=2e-3)


def test_unequal_shots(estimator, head):
    support = draw()
    mask = support.mask.clone()
    mask[:, 0, 3:] = mask[:, 2, 2:] = False
    prediction = predict(estimator, head, Support.of(support.features, mask, support.context))
    check(prediction)
    assert bool(prediction.error.isfinite().all())
    padded = Support.of(
        torch.cat([support.features, torch.full_like(support.features, 9e3)], 2),
        torch.cat([mask, torch.zeros_like(mask)], 2),
        support.context,
    )
    torch.testing.assert_close(predict(estimator, head, padded).error, prediction.error)


@pytest.mark.parametrize("name", NAMES)
def test_one_shot_is_a_number_or_a_reason(name, head):
    judged = head.name
    learned = fitted(name, judged), fitted(name, judged, shots=1)
    for estimator in (
        *learned,
        estimators.create(name).fit(BaseClasses()),
        estimators.create(name),
    ):
        prediction = predict(estimator, head, draw(shots=1))
        check(prediction)
        finite = prediction.error.isfinite()
        assert bool(finite.all()) or bool((~finite).all())
    # With base classes those have an answer that need no held-out shots, and no other has one.
    defined = predict(learned[1], head, draw(shots=1)).error.isfinite()
    from_means = ("auto", "constant", "empirical_bayes", "gaussian", "margin", "margin_t")
    assert bool(defined.all()) == (name in from_means)


@pytest.mark.parametrize("name", NAMES)
def test_without_base_classes_a_number_or_a_reason(name, head):
    for estimator in (estimators.create(name).fit(BaseClasses()), estimators.create(name)):
        prediction = predict(estimator, head, draw())
        check(prediction)
        learner = name in ("constant", "davies_bouldin", "stack")
        assert bool(prediction.error.isfinite().any()) != learner
        assert not learner or "base classes" in prediction.reason


def test_two_ways_and_many_ways(estimator, head):
    for ways in (2, 12):
        check(predict(estimator, head, draw(ways=ways)))


DEGENERATE = {
    "zero variance": lambda x: x[:, :, :1].expand_as(x),
    "two equal shots": lambda x: torch.cat([x[:, :, :1], x[:, :, :-1]], 2),
    "constant feature": lambda x: torch.cat([torch.ones_like(x[..., :1]), x[..., 1:]], -1),
    "equal classes": lambda x: x[:, :1].expand_as(x),
    "all the same": lambda x: x[:, :1, :1].expand_as(x),
    "zeros": torch.zeros_like,
    "far from the origin": lambda x: x + 1e4,
    "tiny": lambda x: x * 1e-12,
}


@pytest.mark.parametrize(("shots", "dtype"), [(2, torch.float64), (K, torch.float32)])
@pytest.mark.parametrize("kind", DEGENERATE)
def test_degenerate_supports(estimator, head, kind, shots, dtype):
    support = draw(shots=shots, dtype=dtype)
    features = DEGENERATE[kind](support.features).clone()
    check(predict(estimator, head, Support.of(features, None, support.context)))


@pytest.mark.parametrize("power", [40, -30])
@pytest.mark.parametrize("name", ["auto", "gaussian", "kfold", "loo", "margin", "margin_t"])
def test_the_scale_of_the_features_does_not_matter(name, power):
    head, estimator = heads.create("ncm"), estimators.create(name).fit(BaseClasses())
    support = draw(dtype=torch.float32)
    scaled = Support.of(support.features * 2.0**power, None, support.context)
    torch.testing.assert_close(
        predict(estimator, head, scaled).error, predict(estimator, head, support).error
    )


class Lost(NCM):
    """Nearest class mean whose numbers left the range of floating point."""

    def fit(self, support):
        super().fit(support)
        self.weights_ = torch.full_like(self.weights_, torch.inf)
        self.means_ = torch.full_like(self.means_, torch.nan)
        return self

    def scores(self, query):
        return torch.full((*query.features.shape[:2], self.means_.shape[1]), torch.nan)

    def leave_one_out(self, support):
        shape = (*support.mask.shape, support.mask.shape[1])
        return torch.full(shape, torch.nan, dtype=support.features.dtype)


@pytest.mark.parametrize("name", NAMES)
def test_no_number_without_a_reason(name):
    support = draw()
    try:
        prediction = predict(fitted(name, "ncm"), Lost(), support)
    except FewshotError as error:
        assert "expected finite scores" in str(error)
        return
    check(prediction)


@pytest.mark.parametrize("error", [torch.nan, torch.inf, -torch.inf])
def test_a_prediction_that_is_no_number_has_a_reason(error):
    made = Prediction(torch.tensor([0.1, error]))
    assert made.error.isnan().tolist() == [False, True]
    assert made.reason == NO_NUMBER
    assert Prediction(torch.tensor([error]), "one shot").reason == "one shot"
    assert Prediction(torch.tensor([0.1])).reason is None


@pytest.mark.parametrize("name", NAMES)
def test_more_dimensions_than_samples(name, head):
    # Base classes of as many dimensions, or none.
    prediction = predict(estimators.create(name), head, draw(dim=300))
    check(prediction)


def test_harder_episodes_get_larger_predictions(estimator, head):
    if type(estimator).__name__ == "Constant":
        pytest.skip("says the same to all")
    easy, hard = (predict(estimator, head, draw(spread=s)).error.mean() for s in (0.3, 4.0))
    assert hard > easy


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
def test_same_on_an_accelerator(estimator, head):
    support = draw()
    error = predict(estimator, head, support).error
    moved = Support.of(support.features.cuda(), support.mask.cuda())
    torch.testing.assert_close(predict(estimator, head, moved).error.cpu(), error)

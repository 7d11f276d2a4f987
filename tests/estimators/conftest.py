"""Calibrators made by hand: tests must not hang on the numbers of the one in the package."""

import numpy as np
import pytest
from scipy.stats import norm

from fewshot.estimators.calibration.intervals import GRID
from fewshot.estimators.calibration.regimes import (
    MEASURED,
    NUMBERS,
    REGIMES,
    SUPPORT_ALONE,
    with_number,
)
from fewshot.estimators.calibration.transferred import General, Model

# Of covariates that stand for themselves: centre 0, scale 1.
SLOPES = {"ways": 0.1, "overlap": 0.1, "risk": 0.7, "risk_blended": 0.5, "risk_base": 0.5}


def hand_made_model(regime, shots=(2.0, 5.0, 20.0), intercept=-0.3, width=0.2):
    """A model with equal coefficients at all shots and normal residuals."""
    names = REGIMES[regime]
    row = [intercept, *(SLOPES.get(name, 0.3) for name in names)]
    return Model(
        covariates=names,
        centre=np.zeros(len(names)),
        scale=np.ones(len(names)),
        shots=np.array(shots),
        coefficients=np.tile(row, (len(shots), 1)),
        residuals=np.tile(width * norm.ppf(GRID), (len(shots), 1)),
    )


@pytest.fixture(scope="session")
def make_model():
    """Function that makes a model of a regime; see ``hand_made_model``."""
    return hand_made_model


@pytest.fixture(scope="session")
def hand_made():
    """A calibrator for all regimes."""
    models = {
        name: hand_made_model(name, (1.0,) if "one" in name else (2.0, 5.0)) for name in REGIMES
    }
    numbered = {
        with_number(name, number): models[name]
        for name in REGIMES
        if name not in SUPPORT_ALONE
        for number in (*NUMBERS, MEASURED)
    }
    return General({name: models[name] for name in SUPPORT_ALONE} | numbered)


@pytest.fixture
def ours(hand_made, monkeypatch):
    """Let ``auto`` find the hand-made calibrator in place of the package's."""
    monkeypatch.setattr("fewshot.estimators.auto.load_general", lambda path: hand_made)
    return hand_made

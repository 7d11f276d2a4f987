"""How many jobs a multirun has, from its configuration before any job is made."""

import pytest
from omegaconf import OmegaConf

from fewshot.sweeps.grid import number_of_jobs


@pytest.mark.parametrize(
    ("params", "typed", "jobs"),
    [
        ({}, ["seed=0,1,2", "head=ncm"], 3),
        ({}, ["seed=range(5)", "head=ncm,lda"], 10),
        ({"seed": "0,1", "head": "ncm,lda"}, [], 4),
        ({"seed": "0,1"}, ["seed=7"], 1),
        ({}, ["head=[ncm,lda]"], 1),
        (None, ["head=ncm,lda", "episodes.shots=1,5"], 4),
        ({}, ["seed=range(0,0)"], 0),
    ],
)
def test_of_a_grid(params, typed, jobs):
    hydra = {"sweeper": {"params": params}, "overrides": {"task": typed}}
    assert number_of_jobs(OmegaConf.create({"hydra": hydra})) == jobs


def test_of_a_search():
    hydra = {"sweeper": {"n_trials": 25, "params": {"seed": "0,1"}}, "overrides": {"task": []}}
    assert number_of_jobs(OmegaConf.create({"hydra": hydra})) == 25

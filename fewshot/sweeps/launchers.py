"""Hydra's launchers of the jobs of a multirun, and the number of cores of each job."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fewshot.exceptions import FewshotError
from fewshot.hardware import available_cores

# Modules whose exceptions mean that a worker process of a launcher died.
DEATH_MODULES = ("joblib.externals.loky", "submitit.core", "ray.exceptions")


def cores_at_most(limit: int) -> int:
    """Return the available cores, `limit` at most: ``${fewshot.cores:8}`` in ``conf/``."""
    return min(available_cores(), int(limit))


def share(jobs: int) -> int:
    """Return the cores for each of at most `jobs` parallel jobs: ``${fewshot.share:8}``."""
    return available_cores() // cores_at_most(jobs)


OmegaConf.register_new_resolver("fewshot.cores", cores_at_most, replace=True)
OmegaConf.register_new_resolver("fewshot.share", share, replace=True)


def check(launcher: Mapping[str, Any]) -> None:
    """Raise if this launcher cannot work on this machine, as far as can be checked in advance."""
    if kind_of(launcher) == "slurm" and shutil.which("srun") is None:
        raise FewshotError(
            "launcher",
            "there is no Slurm on this machine (srun is not found)",
            "Start the sweep on a node of the cluster, or try launcher=submitit_local.",
        )
    if kind_of(launcher) == "joblib" and not launcher.get("n_jobs"):
        raise FewshotError("hydra.launcher.n_jobs", "expected a number of processes, got 0")


def kind_of(launcher: Mapping[str, Any] | None) -> str:
    """Return the name of a launcher from its settings: basic, joblib, ray, local, slurm, ..."""
    target = str((launcher or {}).get("_target_", "")).rpartition(".")[2]
    return target.removesuffix("Launcher").lower()


def in_parallel(launcher: Mapping[str, Any] | None) -> bool:
    """Whether jobs run in separate processes."""
    return kind_of(launcher) != "basic"


def on_this_machine(launcher: Mapping[str, Any] | None) -> bool:
    """Whether jobs run on this machine, and so end with the process that started them."""
    return kind_of(launcher) in ("joblib", "ray", "local")


def cores_per_job(launcher: Mapping[str, Any]) -> int:
    """Return the cores for one job, such that parallel jobs do not compete for cores."""
    cores = available_cores()
    kind = kind_of(launcher)
    if kind == "joblib":
        return max(1, cores // processes(int(launcher.get("n_jobs") or 1), cores))
    if kind == "ray":
        remote = (launcher.get("ray") or {}).get("remote") or {}
        return max(1, min(cores, int(remote.get("num_cpus") or 1)))
    if launcher.get("cpus_per_task"):
        return max(1, min(cores, int(launcher["cpus_per_task"])))
    return share(8) if kind == "local" else cores


def limit_batch(config: DictConfig) -> None:
    """Limit the batch size of submitit's local launcher, which starts all jobs at once."""
    sweeper, launcher = config.hydra.sweeper, config.hydra.launcher
    if kind_of(launcher) == "local" and sweeper.get("max_batch_size", 0) is None:
        sweeper.max_batch_size = max(1, available_cores() // cores_per_job(launcher))


def processes(jobs: int, cores: int) -> int:
    """Return the number of processes of joblib for ``n_jobs``; -1 is all cores, -2 all but one."""
    return max(1, jobs if jobs > 0 else cores + 1 + jobs)


def prepare(launcher: Mapping[str, Any], cores: int) -> dict[str, str]:
    """Make a launcher ready; return the environment variables that were set for its processes.

    Libraries read their number of threads when they are loaded, and Ray sends usage statistics
    unless they are disabled.
    """
    variables = {"OMP_NUM_THREADS": str(cores)} if kind_of(launcher) == "local" else {}
    if kind_of(launcher) == "ray":
        variables = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    new = {key: value for key, value in variables.items() if key not in os.environ}
    os.environ.update(new)
    if kind_of(launcher) == "ray":
        start_ray(launcher)
    if kind_of(launcher) == "slurm":
        from fewshot.sweeps.slurm import watch_queue

        watch_queue()
    return new


def start_ray(launcher: Any) -> None:
    """Start Ray, or join a cluster, before its launcher does.

    Ray's core crashes on SIGTERM; the earlier signal handler is therefore restored.
    """
    import ray

    before = signal.getsignal(signal.SIGTERM)
    settings: Any = OmegaConf.to_container(launcher.ray.init, resolve=True)
    settings.setdefault("logging_level", "ERROR")
    if settings.get("address") is None:
        settings.setdefault("object_store_memory", 80_000_000)  # jobs exchange no large objects
    try:
        ray.init(**settings)
    except Exception as error:  # Ray raises many types of exceptions
        reason = " ".join(str(error).split())[:300]
        raise FewshotError("hydra.launcher.ray.init", f"Ray does not start: {reason}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def is_worker_death(error: BaseException) -> bool:
    """Whether this exception of a launcher means that one of its worker processes died."""
    return any(kind.__module__.startswith(DEATH_MODULES) for kind in type(error).__mro__)


def sweep_folder(mode: Any) -> Path:
    """Return the folder of the sweep, independent of the working folder of a launcher."""
    return Path(mode["runtime"]["cwd"], mode["sweep"]["dir"])

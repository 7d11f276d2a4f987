"""Who runs the jobs of a multirun: Hydra's launchers, and the cores that each job gets."""

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

# Modules whose exceptions say that a process of a launcher is gone.
DEATHS = ("joblib.externals.loky", "submitit.core", "ray.exceptions")


def cores_at_most(limit: int) -> int:
    """The cores of this machine, but no more than `limit`: ``${fewshot.cores:8}`` in ``conf/``."""
    return min(available_cores(), int(limit))


def share(jobs: int) -> int:
    """Cores for each of at most that many jobs at a time: ``${fewshot.share:8}``."""
    return available_cores() // cores_at_most(jobs)


OmegaConf.register_new_resolver("fewshot.cores", cores_at_most, replace=True)
OmegaConf.register_new_resolver("fewshot.share", share, replace=True)


def check(launcher: Mapping[str, Any]) -> None:
    """Raise unless this launcher can work here, as far as one can know beforehand."""
    if kind_of(launcher) == "slurm" and shutil.which("srun") is None:
        raise FewshotError(
            "launcher",
            "there is no Slurm on this machine (srun is not found)",
            "Start the sweep on a node of the cluster, or try launcher=submitit_local.",
        )
    if kind_of(launcher) == "joblib" and not launcher.get("n_jobs"):
        raise FewshotError("hydra.launcher.n_jobs", "expected a number of processes, got 0")


def kind_of(launcher: Mapping[str, Any] | None) -> str:
    """The name of a launcher from its settings: basic, joblib, ray, local, slurm, ..."""
    target = str((launcher or {}).get("_target_", "")).rpartition(".")[2]
    return target.removesuffix("Launcher").lower()


def in_parallel(launcher: Mapping[str, Any] | None) -> bool:
    """Whether jobs run in processes of their own."""
    return kind_of(launcher) != "basic"


def on_this_machine(launcher: Mapping[str, Any] | None) -> bool:
    """Whether the jobs are to end with the process that started them."""
    return kind_of(launcher) in ("joblib", "ray", "local")


def cores_each(launcher: Mapping[str, Any]) -> int:
    """Cores for one job, so that those that run at a time do not take them from each other."""
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


def bound(config: DictConfig) -> None:
    """Let submitit's local launcher, which starts all jobs at once, have a few at a time."""
    sweeper, launcher = config.hydra.sweeper, config.hydra.launcher
    if kind_of(launcher) == "local" and sweeper.get("max_batch_size", 0) is None:
        sweeper.max_batch_size = max(1, available_cores() // cores_each(launcher))


def processes(jobs: int, cores: int) -> int:
    """What joblib makes of ``n_jobs``: -1 is all cores, -2 all but one."""
    return max(1, jobs if jobs > 0 else cores + 1 + jobs)


def prepare(launcher: Mapping[str, Any], cores: int) -> dict[str, str]:
    """Set variables that processes of this launcher have to find; gives back those it set.

    Libraries read their number of threads when they are loaded, and Ray reports its use to its
    makers unless it is told not to.
    """
    wanted = {"OMP_NUM_THREADS": str(cores)} if kind_of(launcher) == "local" else {}
    if kind_of(launcher) == "ray":
        wanted = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    new = {key: value for key, value in wanted.items() if key not in os.environ}
    os.environ.update(new)
    if kind_of(launcher) == "ray":
        start_ray(launcher)
    return new


def start_ray(launcher: Any) -> None:
    """Start Ray, or join a cluster, before its launcher does.

    Ray's core answers SIGTERM by a crash, unless somebody else wants it afterwards.
    """
    import ray

    before = signal.getsignal(signal.SIGTERM)
    settings: Any = OmegaConf.to_container(launcher.ray.init, resolve=True)
    settings.setdefault("logging_level", "ERROR")
    if settings.get("address") is None:
        settings.setdefault("object_store_memory", 80_000_000)  # nothing large goes through it
    try:
        ray.init(**settings)
    except Exception as error:  # Ray has many ways to say that it cannot
        reason = " ".join(str(error).split())[:300]
        raise FewshotError("hydra.launcher.ray.init", f"Ray does not start: {reason}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def is_a_death(error: BaseException) -> bool:
    """Whether a launcher says with this exception that one of its processes is gone."""
    return any(kind.__module__.startswith(DEATHS) for kind in type(error).__mro__)


def sweep_folder(mode: Any) -> Path:
    """The folder of the sweep, wherever a launcher has its working folder."""
    return Path(mode["runtime"]["cwd"], mode["sweep"]["dir"])

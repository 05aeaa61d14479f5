"""The files of docs/cluster do what docs/cluster.md says, as far as a machine without SLURM and Kubernetes can tell."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FILES = Path(__file__).resolve().parents[1] / "docs" / "cluster"

# Stand-ins that write down how they were called. srun runs what follows its options, and lets Ray and coevo "run".
STUBS = {
    "scontrol": 'echo "scontrol $*" >> "$LOG"; printf "node1\\nnode2\\nnode3\\n"',
    "hostname": "echo 10.0.0.7 10.0.1.7",
    "ray": 'echo "ray $* token=${#RAY_AUTH_TOKEN} mode=$RAY_AUTH_MODE" >> "$LOG"',
    "coevo": 'echo "coevo $* wait=$COEVO_RAY_WAIT_S token=${#RAY_AUTH_TOKEN}" >> "$LOG"',
    "srun": 'options=""; while [[ $1 == --* ]]; do options="$options $1"; shift; done; '
    '[[ $1 == hostname ]] || echo "srun$options: $1 $2" >> "$LOG"; exec "$@"',
}


def submit(folder: Path, nodes: int, **environment: str) -> list[str]:
    stubs = folder / "bin"
    stubs.mkdir(exist_ok=True)
    for name, text in STUBS.items():
        (stubs / name).write_text(f"#!/bin/bash\n{text}\n")
        (stubs / name).chmod(0o755)
    log = folder / "log"
    log.write_text("")
    job = {
        "SLURM_SUBMIT_DIR": str(folder),
        "SLURM_JOB_NODELIST": "node[1-3]",
        "SLURM_JOB_NUM_NODES": str(nodes),
        "SLURM_CPUS_PER_TASK": "16",
    }
    done = subprocess.run(
        ["bash", "-c", 'bash "$0" "$1"; status=$?; sleep 0.5; exit $status', FILES / "slurm.sh", "search.toml"],
        env={**os.environ, **job, "PATH": f"{stubs}:{os.environ['PATH']}", "LOG": str(log), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return log.read_text().splitlines()


def test_a_slurm_job_starts_ray_on_its_nodes_and_the_search_on_the_first(tmp_path: Path) -> None:
    log = submit(tmp_path, 3)
    (head,) = [line for line in log if line.startswith("ray start --head")]
    assert "--node-ip-address=10.0.0.7 --port=6379 --num-cpus=16 --include-dashboard=false --block" in head
    (others,) = [line for line in log if line.startswith("ray start --address")]
    assert "--address=10.0.0.7:6379 --num-cpus=16 --block" in others
    assert all("token=64" in line for line in log if line.startswith(("ray", "coevo")))
    assert "srun --nodes=2 --ntasks=2 --exclude=node1 --overlap: bash -c" in log
    (search,) = [line for line in log if line.startswith("coevo")]
    run = f"{tmp_path}/runs/search"
    assert search == f"coevo run search.toml --out {run} --runner ray:10.0.0.7:6379 --workers 48 wait=120 token=64"


def test_one_node_and_a_job_that_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "elsewhere"
    run.mkdir()
    (run / "study.sqlite").touch()
    log = submit(tmp_path, 1, RUN=str(run), RAY_PORT="7000")
    assert not [line for line in log if "--address=" in line]
    (search,) = [line for line in log if line.startswith("coevo")]
    assert search.startswith(f"coevo resume {run} --runner ray:10.0.0.7:7000 --workers 16 ")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say() -> None:
    done = subprocess.run(["shellcheck", FILES / "slurm.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_kuberay_file_has_the_fields_of_a_rayjob() -> None:
    yaml = pytest.importorskip("yaml")
    (job,) = yaml.safe_load_all((FILES / "kuberay.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    assert set(spec) <= {"entrypoint", "shutdownAfterJobFinishes", "rayClusterSpec", "submissionMode", "backoffLimit"}
    cluster = spec["rayClusterSpec"]
    assert set(cluster) <= {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"}
    assert cluster["authOptions"] == {"mode": "token"}
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    volumes = {volume["name"] for volume in groups[0]["template"]["spec"]["volumes"]}
    for group in groups:
        assert set(group) <= {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        assert {"name", "image", "resources"} <= set(container)
        assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes
    # The entry point runs the search once, and goes on with it ever after.
    words = subprocess.run(["bash", "-n", "-c", spec["entrypoint"]], capture_output=True, text=True, check=False)
    assert words.returncode == 0, words.stderr
    assert "coevo run" in spec["entrypoint"] and "coevo resume" in spec["entrypoint"]
    workers = groups[1]["minReplicas"] * int(
        groups[1]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"]
    )
    assert f"--workers {workers} " in spec["entrypoint"]

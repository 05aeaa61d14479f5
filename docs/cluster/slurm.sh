#!/bin/bash
# A Ray cluster on the nodes of one SLURM job, and a search on it:
#
#     sbatch --nodes=4 slurm.sh experiment.toml
#
# Submitted again with the same file it goes on where the last job ended. RUN is the run folder, on a disk that outlives
# the job; RAY_PORT the head node's port.
#SBATCH --job-name=coevo
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@120
set -euo pipefail

file=${1:?"usage: sbatch --nodes=N slurm.sh FILE.toml"}
run=${RUN:-"$SLURM_SUBMIT_DIR/runs/$(basename "$file" .toml)"}
port=${RAY_PORT:-6379}
cpus=$SLURM_CPUS_PER_TASK

# Nobody else on these nodes may join: a token for this job alone. srun hands the environment to every node.
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 COEVO_RAY_WAIT_S=120

# Whole outputs are read: a pipe that is closed early would end the job under pipefail, on large allocations at random.
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]:?"scontrol names no node for $SLURM_JOB_NODELIST"}
read -r -a addresses <<<"$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address)"
address=${addresses[0]:?"$head has no address"}:$port

srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap \
    ray start --head --node-ip-address="${address%:*}" --port="$port" --num-cpus="$cpus" \
    --include-dashboard=false --block &

if ((SLURM_JOB_NUM_NODES > 1)); then
    others=$((SLURM_JOB_NUM_NODES - 1))
    # Nodes try until the head node answers.
    # shellcheck disable=SC2016
    srun --nodes="$others" --ntasks="$others" --exclude="$head" --overlap \
        bash -c 'until ray start --address="$0" --num-cpus="$1" --block; do sleep 5; done' "$address" "$cpus" &
fi

if [[ -e "$run/study.sqlite" ]]; then
    task=(coevo resume "$run")
else
    task=(coevo run "$file" --out "$run")
fi

# The driver runs on the head node, and `exec` has SLURM's signals reach srun, which hands them on: coevo then stops, and
# all that it was told is kept. When the job ends, SLURM ends Ray.
exec srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap \
    "${task[@]}" --runner "ray:$address" --workers $((SLURM_JOB_NUM_NODES * cpus))

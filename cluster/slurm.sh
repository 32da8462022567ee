#!/bin/bash
# Slurm: a Ray cluster for the length of one batch job, by `ray symmetric-run`.
#
#   once     a clone of this project with its .venv (make demo) on a file system that all nodes see; for NVIDIA GPUs also
#            .venv/bin/python -m pip install "jax[cuda12]==$(.venv/bin/python -c 'import jax; print(jax.__version__)')"
#   start    in the clone: sbatch cluster/slurm.sh train configs/demo.yaml --run runs/demo
#   watch    squeue --me; tail -f slurm-*.out
#   results  in runs/demo of the clone, while it runs and after
#   go on    sbatch cluster/slurm.sh resume runs/demo    after a time limit, a lost head node or scancel
#   stop     scancel JOB: the run keeps everything up to the last whole generation
#   cost     the allocated nodes until the command ends or --time is over; nothing is left on after that
#
# Nodes are taken whole (--exclusive): at the end `ray stop` ends every Ray process of this user on them. Each job makes a
# token of its own; ports listen on the nodes' network, and all of them ask for it. The dashboard is on the head's loopback.
#
#SBATCH --job-name=es-randomized
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --exclusive
#SBATCH --time=04:00:00
##SBATCH --gpus-per-task=4
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: sbatch cluster/slurm.sh train CONFIG --run RUN, or resume RUN" >&2
    exit 2
fi
export PATH="$PWD/.venv/bin:$PATH"

umask 077
mkdir -p "$HOME/.ray"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$HOME/.ray/slurm-$SLURM_JOB_ID"
python -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH"
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT

export RAY_USAGE_STATS_ENABLED=0 RAY_worker_niceness=0
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=600 # seconds; nodes read Python from a slow file system all at once
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 10000))
# Unset on nodes without GPUs, and then Ray must not look for any.
gpus=${SLURM_GPUS_PER_TASK:-0}

srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" \
    ray symmetric-run --address "$address:$port" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --dashboard-host=127.0.0.1 --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="${gpus##*:}" \
    -- python -m es_randomized "$@" --address auto

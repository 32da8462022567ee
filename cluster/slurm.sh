#!/bin/bash
# Slurm: a Ray cluster for the length of one batch job.
#
#   once     a clone of this project with its .venv (make demo) on a file system that all nodes see; for NVIDIA GPUs also
#            .venv/bin/python -m pip install "jax[cuda12]==$(.venv/bin/python -c 'import jax; print(jax.__version__)')"
#   start    in the clone: sbatch cluster/slurm.sh train configs/demo.yaml --run runs/demo
#   watch    squeue --me; tail -f slurm-*.out    (what Ray says is beside it, in slurm-JOB-ray.log)
#   results  in runs/demo of the clone, while it runs and after
#   go on    by itself: two minutes before --time is over the run is saved and the job goes back into the queue, as it does when
#            its first node is lost, and then resumes. After scancel: sbatch cluster/slurm.sh resume runs/demo
#   stop     scancel JOB: the run keeps everything up to the last whole generation
#   cost     the allocated nodes until the command ends or is cancelled, --time after --time; nothing is left on after that
#
# The job ends as the command does: with its exit status and its last lines. A node that is lost costs the work it had in hand.
#
# Nodes are taken whole (--exclusive). Each job makes a token of its own, and on each node a folder of its own for Ray that
# nobody else can enter. Ports listen on the nodes' network; all ask for the token but those with Ray's metrics. The dashboard
# is on the first node's loopback.
#
#SBATCH --job-name=es-randomized
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --exclusive
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --no-kill
##SBATCH --gpus-per-task=4
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: sbatch cluster/slurm.sh train CONFIG --run RUN, or resume RUN" >&2
    exit 2
fi

export PATH="$PWD/.venv/bin:$PATH"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$HOME/.ray/slurm-$SLURM_JOB_ID"
export RAY_USAGE_STATS_ENABLED=0 RAY_worker_niceness=0
unset RAY_ADDRESS
umask 077
log="slurm-$SLURM_JOB_ID-ray.log"
export gpus=${SLURM_GPUS_PER_TASK:-0} # unset on nodes without GPUs, and then Ray must not look for any
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")

# This node's address on the way to another: its own name may stand for 127.0.1.1. Nothing is sent.
address_towards() {
    python -c '
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
    way.connect((sys.argv[1], 9))
    print(way.getsockname()[0])' "$1"
}

# Ray on this node until it is ended: ray_here FOLDER ADDRESS OPTIONS...
ray_here() {
    TMPDIR="$1" exec ray start --block --temp-dir="$1/ray" --node-ip-address="$2" --num-cpus="$SLURM_CPUS_PER_TASK" \
        --num-gpus="${gpus##*:}" "${@:3}"
}

# Ray on a node that joins the first one, and no trace of it afterwards.
join() {
    own=$(mktemp -d /tmp/esr-XXXXXX) # in /tmp: the paths of Ray's sockets may not be long
    trap 'end_ray "$own"' EXIT
    trap 'exit 143' TERM
    for _ in 1 2 3; do # Ray gives a node half a minute to start
        ray_here "$own" "$(address_towards "${1%:*}")" --address="$1" &
        wait $! || true
    done
}

# Processes of Ray name the folder they were started with; what they started does not.
end_ray() {
    local family
    for _ in {1..20}; do # what was killed may still have been writing
        family=$(pgrep -d, -u "$UID" -f "$1/ray") && family+=,$(pgrep -d, -P "$family") || true
        [ -z "$family" ] || kill -KILL ${family//,/ } 2> /dev/null || true
        rm -rf "$1" 2> /dev/null && [ -z "$family" ] && break
        sleep 0.2
    done
}

# What `resume` takes of the arguments of `train`; the rest is in the run.
as_resume() {
    local run="" kept=()
    while [ $# -gt 0 ]; do
        case $1 in
        --run) run=$2; shift ;;
        --run=*) run=${1#*=} ;;
        --workers | --devices-per-worker | --track) kept+=("$1" "$2"); shift ;;
        --workers=* | --devices-per-worker=* | --track=* | --evaluate | --no-evaluate) kept+=("$1") ;;
        esac
        shift
    done
    printf '%s\n' resume "$run" "${kept[@]}"
}

fail() {
    echo "$1; the last of $log:" >&2
    tail -n 5 "$log" >&2
    exit 1
}

if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] && [ "$1" = train ]; then
    mapfile -t again < <(as_resume "$@")
    # Where it was lost before its run was made, it begins again.
    if python -m es_randomized show "${again[1]}" > /dev/null 2>&1; then set -- "${again[@]}"; fi
    echo "the job was started again: $*"
fi

mkdir -p "$HOME/.ray"
python -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH"
own=$(mktemp -d /tmp/esr-XXXXXX)
clean_up() {
    end_ray "$own"
    rm -f "$RAY_AUTH_TOKEN_PATH"
}
trap clean_up EXIT

here=127.0.0.1
if [ ${#nodes[@]} -gt 1 ]; then
    here=$(address_towards "$(scontrol show node "${nodes[1]}" | grep -o 'NodeAddr=[^ ]*' | cut -d= -f2)")
fi
for tries in 2 1 0; do # Ray gives a node half a minute to start
    ray_here "$own" "$here" --head --port=0 --dashboard-host=127.0.0.1 >> "$log" 2>&1 &
    head=$!
    disown # or its end is reported after the last line of the command
    until [ -s "$own/ray/ray_current_cluster" ] || ! kill -0 $head 2> /dev/null; do sleep 0.5; done
    kill -0 $head 2> /dev/null && break
    [ $tries -gt 0 ] || fail "Ray did not start on $(hostname)"
done
address=$(< "$own/ray/ray_current_cluster")

others=""
if [ ${#nodes[@]} -gt 1 ]; then
    srun --nodes=$((${#nodes[@]} - 1)) --ntasks=$((${#nodes[@]} - 1)) --relative=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" \
        --no-kill --kill-on-bad-exit=0 --wait=0 --input=none \
        bash -c "$(declare -f address_towards ray_here join end_ray); join $address" >> "$log" 2>&1 &
    others=$!
fi

TMPDIR="$own" python -m es_randomized "$@" --address "$address" &
command=$! over="" signalled=yes status=0
trap 'signalled=yes over=yes; kill -TERM $command' USR1
# After scancel Slurm waits KillWait, 30 s, and then kills this script too; Ray is being ended already, maybe under the command.
trap 'signalled=yes; kill -TERM $command; { sleep 10; kill -KILL $command; } &' TERM
while [ -n "$signalled" ]; do # a signal ends `wait`, not the command
    signalled="" status=0
    wait $command || status=$?
done

if [ -n "$others" ]; then
    # End Ray on the other nodes, so that they are free at once; one that was lost would be waited for.
    scancel --signal=TERM "$SLURM_JOB_ID.0" >> "$log" 2>&1 || true
    for _ in {1..20}; do
        kill -0 "$others" 2> /dev/null || break
        sleep 0.5
    done
fi
if [ -n "$over" ] && [ $status -eq 143 ]; then
    clean_up # before Slurm ends this script
    echo "the time is nearly over: the job goes back into the queue, and resumes"
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $status

"""What somebody without the token gets from every port of a machine that others can reach."""

import json

from tests.lab.machines import OTHER, Lab

# Runs on a machine as a user who has no token. Asks harmless and dangerous things of every port and prints what each answered.
STRANGER = r"""
import http.client, json, sys
host, ports = sys.argv[1], sys.argv[2:]
job = json.dumps({"entrypoint": "touch /tmp/PWNED", "submission_id": "x"})
asked = [("GET", "/", ""), ("GET", "/metrics", ""), ("GET", "/api/version", ""), ("GET", "/nodes?view=summary", ""),
    ("GET", "/api/jobs/", ""), ("POST", "/api/jobs/", job), ("POST", "/api/job_agent/jobs/", job), ("GET", "/logs/", ""),
    ("POST", "/get_or_create_runtime_env", "")]
answers = {}
for port in ports:
    for method, path, body in asked:
        try:
            connection = http.client.HTTPConnection(host, int(port), timeout=3)
            connection.request(method, path, body or None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            began = answer.read(9).lower()
            known = {b"# help ": "metrics", b"<!doctype": "a page without content"}
            answers[f"{port} {method} {path}"] = next((known[k] for k in known if began.startswith(k)), answer.status)
        except Exception as error:
            answers[f"{port}"] = type(error).__name__
            break
        finally:
            connection.close()
print(json.dumps(answers))
"""


def ports(lab: Lab, host: str, loopback: bool) -> list[int]:
    """That listen on a machine's network, or else its loopback, of any program but ssh and Slurm."""
    lines = lab.run(host, "ss -Hltnp", root=True).splitlines()
    found = set()
    for line in lines:
        address = line.split()[3]
        own = address.startswith(("127.", "[::1]", "[::ffff:127."))
        if own is loopback and not any(
            f'"{name}"' in line for name in ("sshd", "slurmd", "slurmctld", "srun", "slurmstepd")
        ):
            found.add(int(address.rpartition(":")[2]))
    return sorted(found)


def answers(lab: Lab, stranger: str, host: str) -> dict[str, int | str]:
    """What every port of `host` answers to a user of the machine `stranger` who has no token; on loopback if it is the same."""
    listed = " ".join(map(str, ports(lab, host, loopback=stranger == host)))
    assert listed, f"nothing listens on {host}"
    lab.run(stranger, f"cat > /tmp/stranger.py <<'END'\n{STRANGER}\nEND", user=OTHER)
    address = "127.0.0.1" if stranger == host else lab.address(host)
    said = lab.run(stranger, f"python3 /tmp/stranger.py {address} {listed}", user=OTHER)
    return dict(json.loads(said))


def opened(lab: Lab, stranger: str, host: str) -> list[str]:
    """What a stranger gets but metrics, the dashboard's page without content, and the word that a token is missing."""
    harmless = (401, 403, 404, 405)
    given = answers(lab, stranger, host)
    print(f"{host} answers {stranger}:", json.dumps(given))  # pytest -rP shows it
    return [what for what, status in given.items() if isinstance(status, int) and status not in harmless]

"""The scripts for k3s: what they would run, what they refuse, and that they can be run twice."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

from chart import CHART, ROOT

K3S = ROOT / "helm/k3s"
SCRIPTS = ["up", "kubeconfig", "storage", "join", "ingress", "deploy", "forward", "down"]
TOOLS = "bash basename dirname grep sed uname hostname realpath chmod cat mkdir rm sleep".split()
# Arguments that a script cannot do without.
REQUIRED = {"join": ["--server", "efd.example.org", "--token-file", "token"]}
# Keeps the names of containers in a file, and a line for each call.
DOCKER = """#!/bin/bash
echo "docker $*" >> "$CALLS"
case $1 in
run) while [ "$1" != --name ]; do shift; done; echo "$2" >> "$CONTAINERS" ;;
rm) : > "$CONTAINERS" ;;
ps) for word; do name=${word##*^}; done; grep -sx "${name%$}" "$CONTAINERS" ;;
cp) echo "server: https://127.0.0.1:6443" > "${!#}" ;;
esac
exit 0
"""
ANSWERS = """#!/bin/bash
echo "$(basename "$0") $*" >> "$CALLS"
"""


class Scripts(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.calls, self.bin = self.folder / "calls", self.folder / "bin"
        self.calls.touch()
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.stand_in("docker", DOCKER)
        self.stand_in("kubectl", ANSWERS)
        self.stand_in("helm", ANSWERS)

    def stand_in(self, name, text):
        file = self.bin / name
        file.unlink(missing_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def run_script(self, script, *arguments, before=()):
        env = {"PATH": str(self.bin), "CALLS": str(self.calls), "CONTAINERS": str(self.folder / "containers")}
        command = [*before, K3S / script, *arguments]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=env, cwd=self.folder, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def refused(self, words, script, *arguments, code=1, before=()):
        status, output, errors = self.run_script(script, *arguments, before=before)
        self.assertEqual(status, code, output + errors)
        self.assertEqual(len(errors.splitlines()), 1, errors)
        self.assertTrue(errors.startswith(f"{script}: "), errors)
        for word in words:
            self.assertIn(word, errors)

    def test_shellcheck_finds_nothing(self):
        files = [*(K3S / name for name in [*SCRIPTS, "lib.sh"]), *CHART.glob("files/*.sh")]
        files += [file for file in (ROOT / "docker").iterdir() if file.read_bytes().startswith(b"#!/usr/bin/env bash")]
        files += [ROOT / "tests/chart" / name for name in ("run", "fetch-helm")]
        files += [ROOT / "tests/cluster" / name for name in ("build", "down", "images", "make-keys", "run", "up")]
        for file in files:
            done = subprocess.run(["shellcheck", "-x", "-s", "bash", file.name], capture_output=True, text=True, cwd=file.parent)
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_help_names_every_option(self):
        for script in SCRIPTS:
            status, output, _ = self.run_script(script, "--help")
            self.assertEqual(status, 0)
            for option in re.findall(r"^    (--[a-z-]+)\)", (K3S / script).read_text(), re.MULTILINE):
                self.assertIn(option, output, script)
            self.assertIn("--dry-run", output, script)

    def test_a_dry_run_prints_the_commands_and_runs_none(self):
        expected = {
            "up": ["docker run", "--network host", "--privileged", "--disable traefik", "rancher/k3s:v1."],
            "kubeconfig": ["docker cp", "chmod 600"],
            "storage": ["kubectl --namespace kube-system rollout status", "is-default-class=true"],
            "join": ["docker run", "agent --server https://efd.example.org:6443", "--token-file /token"],
            "ingress": ["helm upgrade --install nginx oci://", "--version"],
            "deploy": ["helm upgrade --install efd", "--wait", "helm test efd"],
            "forward": ["port-forward service/efd-gateway 9180", "port-forward service/efd-sink-main 9183"],
            "down": ["docker rm --force efd-k3s"],
        }
        for script in SCRIPTS:
            status, output, errors = self.run_script(script, "--dry-run", *REQUIRED.get(script, []))
            self.assertEqual((status, errors), (0, ""), script)
            commands = "\n".join(line for line in output.splitlines() if line.startswith("+ "))
            for words in expected[script]:
                self.assertIn(words, commands, script)
        self.assertEqual(set(self.calls.read_text().splitlines()), {"docker version"})
        self.assertFalse((self.folder / "kubeconfig").exists())

    def test_a_dry_run_names_what_is_missing(self):
        for name in ("docker", "kubectl", "helm"):
            (self.bin / name).unlink()
        for script in SCRIPTS:
            status, output, errors = self.run_script(script, "--dry-run", *REQUIRED.get(script, []))
            self.assertEqual((status, errors), (0, ""), script)
            self.assertRegex(output, r"# missing: (docker|kubectl|helm) is not installed", script)

    def test_a_missing_requirement_is_refused_in_one_line(self):
        (self.folder / "token").write_text("t")
        self.stand_in("docker", "#!/bin/bash\nexit 1\n")
        for script in ("up", "kubeconfig", "join", "down"):
            self.refused(["Docker daemon does not answer"], script, *REQUIRED.get(script, []))
        (self.bin / "docker").unlink()
        for script in ("up", "kubeconfig", "join", "down"):
            self.refused(["docker is not installed"], script, *REQUIRED.get(script, []))
        for script in ("storage", "ingress", "deploy", "forward"):
            self.refused(["no kubeconfig", "helm/k3s/kubeconfig"], script)
        (self.folder / "kubeconfig").touch()
        self.stand_in("kubectl", "#!/bin/bash\nexit 1\n")
        for script in ("storage", "ingress", "deploy", "forward"):
            self.refused(["does not answer", "helm/k3s/up"], script)
        (self.bin / "helm").unlink()
        for script in ("ingress", "deploy"):
            self.refused(["helm is not installed"], script)

    def test_another_system_is_refused(self):
        self.stand_in("uname", "#!/bin/bash\necho Darwin\n")
        self.refused(["only on Linux", "Darwin"], "up")

    def test_a_used_port_is_refused(self):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", 6443))
                listener.listen()
            except OSError:
                pass  # Somebody else has it, which serves as well.
            self.refused(["port 6443 is in use"], "up", "--data", self.folder)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("unshare"), "needs root to hide the cgroups")
    def test_a_kernel_without_cgroups_is_refused(self):
        hide = [shutil.which("unshare"), "--mount", shutil.which("sh"), "-c"]
        hide.append(f"{shutil.which('mount')} -t tmpfs none /sys/fs/cgroup && exec \"$0\" \"$@\"")
        self.refused(["no cgroups"], "up", before=hide)

    def test_wrong_arguments_are_refused(self):
        for script in SCRIPTS:
            self.refused(["unknown option --wrong", "--help"], script, "--wrong", code=64)
        self.refused(["--data needs a value"], "up", "--data", code=64)
        self.refused(["--data volumes is not an absolute path"], "up", "--data", "volumes")
        self.refused(["--server is missing"], "join")
        self.refused(["--token-file is missing"], "join", "--server", "x")
        self.refused(["--token-file none is not there"], "join", "--server", "x", "--token-file", "none")
        self.refused(["--values none.yaml is not there"], "deploy", "--values", "none.yaml")
        self.refused(["--delete-data / "], "down", "--delete-data", "/")
        self.refused(["run", "helm/k3s/up first"], "kubeconfig")

    def test_up_kubeconfig_and_down_can_be_run_twice(self):
        for port in (6443, 10250):
            with socket.socket() as listener:
                try:
                    listener.bind(("127.0.0.1", port))
                except OSError:
                    self.skipTest(f"port {port} of this machine is in use")
        data = self.folder / "data"
        for _ in range(2):
            status, output, errors = self.run_script("up", "--data", data, "--address", "efd.example.org")
            self.assertEqual(status, 0, errors)
        self.assertIn("runs already", output)
        started = [line for line in self.calls.read_text().splitlines() if line.startswith("docker run")]
        self.assertEqual(len(started), 1)
        self.assertIn("--tls-san efd.example.org", started[0])
        self.assertTrue((data / "volumes").is_dir())

        for _ in range(2):
            status, _, errors = self.run_script("kubeconfig", "--address", "efd.example.org")
            self.assertEqual(status, 0, errors)
        written = self.folder / "kubeconfig"
        self.assertEqual(written.read_text(), "server: https://efd.example.org:6443\n")
        self.assertEqual(written.stat().st_mode & 0o777, 0o600)

        for _ in range(2):
            status, output, errors = self.run_script("down")
            self.assertEqual(status, 0, errors)
        self.assertIn("efd-k3s is not there", output)
        self.assertTrue((data / "volumes").is_dir(), "data goes only when it is named")
        self.assertEqual(self.run_script("down", "--delete-data", data)[0], 0)
        self.assertFalse((data / "volumes").exists())

    def test_deploy_hands_on_its_values(self):
        (self.folder / "kubeconfig").touch()
        (self.folder / "site.yaml").write_text("{}")
        self.assertEqual(self.run_script("deploy", "--values", "site.yaml", "--namespace", "test")[0], 0)
        calls = self.calls.read_text()
        self.assertRegex(calls, r"helm upgrade --install efd \S+/helm/efd --namespace test .*--values site.yaml --wait")
        self.assertIn("helm test efd --namespace test --logs", calls)

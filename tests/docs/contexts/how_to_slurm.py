"""The script of the page is one that a shell reads."""

import subprocess


def check_the_script(names):
    script = names["script"]
    assert "#SBATCH --array=0-7\n" in script and "#SBATCH --gpus-per-node=2\n" in script
    assert "db.example.org" not in script
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


CHECKS = {"sbatch_script(": check_the_script}

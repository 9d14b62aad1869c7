"""`optuna-snn submit` where SLURM's programs are stand-ins that write down what they are given."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path

import optuna
import pytest
from sqlalchemy.engine import make_url
from submitit.helpers import DelayedSubmission

from optuna_snn.cli import main
from optuna_snn.cli import submit as cli_submit
from optuna_snn.cli.submit import submit_from_run
from optuna_snn.launchers.slurm import SlurmResources
from optuna_snn.launchers.slurm import submission as submission_module
from optuna_snn.launchers.slurm.submission import Submission, submit_study
from optuna_snn.launchers.slurm.task import SupervisedTask
from optuna_snn.workers import open_storage
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.retry import DEFAULT_MAX_RETRY
from optuna_snn.workers.run_settings import RunSettings

SECRET_URL = "postgresql+psycopg2://user:secret@db.example.org/optuna"

SBATCH = """#!/bin/sh
cp "$1" {folder}/submitted.sh
echo "$@" >> {folder}/arguments
echo "Submitted batch job 12"
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of stand-ins, where `submitted.sh` is what sbatch was given last."""
    folder = tmp_path / "bin"
    folder.mkdir()
    write_program(folder / "srun", "#!/bin/sh\n")
    write_program(folder / "sbatch", SBATCH.format(folder=folder))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def submission_folder(study_file: Path) -> Path:
    (folder,) = (study_file.parent / "study-logs" / "slurm").iterdir()
    return folder


def error_line(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line.removeprefix("error: ")


def test_a_submission_says_what_it_did_and_how_to_watch_and_to_stop(
    slurm: Path, study_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["submit", "study.py", "--storage", "study.db", "--n-trials", "30", "--gpus", "2"]
    assert main([*words, "--slots", "2", "--max-timeouts", "7"]) == 0
    out, err = capsys.readouterr()
    for part in (
        "job 12: 1 task of 4 workers on GPUs (2)",
        "study in sqlite:///",
        "until it has 30 trials",
        "squeue --job 12",
        "optuna-snn report study.py",
        "scancel --state=PENDING 12; scancel --signal=TERM 12",
        "at most 7 times",
        str(submission_folder(study_file)),
    ):
        assert part in out
    assert "do not submit the study again while this runs" in err


def test_the_job_asks_slurm_for_what_was_said(slurm: Path, study_file: Path) -> None:
    options = [
        "--array-size", "4", "--parallel", "2", "--partition", "gpu", "--account", "lab",
        "--qos", "long", "--constraint", "a100", "--gpus", "a100:2", "--cpus", "6",
        "--memory", "16G", "--time", "1:30:30", "--stop-grace", "50", "--sbatch", "nice=100",
        "--sbatch", "exclusive", "--setup", "module load cuda", "--setup", "ulimit -n 4096",
        "--storage", "journal:///study.log", "--study-name", "it's mine",
    ]  # fmt: skip
    assert main(["submit", "study.py", *options]) == 0
    lines = (slurm / "submitted.sh").read_text().splitlines()
    for option in (
        "array=0-3%2", "partition=gpu", "account=lab", "qos=long", "constraint=a100",
        "gpus-per-node=a100:2", "cpus-per-task=6", "mem=16G", "time=91", "signal=USR2@150",
        "nice=100", "exclusive", "requeue", "open-mode=append", """job-name='it'"'"'s mine'""",
    ):  # fmt: skip
        assert f"#SBATCH --{option}" in lines
    assert not any("wckey" in line for line in lines)
    setup = lines.index("module load cuda")
    assert lines[setup + 1] == "ulimit -n 4096"
    command = next(line for line in lines if line.startswith("srun"))
    assert "--cpus-per-task=6" in command and lines.index(command) > setup


def test_tasks_find_the_study_created_and_all_they_need_from_any_folder(
    slurm: Path, study_file: Path, tmp_path: Path
) -> None:
    options = ["--storage", "study.db", "--n-trials", "30", "--trial-timeout", "9"]
    assert main(["submit", "study.py", *options]) == 0
    assert optuna.get_all_study_names(open_storage("study.db")) == ["study"]
    (pickled,) = submission_folder(study_file).glob("12_submitted.pkl")
    delayed = DelayedSubmission.load(pickled)
    settings = delayed.function._settings
    assert settings.study_file == tmp_path / "study.py"
    assert settings.storage == f"sqlite:///{tmp_path / 'study.db'}"
    assert (settings.n_trials, settings.trial_timeout_s) == (30, 9.0)
    assert delayed._timeout_countdown == cli_submit.DEFAULT_MAX_TIMEOUTS
    assert delayed._timeout_min == 24 * 60


def test_the_password_is_in_files_that_only_the_user_can_reach(
    slurm: Path, study_file: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    password = make_url(str(postgres_url)).password
    assert password
    monkeypatch.setenv("OPTUNA_SNN_STORAGE", str(postgres_url))
    former = os.umask(0)
    try:
        assert main(["submit", "study.py", "--array-size", "2"]) == 0
        assert main(["submit", "study.py", "--print-script"]) == 0
    finally:
        os.umask(former)
    folder = submission_folder(study_file)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    holders = [path.name for path in folder.iterdir() if password in path.read_text("latin-1")]
    assert sorted(holders) == ["12_0_submitted.pkl", "12_1_submitted.pkl"]
    assert password not in (slurm / "arguments").read_text()
    assert password not in "".join(capsys.readouterr())


def test_nothing_that_is_printed_of_a_submission_shows_a_password(study_file: Path) -> None:
    settings = RunSettings(study_file, SECRET_URL, n_trials=1)
    submission = Submission(
        "12", study_name="s", url=SECRET_URL, array_size=1, log_folder=Path(), warnings=[]
    )
    task = SupervisedTask(settings, devices=["cpu"], n_slots=1, notice_s=120.0)
    assert "secret" not in f"{settings!r} {submission!r} {task!r}"


def test_two_submissions_of_one_second_have_folders_of_their_own(
    slurm: Path, study_file: Path
) -> None:
    settings = RunSettings(study_file, "study.db", n_trials=1)
    submissions = [submit_study(settings, SlurmResources()) for _ in range(3)]
    assert len({submission.log_folder for submission in submissions}) == 3


def test_what_slurm_refuses_is_told_in_its_own_words(
    slurm: Path, study_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = r"sbatch: error: invalid partition: no\nsbatch: error: Batch job failed\n"
    write_program(slurm / "sbatch", f"#!/bin/sh\nprintf '{refusal}' >&2\nexit 1\n")
    line = error_line(capsys, "submit", "study.py", "--storage", "study.db", "-p", "no")
    assert line == "SLURM refuses the job: invalid partition: no; Batch job failed"
    assert not list(Path("study-logs/slurm").iterdir())  # no password is left behind


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            (),
            "the tasks of a job share a database; start one that the nodes can reach, optuna-snn",
        ),
        (("--storage", "study.db", "--array-size", "2"), "the SQLite file .* cannot be shared"),
        (("--storage", "study.db", "--time", "2"), "--time 2 is too short"),
        (("--storage", "study.db", "--time", "x"), "--time 'x' is no time"),
        (("--storage", "study.db", "--gpus", "x"), "--gpus 'x' is no number"),
        (("--storage", "study.db", "--sbatch", "time=3"), "--sbatch time: use --time"),
        (("--storage", "study.db", "--array-size", "0"), ".*--array-size"),
        (("--storage", "study.db", "--log-folder", "study.py"), "the log folder study.py cannot"),
        (("--storage", "study.db", "--log-folder", "50%j"), "the log folder .*50%j has a %"),
        (("--print-script", "--max-timeouts", "3"), "--max-timeouts means nothing to --print-"),
    ],
)
def test_errors_name_the_way_out_and_submit_nothing(
    slurm: Path, study_file: Path, capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...], message: str,
) -> None:  # fmt: skip
    assert re.match(message, error_line(capsys, "submit", "study.py", *words))
    assert not (slurm / "submitted.sh").exists()


def test_a_study_file_that_does_not_load_is_told_before_anything_is_submitted(
    slurm: Path, study_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study_file.write_text("objective = 3")
    for words in ((), ("--print-script",)):
        line = error_line(capsys, "submit", "study.py", "--storage", "study.db", *words)
        assert "defines no function objective" in line
    assert not (slurm / "submitted.sh").exists()


def test_without_slurm_the_way_out_is_named(
    study_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    line = error_line(capsys, "submit", "study.py", "--storage", "study.db")
    assert line.startswith("there is no SLURM here") and "--print-script" in line
    assert not Path("study.db").exists()


def test_a_machine_with_srun_alone_cannot_submit(
    slurm: Path, study_file: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (slurm / "sbatch").unlink()
    monkeypatch.setenv("PATH", str(slurm))
    line = error_line(capsys, "submit", "study.py", "--storage", "study.db")
    assert line.startswith("there is no SLURM here (no program sbatch in PATH)")


def test_without_submitit_the_extra_is_named(
    study_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    line = error_line(capsys, "submit", "study.py", "--storage", "study.db")
    assert "pip install 'optuna-snn[slurm]'" in line


def test_the_printed_script_is_all_of_standard_output(
    study_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It needs neither SLURM nor a database, and creates only the folder of its logs."""
    assert main(["submit", "study.py", "--print-script", "--array-size", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("#!/bin/bash\n") and "#SBATCH --array=0-2\n" in out
    assert f"run {study_file} --n-trials" in out
    assert err.startswith("before sbatch: the tasks of a job share a database")
    made = {path.name for path in study_file.parent.iterdir()} - {"__pycache__"}
    assert made == {"study.py", "study-logs"}
    assert Path("study-logs/slurm").is_dir()


def test_a_storage_that_the_printed_script_will_miss_is_told_without_its_password(
    study_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["submit", "study.py", "--print-script"]
    assert main([*words, "--storage", SECRET_URL]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("before sbatch: export OPTUNA_SNN_STORAGE with what you wrote")
    assert "secret" not in out + err
    monkeypatch.setenv("OPTUNA_SNN_STORAGE", SECRET_URL)
    assert main(words) == 0
    assert capsys.readouterr().err == ""


def test_what_is_asked_for_is_not_overridden_by_the_shell(
    slurm: Path, study_file: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name in ("PARTITION", "TIMELIMIT", "NO_REQUEUE", "ACCOUNT"):
        monkeypatch.setenv(f"SBATCH_{name}", "1")
    write_program(slurm / "sbatch", f"{SBATCH}env > {{folder}}/shell\n".format(folder=slurm))
    words = ["submit", "study.py", "--storage", "study.db", "--partition", "gpu"]
    assert main(words) == 0
    seen = re.findall(r"^SBATCH_(\w+)", (slurm / "shell").read_text(), re.MULTILINE)
    assert seen == ["ACCOUNT"]  # nothing else was asked for
    assert os.environ["SBATCH_PARTITION"] == "1"
    capsys.readouterr()
    assert main([*words, "--print-script"]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "sbatch follows" in line]
    assert "SBATCH_TIMELIMIT, SBATCH_PARTITION, SBATCH_NO_REQUEUE of the shell" in line


def test_run_submits_with_the_defaults(
    slurm: Path, study_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = RunSettings(study_file, "journal:///study.log", n_trials=5)
    assert submit_from_run(settings, n_workers=3, devices=None, n_slots=None) == 0
    out = capsys.readouterr().out
    assert "job 12: 3 tasks of 1 worker" in out
    assert "optuna-snn submit has them" in out
    assert "#SBATCH --array=0-2%3" in (slurm / "submitted.sh").read_text()
    with pytest.raises(RunError, match="use optuna-snn submit with --gpus"):
        submit_from_run(settings, n_workers=3, devices="all", n_slots=None)


def test_the_defaults_of_the_command_are_those_of_the_launcher() -> None:
    assert cli_submit.DEFAULT_TIME == SlurmResources().time
    assert cli_submit.DEFAULT_MAX_TIMEOUTS == submission_module.DEFAULT_MAX_TIMEOUTS
    assert DEFAULT_MAX_RETRY < cli_submit.DEFAULT_MAX_TIMEOUTS  # studies outlast trials

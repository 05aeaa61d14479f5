"""The commands that make a run again, and what they need to do so."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from coevo.report.content import Page
from coevo.search.folder import without_none

BUDGETS = ("trials", "seconds", "cost_s")
EVERY_ALGORITHM = ("algorithm", *BUDGETS, "seed", "lag", "deterministic")
END = "END-OF-EXPERIMENT"


def experiment_toml(config: Mapping[str, Any], told: int = 0) -> str:
    """The experiment file that gives this run again: what run.toml holds, without what it merely records. A run whose
    budget was given in Python gets the number of trials it told."""
    import tomli_w

    if told and not has_budget(config):
        config = {**config, "search": {"trials": told, **config.get("search", {})}}
    kept = {
        name: config[name]
        for name in ("problem", "options", "objectives", "constraints", "search", "run")
        if config.get(name)
    }
    return tomli_w.dumps(without_none(kept))


def has_budget(config: Mapping[str, Any]) -> bool:
    """Whether run.toml says how long to search."""
    return any(config.get("search", {}).get(name) is not None for name in BUDGETS)


def control_commands(config: Mapping[str, Any], folder: Path, told: int = 0) -> str:
    """Shell lines that search the same problem at random with the same budget, beside the run's folder."""
    search = {name: value for name, value in config.get("search", {}).items() if name in EVERY_ALGORITHM}
    run = {**config.get("run", {}), "export": "none"}
    text = experiment_toml({**config, "search": {**search, "algorithm": "random"}, "run": run}, told)
    name = f"{folder.name}-random"
    return _lines(text, f"{name}.toml", f"--out {shlex.quote(str(folder.parent / name))}")


def commands(toml: str) -> str:
    """Shell lines that write the experiment file and run it."""
    return _lines(toml, "experiment.toml", "")


def _lines(toml: str, file: str, more: str) -> str:
    return f"cat > {shlex.quote(file)} <<'{END}'\n{toml.rstrip()}\n{END}\n" + (
        f"coevo run {shlex.quote(file)} {more}".strip() + "\n"
    )


def block(text: str) -> str:
    """Text to copy, with a button that does."""
    return f'<div class="copy"><button type="button" data-copy>copy</button><pre>{escape(text.rstrip())}</pre></div>'


def section(page: Page) -> str:
    """The page's section: which version, which commands, which environment."""
    evaluators = dict.fromkeys(trial.evaluator for trial in page.table.trials)
    facts = [("Evaluators", ", ".join(evaluators)), *_flat(page.env)]
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts if text)
    warnings = "".join(f'<li class="warning">{escape(text)}</li>' for text in _warnings(page))
    return (
        f"<p>{escape(_version(page.env))} {escape(_promise(page.config))}</p>"
        f"{f'<ul class=notes>{warnings}</ul>' if warnings else ''}{block(commands(page.toml))}"
        f'<details><summary>Where it ran</summary><dl class="facts">{listed}</dl></details>'
    )


def _version(env: Mapping[str, Any]) -> str:
    version, commit = env.get("packages", {}).get("coevo"), env.get("commit")
    text = f"This run was made by coevo {version}" if version else "This run was made by a coevo of unknown version"
    return f"{text}, commit {str(commit).rstrip('+')}." if commit else f"{text}."


def _promise(config: Mapping[str, Any]) -> str:
    if config.get("search", {}).get("deterministic", True):
        return "Paste this to run the same search again. Equal outcomes give equal designs, with any number of workers."
    return (
        "Paste this to run a search like it. It ran in throughput mode, where a design depends on which outcomes had "
        "come by then, so another run finds other designs."
    )


def _warnings(page: Page) -> list[str]:
    found = []
    if str(page.env.get("commit") or "").endswith("+"):
        found.append("The tree had changes that are in no commit, so the commit alone does not give this run again.")
    if not has_budget(page.config):
        found.append("Its budget was given in Python and is not recorded; the trials below are those that were told.")
    problem = str(page.config.get("problem", ""))
    if page.loaded is False:
        found.append(
            f"The command looks for a problem named {problem!r}. It could not be loaded here: where the run came from "
            "Python, name its problem as module:attribute."
        )
    return found


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in data.items():
        if isinstance(value, Mapping) and not prefix:
            yield from _flat(value, f"{name} ")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

"""The studio of an experiment's options."""

from __future__ import annotations

from pathlib import Path

from coevo.spaces.sana.judging.painter import Painter
from coevo.spaces.sana.judging.recovering import Losses, recovery_recipe
from coevo.spaces.sana.judging.scoring import Judging
from coevo.spaces.sana.judging.studio import Studio
from coevo.spaces.sana.judging.weights import Inherited, load_weights
from coevo.spaces.sana.scaling.verifiers import LearnedVerifier
from coevo.spaces.sana.setting import Setting
from coevo.supernets.checkpoints import check_weights, read_tensors
from coevo.supernets.reproducibility import seed_of


def new_net(setting: Setting, seed: int) -> Inherited:
    """Untrained, on the setting's device."""
    found = Inherited(setting.bounds, setting.source, seed, setting.options.model.encoder_layers)
    return found.to(setting.device())


def open_studio(setting: Setting, weights: Path, verifier: Path, seed: int) -> Studio:
    """From the weights that were prepared. InputError where they are damaged, or of another width, depth or space."""
    net = load_weights(new_net(setting, seed), weights)
    return studio_around(setting, net, load_verifier(setting, verifier), seed)


def load_verifier(setting: Setting, path: Path) -> LearnedVerifier:
    """The trained one. InputError where the file is damaged or of another width."""
    found, weights = setting.new_verifier(0), read_tensors(path)
    check_weights(found, weights, str(path))
    found.load_state_dict(weights)
    return found.eval()


def studio_around(setting: Setting, net: Inherited, verifier: LearnedVerifier, seed: int) -> Studio:
    """From weights at hand; everything in it belongs to the search, nothing to an export."""
    options, training = setting.options, setting.options.training
    painter = painter_of(setting, net)
    noise = seed_of(options.judging.seed, "search")
    losses = Losses(net, painter, setting.scenes("search"), draws=options.judging.loss_draws, seed=noise)
    prompts = setting.suites.search
    judging = Judging(painter, prompts, verifier.score, rounds=options.judging.rounds, seed=noise)
    recipe = recovery_recipe(setting.recipe(seed), training.recovery_steps, training.recovery_rate, seed)
    return Studio(net, painter, setting.scenes("train"), losses, judging, recipe, training.batch)


def painter_of(setting: Setting, net: Inherited) -> Painter:
    """Who draws with the net's encoder."""
    return Painter(net.captions, setting.codec, setting.options.data.size_px, setting.precision())

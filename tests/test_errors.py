"""What a person sees when it goes wrong: one message that says what came and what to do next.

A row is what was done, a part of what is said, and the exit code where that is not 2. What other
tests hold, by the words of its message, is not here again; the last test counts that none is left
out.
"""

import ast
import collections
import importlib.util
import io
import json
import pathlib
import re
import shlex
import sys
import warnings
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lab
from jaxopt_lab import (
    cli,
    compat,
    data,
    extended,
    linear,
    load_config,
    losses,
    nn,
    optimizers,
    schedules,
    testing,
)
from jaxopt_lab.config.build import build
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.memory import require_memory
from jaxopt_lab.core.png import png_of
from jaxopt_lab.core.ranges import require_number
from jaxopt_lab.core.registry import lookup
from jaxopt_lab.core.safetensors import write_safetensors
from jaxopt_lab.data.columns import table_of
from jaxopt_lab.data.encoding import encode
from jaxopt_lab.data.splitting import split
from jaxopt_lab.data.tables import find_columns, stream_columns
from jaxopt_lab.diagnostics import bias_variance, top_eigenvalues
from jaxopt_lab.linear import best_strength
from jaxopt_lab.run.commands.doctor import Finding
from jaxopt_lab.run.process import exit_codes
from jaxopt_lab.run.records.difference import Difference
from jaxopt_lab.run.records.folder import new_folder, require_name
from jaxopt_lab.run.records.json_file import read_json
from jaxopt_lab.run.records.soundness import Fault

CONFIG = """
[data]
name = "digits"
train_size = 100
[model]
name = "mlp"
hidden = [4]
[optimizer]
name = "adam"
learning_rate = 0.01
[train]
epochs = 1
"""
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 2 2\n%%EndComments\nshowpage\n%%EOF\n"
FILES = {
    "c.toml": CONFIG,
    "empty.toml": "",
    "no.toml": "[data\n",
    "deep.toml": f"x = {'[' * 40}{']' * 40}\n",
    "linear.toml": '[data]\nname = "digits"\n[linear]\nname = "ridge"\nlam = 0.1\n',
    "sweep.toml": CONFIG + "[sweep]\nseeds = 2\n",
    "t.csv": "a,b,y\n" + "".join(f"{i},{i % 3},{'uv'[i % 2]}\n" for i in range(20)),
    "two.csv": "a,y\n1,u\n2,v\n",
    "mixed.csv": "a,b,y\n1,x,0.5\n2,y,1.5\n3,x,2.5\n",
    "module.py": "EXTEND = {'model': [lambda outputs: None]}\n",
    "raises.py": "raise OSError('no way')\n",
    "text.txt": "not a program",
    "a.safetensors": "not one either",
    "words.jsonl": '["a", "b"]\n',
    "ragged.jsonl": "[[1, 2], [3]]\n",
    "named.jsonl": '{"z": 1}\n',
    "table.toml": CONFIG.replace(
        'name = "digits"\ntrain_size = 100',
        'name = "table"\npath = "t.csv"\ntarget = "y"\nbatch_size = 4',
    ),
    "numbers.toml": CONFIG.replace(
        'name = "digits"\ntrain_size = 100', 'name = "table"\npath = "mixed.csv"\ntarget = "y"'
    ),
}


def dry(*changes, config="c.toml"):
    """A dry run, with what `--set` changes."""
    sets = [word for change in changes for word in ("--set", change)]
    return ["train", config, "--dry-run", *sets]


def words(line):
    return shlex.split(line)


# What was typed, a part of what is said, and the exit code where it is not 2.
TYPED = [
    # no command, no option, no file
    ("", "the following arguments are required: COMMAND; `jaxopt-lab --help` says what each does"),
    ("trian c.toml", "invalid choice: 'trian' (choose from "),
    ("trian c.toml", "'completion'), did you mean 'train'?"),
    ("train --config c.toml", "CONFIG is given as it is, with no option before it"),
    ("train c.toml --rundir a", "unrecognized arguments: --rundir a, did you mean '--run-dir'?"),
    ("train c.toml --lr 3", "is changed by --set optimizer.learning_rate=3e-4"),
    ("verify a --jsno", "did you mean '--json'?"),
    ("train c.toml c.toml", "unrecognized arguments: c.toml"),
    ("train c.toml --devices two", "argument --devices: invalid int value: 'two'"),
    ("train c.toml --run-dir", "argument --run-dir: expected one argument"),
    ("predict run x.npy --format xml", "invalid choice: 'xml'"),
    ("prune runs", "the following arguments are required: --keep"),
    ("train", "give a CONFIG, or the folder of a run with --resume"),
    ("train gone.toml", "gone.toml: no such file; give the path of a TOML configuration"),
    ("train sweap.toml", "give the path of a TOML configuration, did you mean 'sweep.toml'?"),
    ("train digits_mpl", "or the name of one that ships, did you mean 'digits_mlp'? (`jaxopt-lab"),
    ("train .", ".: a folder; give the path of a TOML file in it"),
    (
        "configs --copy digits_mpl",
        "no configuration 'digits_mpl' ships, did you mean 'digits_mlp'?",
    ),
    ("train no.toml", "no.toml: not TOML: Expected ']' at the end of a table declaration"),
    ("train deep.toml", "tables or lists are more than 32 deep within each other"),
    ("train empty.toml", "empty; a run needs [data], [model], [optimizer], [train]"),
    ("train huge.toml", "1,000,000,000 bytes, more than a configuration has (10,000,000)"),
    ("train linear.toml", "has [linear]; solve it with: jaxopt-lab linear CONFIG"),
    ("linear c.toml", "c.toml: has [model]; train it with: jaxopt-lab train CONFIG"),
    ("train sweep.toml", "has [sweep]; run it with: jaxopt-lab sweep CONFIG"),
    ("show-data c.toml --set data.batch_size=0", "data.batch_size: "),
    ("predict solved x.npy", "holds a solved linear model, model.npz, and no run"),
    ("show-data c.toml --set data.name=cifar10 --data-dir pickled", "cifar-10-binary.tar.gz"),
    ("show-data empty.toml", "data: missing; [data] names a data set"),
    ("train c.toml --process-id 1", "go with --distributed: add it, or leave them out"),
    ("train c.toml --from-step 3", "train: --from-step 3 goes with --resume RUN: name the run"),
    ("train c.toml --mesh shard=ful", "mesh.shard: "),
    ("predict runs x.npy --best 2", "--best 2 goes with --ensemble: add it, or leave it out"),
    ("find-lr c.toml --low 1 --high 0.1", "needs 0 < low < high"),
    ("find-lr c.toml --steps 2", "needs steps >= 10 up to "),
    ("find-lr c.toml --seeds 2 --set seed=4294967295", "go past 4294967295; begin with a smaller"),
    ("find-lr c.toml --output a.pdf", "find-lr: a.pdf must name a .png file"),
    ("landscape run --points 1", "landscape: needs "),
    ("landscape run --output gone/a.png", "gone is no folder; make it, or give another"),
    ("compare a b --output a.txt", "compare: a.txt must name an .html file"),
    ("train c.toml --run-dir 'a run'", "continue it with --resume 'a run', or give another"),
    ("landscape .", "landscape: . is a sweep: train one of its runs by itself, the best by "),
    ("compare c.toml", "compare: give two runs or more, got 1"),
    ("show-augment c.toml", "the configuration has no [[augment]], nothing to draw"),
    ("list optimisers", "list: unknown family 'optimisers', did you mean 'optimizer'?"),
    ("prune . --keep some", "prune: --keep must be best, last or a number >= 1, got some"),
    ("train c.toml --module gone.py", "--module gone.py: there is no such file"),
    ("train c.toml --module text.txt", "--module text.txt: is no Python file, NAME.py"),
    ("train c.toml --module raises.py", "raises.py:1: OSError: no way"),
    ("train c.toml --module module.py", "'<lambda>' is no name: give it one"),
    ("train c.toml --run-dir text.txt", "text.txt is a file: give a folder for the run"),
    ("train c.toml --run-dir text.txt/a", "text.txt/a cannot be a run folder: Not a directory"),
    ("train c.toml --backup here/in --run-dir here", "would be copied into itself"),
    ("train --resume gone", "gone holds no run to resume"),
    ("verify gone", "gone is no folder: give the folder that --run-dir named"),
    ("runs gone", "gone is no folder; give the one that holds the runs"),
    ("predict gone x.npy", "gone holds no run"),
    ("linear empty.toml", "linear: missing; a linear model needs [data], [linear]"),
    ("linear linear.toml --set data.validation=0.99999", "data.validation"),
    ("linear linear.toml --set linear.lam=[0.1,1.0] --set data.validation=0", "data.validation"),
    (
        "linear linear.toml --set features.name=polynomial --set features.degree=4",
        "features: ",
    ),
    # what is changed on the command line
    ("train c.toml --set seed", "--set seed: expected table.key=value"),
    ("train c.toml --set model.hidden=[1", "'[1' is no TOML value"),
    ("train c.toml --set seed=1 --set seed.a.b=1", "'seed' is a value, not a table"),
    (f"train c.toml --set seed={'[' * 40}{']' * 40}", "tables or lists are more than 32 deep"),
    ("train c.toml --unset", "argument --unset: expected one argument"),
    ("train c.toml --unset model.hiden", "there is no 'hiden' in [model], did you mean 'hidden'?"),
    ("sweep c.toml", 'seeds, or an axis, "table.key" = [] here or --grid table.key=[]'),
    ("sweep c.toml --grid seed=[1]", "--grid seed=[1]: expected table.key=values"),
    ("sweep sweep.toml --set sweep=3", "must be a table, [sweep], got 3"),
    ("sweep sweep.toml --set sweep.samples=3", "sweep.samples: needs axes to draw from"),
    ("sweep sweep.toml --set seed=4294967295", "2 seeds from 4294967295 go past 4294967295"),
    ("sweep sweep.toml --set sweep.seeds=1000000", "1,000,000 runs are more than "),
    ("sweep sweep.toml --set sweep.monitor=acuracy", "sweep.monitor: 'acuracy' is not measured"),
    ("sweep sweep.toml --set sweep.sedes=1", "sweep.sedes: unknown, did you mean 'seeds'?"),
]

# What a dry run says of a configuration.
CHANGED = [
    ("dat.name='x'", "dat: unknown, did you mean 'data'?"),
    ("learning_rate=1.0", "learning_rate: unknown, it is a key of [optimizer]; known here: "),
    ("optimizer.name='adma'", "unknown: 'adma', did you mean "),
    ("optimizer.learning_rate=-1", "optimizer.learning_rate: must be > 0, got -1"),
    ("optimizer.learning_rat=1", "optimizer.learning_rat: unknown, did you mean 'learning_rate'?"),
    ("train.epochs='many'", "train.epochs: must be a number > 0, got 'many'"),
    ("data.validation=1.5", "data.validation: must be in [0, 1), got 1.5"),
    ("data.train_size=100000", "data.train_size: 100000 is more than the "),
    ("train.microbatches=1000", "train.microbatches: 1,000 parts are more than the "),
    ("model.unit='maxout' model.pieces=2000000000", "model.pieces: of the widest layer are "),
    ("data.test=0.5", "data.test: 0.5 is a share of data without a test split"),
    ("data.batch_size=100000", "data.batch_size: "),
    ("train.epochs=1e12", "steps are more than a run can count"),
    ("train.evaluate_weights='mean'", "'mean' is no average of this run"),
    ("loss.name='squared_eror'", "loss.name: unknown: 'squared_eror', did you mean"),
    ("loss.name='poisson_nll'", "loss.name: poisson_nll is for "),
    ("loss.class_weights.eleven=2.0", "is no class; the classes are 0, 1, 2"),
    ("metric=[{name='accuracy'},{name='accuracy'}]", "accuracy is measured already; name each"),
    ("metric=[{name='top_k_accuracy',k=10}]", "needs outputs (B, K) of more than 10 classes"),
    ("control=[{name='early_stopping',monitor='val_los'}]", "'val_los' is not measured"),
    (
        "control=[{name='early_stopping',monitor='accuracy',mode='min'}]",
        "must be 'max' for accuracy, which is better when it is maximal",
    ),
    ("control=[{name='early_stopping'},{name='early_stopping'}]", "a run has one early_stopping"),
    ("control=[{name='snapshots'}]", "snapshots are taken where a cycle ends: it needs one"),
    (
        "schedule=[{name='constant',steps=100},{name='constant'}]",
        "begins at step 100, but the run ends at 1; shorten those before it",
    ),
    (
        "schedule.name='cosine_decay' schedule.peak=1.0 optimizer.name='adadelta_without'",
        "optimizer.name: unknown",
    ),
    ("group=[{match='Dense_9'}]", "group.0.match: 'Dense_9' matches none of "),
    ("group=[{match='Dense'},{match='Dense_0'}]", "matches only what groups before it have"),
    ("group=[{match='.',freeze=true}]", "freezes every parameter that there is"),
    (
        "group=[{match='Dense_0',weight_decay=0.1}] optimizer.name='sgd'",
        "group.0.weight_decay: sgd takes none; take one of ",
    ),
    (
        "optimizer.name='schedule_free_adamw' optimizer.layer_decay=0.5",
        "does not go with schedule_free_adamw, which averages the parameters themselves",
    ),
    ("start.from='gone'", "must be the folder of a run or a .safetensors file; "),
    ("start.from='.'", "is a sweep; give the folder of one run"),
    ("start.from='empty'", "is no folder of a run with a checkpoint: train it first"),
    ("start.from='a.safetensors' start.step=3", "start.step: is of a run's folder"),
    ("augment=[{name='augmix',depth=[3,1]}]", "augment.0.depth"),
    ("augment=[{name='gaussian_blur',min_sigma=3.0,max_sigma=1.0}]", "augment.0.min_sigma"),
    ("augment=[{name='random_erasing',min_share=0.5,max_share=0.1}]", "augment.0.min_share"),
    ("model.name='wide_resnet' model.depth=17", "model.depth: must be 6 n + 4"),
    ("model.name='resnet' model.depth=21", "model.depth: must be 6 n + 2"),
    ("schedule.name='one_cycle' schedule.rise=100", "schedule.rise: must be in [0, 1], got 100"),
    ("schedule.name='wsd' schedule.warmup=1 schedule.decay=100", "schedule.0.decay"),
    ("schedule.name='sgdr' schedule.cycle=2 schedule.warmup=3", "schedule"),
    ("mesh.shard='ful'", "mesh.shard"),
    ("loss.consistency=1.0", "loss.consistency: needs views of each sample"),
    ("model.norm='batch' data.batch_size=1", "take a larger data.batch_size, larger maps"),
    (
        "loss.consistency=1.0 augment=[{name='augmix'},{name='cutmix'}]",
        "compares views of one sample, which cutmix mixes with others; remove one",
    ),
]

OF_TABLES = [
    ("data.separator=';'", "is the separator another?"),
    ("data.missing='men'", "data.missing: must be 'refuse' or 'mean' or 'median', got 'men'"),
    ("data.target='z'", "there is no column 'z'; there: a, b, y"),
    ("data.target=['y','a']", "'y' holds text, expected numbers"),
    ("data.target=['a','b'] data.target_is='classes'", "classes are in one column, got 2"),
    ("data.path='gone.csv'", "gone.csv: no such file; give the path of a table"),
    ("data.path='text.txt'", "text.txt: "),
    ("augment=[{name='random_flip'}]", "random_flip needs images (H, W, C), the samples of table"),
    ("adversary.name='fgsm'", "adversary: fgsm needs images"),
]


class Plain:
    """A model that is no Linen module; one that fails where it is told to."""

    def __init__(self, fails=False):
        self.fails = fails

    def init(self, rngs, x, train=False):
        return {"params": {"w": jnp.zeros((64, 10))}}

    def apply(self, variables, x, train=False):
        if self.fails:
            raise RuntimeError("out of order")
        return x.reshape(len(x), -1) @ variables["params"]["w"]


def built(*changes, given=None, **own):
    """The experiment of a configuration, with names of one's own."""
    with jaxopt_lab.extended(own):
        return build(load_config("c.toml", changes), model=given)


def table(text, **options):
    pathlib.Path("made.csv").write_text(text)
    return data.table("made.csv", **{"target": "y"} | options)


def npz(**arrays):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names beyond latin-1
        np.savez("made.npz", **arrays)
    return data.npz("made.npz")


def begun(rename):
    arrays = {"a": np.zeros(2, np.float32), "b": np.zeros(2, np.float32)}
    write_safetensors(pathlib.Path("made.safetensors"), arrays, {})
    return load_config("c.toml", ["start.from='made.safetensors'", f"start.rename={rename}"])


def fails(*given, **named):
    raise RuntimeError("out of order")


def refuses(*given, **named):
    raise InputError("asked for too much")


def takes_config_key(outputs, name_of=1, *, dropout=0.0):
    return Plain()


class Failing(list):
    def __getitem__(self, i):
        raise RuntimeError("out of order")


KEY, IMAGES = jax.random.key(0), jnp.zeros((1, 8, 8, 1))
X, Y = np.zeros((6, 2), np.float32), np.arange(6) % 2
ROWS_OF_CSV = "a,b,y\n1,2,u\n3,4,v\n"


def fails_at(outputs, labels):
    raise RuntimeError("out of order")


def _fails(outputs):
    raise RuntimeError("out of order")


def _refuses(outputs):
    raise InputError("asked for too much")


def given_columns(values):
    columns = table(ROWS_OF_CSV).columns
    return encode(columns, *table_of(columns, values, "x"), missing=False)


def in_pieces(text):
    pathlib.Path("made.csv").write_text(text)
    return stream_columns(find_columns("made.csv"), ["a", "y"], 5)


def written(text):
    path = pathlib.Path("made.json")
    path.write_text(text)
    return path


def members():
    """An `.npz` by hand."""
    np.savez("made.npz", x=X, y=Y)
    return bytearray(pathlib.Path("made.npz").read_bytes())


def encrypted():
    raw = members()
    for place in [m.start() for m in re.finditer(b"PK\x01\x02", raw)]:
        raw[place + 8] |= 1
    pathlib.Path("made.npz").write_bytes(raw)
    return "made.npz"


def doubled():
    with zipfile.ZipFile("made.npz", "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            file.writestr("x.npy", b"")
    return "made.npz"


def cut():
    raw = members()
    raw[60:70] = bytes(10)
    pathlib.Path("made.npz").write_bytes(raw)
    return "made.npz"


def unvouched():
    buffer = io.BytesIO()
    np.save(buffer, X, allow_pickle=False)
    with zipfile.ZipFile("made.npz", "w") as file:
        file.writestr("x.npy", buffer.getvalue()[:-8])
    return "made.npz"


# A call in Python, and a part of what it raises.
IDENTITY = optax.identity()
CALLED = [
    (lambda: testing.check_transformation(3), "tx must be an optax transformation, or a function"),
    (
        lambda: testing.check_transformation(IDENTITY, {"b1": 0.9}),
        "arguments are a function's; a transformation that is made takes none, got {'b1': 0.9}",
    ),
    (
        lambda: testing.check_transformation(IDENTITY, extras=("values",)),
        "extras has no 'values', did you mean 'value'?; one of value, grad, ",
    ),
    (
        lambda: testing.check_transformation(IDENTITY, skip={"multi_step": "why"}),
        "skip has no promise 'multi_step', did you mean 'multi_steps'?; one of no_host_sync, ",
    ),
    (
        lambda: testing.check_transformation(IDENTITY, skip={"vmap": " "}),
        "skip must say why 'vmap' is left out, in words, got ' '",
    ),
    (lambda: testing.check_schedule(3), "schedule must be a function of the step, got 3"),
    (lambda: testing.check_schedule(len, steps=[-1]), "steps must be a list of whole numbers >= 0"),
    (lambda: testing.check_augmentation(3), "op must be a function of a key and an image, got 3"),
    (
        lambda: testing.check_augmentation(len, shape=(3, 3)),
        "shape must be (height, width, channels), each >= 1, got (3, 3)",
    ),
    (
        lambda: testing.check_model(object(), shape=(2, 5), outputs=4),
        "nn.as_model(...) makes that of an NNX or Equinox module",
    ),
    (
        lambda: testing.check_model(nn.mlp(3), shape=(1, 5), outputs=4),
        "shape must be that of a batch of two samples or more, (2, 28, 28, 1), got (1, 5)",
    ),
    (lambda: compat.torch.OneCycleLR(0.1), "total_steps must be given, or else both"),
    (lambda: compat.torch.SGD(0.1, nesterov=True), "SGD: nesterov "),
    (lambda: built("train.lsuv=true", given=Plain()), "train.lsuv: needs a Linen module"),
    (lambda: built(given=Plain(fails=True)), "RuntimeError: out of order; it needs init(rngs"),
    (lambda: built("model={name='fails'}", model_=[fails]), "unknown table 'model_', did you"),
    (lambda: extended({"penalty": {"mine": lambda: 0}}), "must take 1 arguments by position"),
    (lambda: extended({"data": {"mine": lambda batch_size: 0}}), "'batch_size' is a key of [data]"),
    (lambda: built("model={name='own'}", model={"own": _fails}), "model: own failed: "),
    (lambda: built("model={name='own'}", model={"own": _refuses}), "model: own: asked for too"),
    (lambda: built("loss.name='own'", loss={"own": fails_at}), "loss: own failed on outputs"),
    (
        lambda: built("augment=[{name='own'}]", augment={"own": lambda: fails}),
        "augment.0: own failed on an image uint8 (8, 8, 1): ",
    ),
    (
        lambda: built("augment=[{name='own'}]", augment={"own": lambda: lambda k, x: x[1:]}),
        "it makes uint8 (7, 8, 1), expected the same shape",
    ),
    (
        lambda: built(
            "optimizer={name='own'}", "schedule.name='constant'", optimizer={"own": lambda: 0}
        ),
        "own takes no learning rate: remove [schedule]",
    ),
    (
        lambda: built(
            "optimizer={name='nesterov',learning_rate=0.1,momentum={name='linear_decay',peak=2.0}}"
        ),
        "give the schedule another peak and other ends",
    ),
    (
        lambda: built(
            "optimizer.name='natural_gradient'",
            "loss.consistency=1.0",
            "augment=[{name='augmix'}]",
        ),
        "loss.consistency: has views of each sample, of which natural_gradient",
    ),
    (lambda: build(begun("[['a','b']]")), "start.rename: gives 'a' and 'b' one name"),
    (lambda: optimizers.adam(-1.0), "adam: learning_rate must be > 0, got -1"),
    (lambda: nn.Conv(4, (3, 3), backward="fast").init(KEY, IMAGES), "unknown backward 'fast'"),
    (lambda: lookup({"batch": 0}, "bach", "norm"), "unknown norm 'bach', did you mean 'batch'?"),
    (
        lambda: optimizers.adam(0.1).update(
            {"a": X, "b": X}, optimizers.adam(0.1).init({"a": X}), {"a": X}
        ),
        "a gradient and no parameter at ",
    ),
    (lambda: data.as_dataset(3), "got "),
    (lambda: data.as_dataset({"x": X, "z": Y}), "unknown 'z'"),
    (lambda: data.as_dataset(Failing([1, 2])), "RuntimeError: out of order"),
    (lambda: data.image_folder("pictures", group="("), "image_folder: group "),
    (
        lambda: data.image_folder("pictures", size=[1, 2, 3]),
        "must be [height, width] or one number",
    ),
    (lambda: table(ROWS_OF_CSV, missing="men"), "must be one of refuse, mean, median or a finite"),
    (lambda: table("a,y\n1,0.5\n2,1.5\n", target_is="classes"), "which are no classes: leave out"),
    (lambda: table("a,y\n1,0.5\n2,inf\n"), "is inf on line 3: leave this row out"),
    (lambda: table("a,y\n1,u\n2,\n"), "leave rows without a target out"),
    (lambda: table("a,y\n,u\n2,v\n"), "mend it, leave the column out, or missing = "),
    (lambda: table("a,y\n1,u\n2\n"), "line 3"),
    (lambda: npz(x=X, y=Y, z=Y), "made.npz: unknown 'z'"),
    (lambda: npz(x=X, y=Y, classes=np.array(["a", "a"])), "give each class its own name"),
    (
        lambda: npz(x=X, y=np.eye(6, 3, dtype=np.int32), classes=np.array(["a", "b"])),
        "2 classes name the 3 columns of y",
    ),
    (lambda: npz(x=np.zeros((6, 0)), y=Y), "holds samples without values"),
    (lambda: data.npz(encrypted()), "encrypted; write it again without a password"),
    (lambda: data.npz(doubled()), "holds x twice; write it again"),
    (lambda: data.npz(cut()), "write it again"),
    (lambda: npz(x=np.zeros((6, 1), [("日", "f4")]), y=Y), "save plain arrays"),
    (lambda: npz(x=np.asfortranarray(np.zeros((6, 2, 2))), y=Y), "numpy.ascontiguousarray(x)"),
    (lambda: data.npz(unvouched()), "the file has "),
    (
        lambda: split(data.as_dataset((X[:1], Y[:1].astype(float))), test=0.5),
        "leaves none to",
    ),
    (lambda: split(data.as_dataset((X, np.arange(6))), test=0.5), "the only one of its class"),
    (
        lambda: split(data.as_dataset({"x": X, "y": Y, "group": np.zeros(6, int)}), test=0.5),
        "cannot be drawn: all 6 rows are of one group, '0'",
    ),
    (lambda: data.mnist("empty"), "mnist: not found. It is never downloaded."),
    (lambda: require_memory("x", 2**60, 0.5, "take less"), "of this machine's memory"),
    (lambda: top_eigenvalues(None, X, KEY, k=3, iterations=1), "must be at least k, here 3"),
    (
        lambda: bias_variance(None, X, X, KEY, truth=X, loss="zero_one"),
        "is for the squared loss, got one with loss='zero_one': leave it out",
    ),
    (
        lambda: linear.fit(X, np.zeros(6, int), lam=0.1, loss="logistic"),
        "y holds class 0 only",
    ),
    (
        lambda: losses.logistic(jnp.zeros((2, 3)), jnp.zeros((2, 4))),
        "or one integer class a",
    ),
    (
        lambda: nn.resnet(10, zero_init=True, norm="none", weight_standardization="scaled"),
        "resnet: zero_init has no scale to start at zero without norm",
    ),
    (lambda: nn.GroupNorm(groups=-1), "GroupNorm: groups must be"),
    (lambda: schedules.join([schedules.constant(1.0)], [1]), "one fewer than the 1 schedules"),
    (
        lambda: schedules.one_cycle(10, rise=0.9, three_phase=True),
        "must be <= 0.5 where the way down is as long (three_phase), got 0.9",
    ),
    (lambda: schedules.step_decay(), "must be given, one of the two; neither is"),
    (lambda: require_number("dct", k=jnp.ones(())), "must be a number of Python, because shapes"),
    (lambda: nn.mlp(hidden=[4], classes=10), "mlp: classes was renamed outputs"),
    (lambda: linear.polynomial(jnp.ones((2, 99)), degree=9), "polynomial: degree 9 of 99 features"),
    (lambda: data.image_folder("roles"), "holds both val and valid: keep one"),
    (lambda: given_columns({"a": [1.0], "b": [1.0, 2.0]}), "x: no table: "),
    (lambda: given_columns({"a": [object()], "b": [1.0]}), "x: column 'a': "),
    (lambda: given_columns({"a": ["u"], "b": [1.0]}), "column 'a' holds string, expected numbers"),
    (lambda: table("a" * 200_000 + ",y\n1,u\n2,v\n"), "line 1: field larger than field limit"),
    (lambda: list(in_pieces("a,y\n1,u\n2\n")), "line 3 has 1 values, the header names 2"),
    (lambda: new_folder("a", pathlib.Path("text.txt")).__enter__(), "give another --run-dir"),
    (lambda: read_json(written("[1]")), "expected a JSON object, got a list"),
    (lambda: read_json(written("[" * 100_000)), "is damaged, no JSON: maximum"),
    (lambda: data.image_folder("programs", size=2), "EPS, which is a program and not an image"),
    (lambda: read_json(written("{")), "; put it back from a copy"),
    (lambda: read_json(pathlib.Path("empty")), "is no file: move it away, or put back a copy"),
    (lambda: require_name(""), "give the name of a folder for the run, got ''"),
    (lambda: require_name("a\0b"), r"a folder for the run, got 'a\x00b'"),
    (lambda: best_strength(np.ones(1), np.full(1, np.nan)), "no lambda gave a finite score"),
]


@pytest.fixture(scope="module", name="place")
def _place(tmp_path_factory):
    place = tmp_path_factory.mktemp("errors")
    for name, text in FILES.items():
        (place / name).write_text(text)
    (place / "empty").mkdir()
    (place / "a run").mkdir()
    (place / "a run" / "config.toml").write_text(CONFIG)
    with open(place / "huge.toml", "wb") as file:
        file.truncate(1_000_000_000)
    (place / "pickled").mkdir()
    (place / "pickled" / "cifar-10-python.tar.gz").touch()
    (place / "solved").mkdir()
    for name in ("config.toml", "model.npz"):
        (place / "solved" / name).write_text(FILES["linear.toml"])
    for name in ("train", "val", "valid"):
        (place / "roles" / name).mkdir(parents=True)
    for name in "uv":
        (place / "programs" / name).mkdir(parents=True)
        (place / "programs" / name / "1.png").write_bytes(EPS)
        (place / "pictures" / name).mkdir(parents=True)
        (place / "pictures" / name / "1.png").write_bytes(png_of(np.zeros((2, 2, 3), np.uint8)))
    return place


@pytest.fixture(autouse=True)
def _here(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.delenv("JAXOPT_LAB_DATA", raising=False)
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")


def said_by(arguments, capsys):
    """The exit code of a command, and what it says on standard error."""
    try:
        code = cli.main(arguments)
    except SystemExit as end:  # of argparse
        code = end.code
    return code, capsys.readouterr().err


def require_said(arguments, part, capsys, code=2):
    found, said = said_by(arguments, capsys)
    assert found == code, said
    assert " ".join(part.split()) in " ".join(said.split())
    assert "Traceback" not in said


# What a run says that is there, `run`; `nothing` is an empty folder.
OF_RUNS = [
    ("predict run empty", "predict: empty holds no files"),
    ("predict run words.jsonl", "words.jsonl, row 0: holds <U1, expected numbers"),
    ("predict run ragged.jsonl", "lists of several lengths are no sample"),
    ("predict run named.jsonl", 'or of JSON as {"x": ...}'),
    ("predict run several.npz", "expected y of shape (N), got (3, 2); or leave y out"),
    ("find-lr c.toml --low 1e-9 --high 1e-8 --steps 10 --seeds 1 --apply", "find-lr --apply: "),
]

ROWS = [
    *(pytest.param(words(line), *rest, id=line[:60] or "nothing") for line, *rest in TYPED),
    *(pytest.param(dry(*w.split()), part, id=w[:60]) for w, part in CHANGED),
    *(
        pytest.param(dry(*w.split(), config="table.toml"), part, id=f"table {w[:60]}")
        for w, part in OF_TABLES
    ),
]


@pytest.mark.parametrize("row", [pytest.param(row.values, id=row.id) for row in ROWS])
def test_a_command_says(row, capsys):
    arguments, part, *code = row
    require_said(arguments, part, capsys, *code)


@pytest.fixture(scope="module", name="run")
def _run(place):
    jaxopt_lab.train(load_config(place / "c.toml"), place / "run", progress=False)
    several = {"x": np.zeros((3, 8, 8, 1), np.uint8), "y": np.zeros((3, 2))}
    np.savez(place / "several.npz", **several)


@pytest.mark.slow
@pytest.mark.parametrize("row", OF_RUNS, ids=lambda row: row[0][:60])
def test_a_command_on_a_run_says(row, run, capsys):
    require_said(words(row[0]), row[1], capsys)


@pytest.mark.parametrize("row", CALLED, ids=lambda row: row[1][:40])
def test_a_call_says(row):
    call, part = row
    with pytest.raises(InputError) as error:
        call()
    assert part in str(error.value)


HERE = pathlib.Path(__file__).parent
PACKAGE = pathlib.Path(jaxopt_lab.__file__).parent
KINDS = {"InputError", "ConfigError", "ArgumentError"}

# What neither a row nor the words in another test reach: how many in a file, and why.
ELSEWHERE = {
    "config/source.py": (1, "targets of gigabytes, tests/run/test_mapped_data.py"),
    "data/_huggingface.py": (2, "a library of seconds to import, tests/data/test_huggingface.py"),
    "data/cifar.py": (1, "a whole archive, tests/data/test_cifar.py"),
    "data/idx.py": (1, "its whole files, tests/data/test_idx.py"),
    "engine/checkpoint.py": (2, "a checkpoint that was edited with its hashes"),
    "engine/needs.py": (2, "sizes by the machine's memory, tests/engine/test_needs.py"),
    "run/process/distributed.py": (2, "several processes, tests/run/test_distributed.py"),
    "run/records/folder.py": (2, "a folder that takes no files, tests/run/test_disk.py"),
    "run/records/network_program.py": (1, "weights of 2 GiB"),
    "run/records/own_code.py": (1, "a run of names of one's own, tests/run/test_own_names.py"),
    "run/records/run_ensemble.py": (2, "runs of other data, tests/run/test_predictions.py"),
    "run/records/run_folder.py": (1, "damage, tests/run/test_damage.py"),
    "run/records/sweep_folder.py": (3, "damage, tests/run/test_damage.py"),
    "run/records/sweep_result.py": (1, "a result made by hand"),
}


def sites():
    """Where an error is made: `(file, first line, last line)` and the text of the call."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in KINDS:
                yield (str(path), node.lineno, node.end_lineno), node


def _words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def told_elsewhere(node, tests):
    """Whether three words of it in a row are in the tests."""
    texts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
    found = [_words(text) for text in texts if isinstance(text, str)]
    return any(f" {' '.join(w[k : k + 3])} " in tests for w in found for k in range(len(w) - 2))


@pytest.mark.slow
def test_every_error_has_its_row(run, monkeypatch, capsys):
    reached = set()

    def noted(self, *arguments):
        frame = sys._getframe(1)
        for _ in range(4):
            if frame is None:
                break
            reached.add((frame.f_code.co_filename, frame.f_lineno))
            frame = frame.f_back
        ValueError.__init__(self, *arguments)

    monkeypatch.setattr(InputError, "__init__", noted, raising=False)
    for arguments in [*(row.values[0] for row in ROWS), *(words(row[0]) for row in OF_RUNS)]:
        said_by(arguments, capsys)
    for call, _ in CALLED:
        with pytest.raises(InputError):
            call()
    written = " ".join(_words(" ".join(p.read_text() for p in HERE.rglob("test_*.py"))))
    left = [
        (pathlib.Path(file).relative_to(PACKAGE).as_posix(), ast.unparse(node)[:90])
        for (file, first, last), node in sites()
        if not any((file, line) in reached for line in range(first, last + 1))
        and not told_elsewhere(node, f" {written} ")
    ]
    counted = collections.Counter(file for file, _ in left)
    assert counted == {file: count for file, (count, _) in ELSEWHERE.items()}, left


@pytest.mark.parametrize(
    ("arguments", "raised", "said", "code"),
    [
        ("train c.toml", KeyboardInterrupt(), "aborted\n", 130),
        ("sweep sweep.toml", KeyboardInterrupt(), "aborted\n", 130),
        ("doctor", KeyboardInterrupt(), "aborted\n", 130),
        (
            "train c.toml",
            OSError(28, "No space left on device", "runs/\x1b[31ma"),
            "No space left on device (runs/\\x1b[31ma): make room, and try again\n",
            1,
        ),
        ("doctor", PermissionError(13, "Denied", "a"), "Denied (a): make it writable", 1),
        ("doctor", InputError("mend it"), "mend it\n", 2),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_ends_a_command(arguments, raised, said, code, monkeypatch, capsys):
    def ends(*given, **named):
        raise raised

    for place in (
        "config.load.load_config",
        "config.sweep.load_sweep",
        "run.commands.doctor.doctor",
    ):
        monkeypatch.setattr(f"jaxopt_lab.{place}", ends)
    found, text = said_by(words(arguments), capsys)
    assert found == code and said in text and len(text.splitlines()) == 1


OF_PLOTS = (
    "plot-schedule c.toml",
    "show-augment c.toml",
    "show-data c.toml",
    "find-lr c.toml",
    "landscape gone",
    "spectrum gone",
    "evaluate gone --corruptions",
)
OF_PAGES = (
    "train c.toml --run-dir without",
    "sweep sweep.toml --run-dir without",
    "linear linear.toml --run-dir without",
    "diagnose gone",
    "compare gone other",
)


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        *((each, "matplotlib") for each in OF_PLOTS + OF_PAGES),
        *((each, "jinja2") for each in OF_PAGES),
    ],
)
def test_a_missing_extra_is_told_before_the_work(arguments, missing, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == missing else find(name)
    )
    said = f'this needs {missing}, which is not installed: pip install "jaxopt_lab[lab]"'
    require_said(words(arguments), said, capsys)


@pytest.mark.parametrize(
    "arguments", ["landscape gone", "spectrum gone", "diagnose gone", "compare gone other"]
)
def test_what_only_prints_needs_no_extra(arguments, monkeypatch, capsys):
    find = importlib.util.find_spec
    missing = ("matplotlib", "jinja2")
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name in missing else find(name)
    )
    code, said = said_by(words(f"{arguments} --json"), capsys)
    assert code == 2 and "gone" in said and "not installed" not in said


@pytest.mark.parametrize(
    "arguments", ["verify gone --json", "runs gone --json", "compare a --json"]
)
def test_what_is_wrong_is_no_part_of_the_json(arguments, capsys):
    assert cli.main(words(arguments)) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err


def test_doctor_as_json(capsys):
    assert cli.main(["doctor", "--json"]) in (0, 1)
    found = json.loads(capsys.readouterr().out)
    assert found and all(set(each) == {"what", "state", "found", "remedy"} for each in found)


@pytest.mark.slow
def test_verify_as_json(run, capsys):
    assert cli.main(["verify", "run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {"good": True, "faults": {"run": []}, "difference": None}


def test_the_page_has_every_code_and_field():
    page = (HERE.parent / "docs" / "errors.md").read_text()
    codes = {getattr(exit_codes, name) for name in dir(exit_codes) if name.isupper()}
    assert codes == {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    told = set(re.findall(r"`(?:difference\.)?(\w+)`", page)) | set(re.findall(r'"(\w+)"', page))
    fields = {*Finding._fields, *Fault._fields, *Difference._fields}
    assert fields | {"good", "faults", "difference", "same"} <= told

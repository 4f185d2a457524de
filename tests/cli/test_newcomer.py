"""What a newcomer types, who knows the words of other programs: each line is answered with what was meant."""

import re
import shlex

import pytest

# Each line: what is typed, and what the advice holds.
KEYS = """
epochs=10                    | train.steps=N
num_epochs=10                | train.steps=N
n_epochs=50                  | train.steps=N
max_epochs=5                 | train.steps=N
epoch=3                      | train.steps=N
train.epochs=3               | train.steps=N
iterations=1000              | train.steps=1000
iters=1000                   | train.steps=1000
max_steps=1000               | train.steps=1000
steps=500                    | train.steps=500
num_steps=500                | train.steps=500
train.num_iterations=7       | train.steps=7
lr=1e-3                      | optimizer.g_lr=1e-3 optimizer.d_lr=1e-3
learning_rate=1e-3           | optimizer.g_lr=1e-3 optimizer.d_lr=1e-3
optimizer.lr=1e-3            | optimizer.g_lr=1e-3 optimizer.d_lr=1e-3
optimizer.learning_rate=1e-3 | optimizer.g_lr=1e-3 optimizer.d_lr=1e-3
train.lr=1e-3                | optimizer.g_lr=1e-3 optimizer.d_lr=1e-3
lr_g=1e-4                    | optimizer.g_lr=1e-4
lrD=1e-4                     | optimizer.d_lr=1e-4
d_lr=1e-4                    | optimizer.d_lr=1e-4
optimizer.lr_d=1e-4          | optimizer.d_lr=1e-4
discriminator_lr=1e-4        | optimizer.d_lr=1e-4
batch=32                     | train.batch_size=32
batch_size=32                | train.batch_size=32
bs=32                        | train.batch_size=32
batchSize=32                 | train.batch_size=32
train.batch=32               | train.batch_size=32
dataset.batch_size=32        | train.batch_size=32
minibatch_size=32            | train.batch_size=32
beta1=0.5                    | optimizer.beta1=0.5
b1=0.5                       | optimizer.beta1=0.5
optimizer.betas=[0.5,0.9]    | optimizer.beta1=NUMBER optimizer.beta2=NUMBER
momentum=0.9                 | optimizer=sgd optimizer.momentum=0.9
nz=100                       | model.z_dim=100
z_dim=100                    | model.z_dim=100
latent_dim=100               | model.z_dim=100
model.latent_dim=100         | model.z_dim=100
model.latent_size=100        | model.z_dim=100
noise_dim=100                | model.z_dim=100
ngf=64                       | model.width=64
hidden_dim=256               | model.width=256
model.hidden=256             | model.width=256
model.num_layers=4           | model=mlp model.depth=4
n_critic=5                   | train.d_steps=5
critic_iters=5               | train.d_steps=5
train.n_critic=5             | train.d_steps=5
d_steps=2                    | train.d_steps=2
lambda_gp=10                 | penalty=wgan_gp penalty.gamma=10
gp_weight=10                 | penalty=wgan_gp penalty.gamma=10
r1_gamma=1                   | penalty=r1 penalty.gamma=1
clip_value=0.01              | penalty=weight_clip penalty.clip=0.01
label_smoothing=0.1          | noise.label_smoothing=0.1
smooth=0.1                   | noise.label_smoothing=0.1
instance_noise=0.1           | noise.instance_std=0.1
dropout=0.3                  | model.dropout=0.3
spectral_norm=true           | model.spectral_norm=true
ema_decay=0.99               | train.ema=0.99
ema=0.99                     | train.ema=0.99
train.ema_decay=0.99         | train.ema=0.99
amp=true                     | device.precision=bfloat16
fp16=true                    | device.precision=bfloat16
mixed_precision=true         | device.precision=bfloat16
precision=bf16               | device.precision=bfloat16
device.precision=fp16        | bfloat16
device.precision=bf16        | bfloat16
device.precision=16          | bfloat16
device.amp=true              | device.precision=bfloat16
random_seed=3                | seed=3
manual_seed=3                | seed=3
train.seed=3                 | seed=3
num_workers=4                | device.threads=4
workers=4                    | device.threads=4
threads=4                    | device.threads=4
log_dir=logs                 | run.root=logs
logdir=logs                  | run.root=logs
output_dir=out1              | run.dir=out1
out=out1                     | run.dir=out1
save_dir=out1                | run.dir=out1
train.output_dir=out1        | run.dir=out1
run_name=first               | name=first
exp_name=first               | name=first
log_interval=10              | train.log_every=10
print_freq=10                | train.log_every=10
save_interval=10             | train.checkpoint_every=10
save_every=10                | train.checkpoint_every=10
sample_interval=100          | train.sample_every=100
eval_interval=100            | train.evaluate_every=100
train.eval_every=100         | train.evaluate_every=100
val_every=100                | train.evaluate_every=100
pretrained=RUN               | train.init_from=RUN
weights=RUN                  | train.init_from=RUN
ckpt=RUN                     | resume
resume=RUN                   | resume
resume_from=RUN              | resume
wandb=true                   | tensorboard
use_wandb=true               | tensorboard
tensorboard=true             | tensorboard
dry_run=true                 | train.dry_run=true
flip=true                    | augment=flip
diffaug=true                 | augment=diffaugment
ada_target=0.7               | augment=ada augment.target=0.7
augmentation=true            | augment=flip
conditional=true             | objective=conditional
model.conditional=true       | objective=conditional
n_classes=10                 | objective=conditional
max_time=60                  | train.seconds=60
image_size=64                | dataset=image_folder dataset.root=DIR dataset.resolution=64
resolution=64                | dataset=image_folder dataset.root=DIR dataset.resolution=64
data_dir=photos              | dataset.root=photos
dataroot=photos              | dataset.root=photos
dataset.path=photos          | dataset=table
scheduler=cosine             | optimizer.schedule=cosine
lr_schedule=linear           | optimizer.schedule=linear
num_samples=2000             | metric.n=2000
n_trials=20                  | hydra.sweeper.n_trials=20
seeds=5                      | seed=range(5)
amp=false                    | off by default
use_cuda=false               | device=cpu
ema=false                    | train.ema=0
model.condition=yes          | concat
lr=1e-3,1e-4                 | optimizer.g_lr=1e-3,1e-4 optimizer.d_lr=1e-3,1e-4
penalty=r1 r1_gamma=2        | penalty.gamma=2
arms=3                       | dataset=spiral dataset.arms=3
model=flow layers=4          | model.layers=4
"""
CHOICES = """
loss=hinge               | objective=hinge
loss=wgan                | objective=wasserstein
criterion=bce            | objective=non_saturating
gan_mode=lsgan           | objective=least_squares
objective=wgan           | wasserstein
objective=wgan_gp        | wasserstein
objective=WGAN-GP        | wasserstein
objective=lsgan          | least_squares
objective=bce            | non_saturating
objective=vanilla        | non_saturating
objective=gan            | non_saturating
objective=nsgan          | non_saturating
objective=saturating     | minimax
objective=rpgan          | relativistic
objective=rgan           | relativistic
objective=cgan           | conditional
objective=kl             | fgan_kl
objective=mse            | least_squares
objective=l1             | regression
objective=mle            | likelihood
objective=Hinge          | hinge
objective=dcgan          | model=dcgan
device=gpu               | cuda
device=GPU               | cuda
device=cuda:0            | cuda
device=metal             | mps
device=0                 | cuda
gpu=0                    | device=cuda device.index=0
gpu=true                 | device=cuda
use_cuda=true            | device=cuda
gpu_id=1                 | device=cuda device.index=1
dataset=MNIST            | mnist
data=mnist               | dataset=mnist
dataset=cifar            | cifar10
dataset=CIFAR-10         | cifar10
dataset=fashion          | fashion_mnist
dataset=FashionMNIST     | fashion_mnist
dataset=8gaussians       | ring
dataset=25gaussians      | grid
dataset=gmm              | gaussian_mixture
dataset=celeba           | image_folder
dataset=imagefolder      | image_folder
dataset=folder           | image_folder
dataset=images           | image_folder
dataset=csv              | table
dataset=swissroll        | spiral
dataset=./photos         | dataset=image_folder dataset.root=./photos
model=cnn                | dcgan
model=conv               | dcgan
model=fc                 | mlp
model=MLP                | mlp
model=linear             | mlp
arch=dcgan               | model=dcgan
network=mlp              | model=mlp
optimizer=Adam           | adam
optimizer=adamw          | adam
optimizer=SGD            | sgd
optim=adam               | optimizer=adam
opt=sgd                  | optimizer=sgd
penalty=gp               | wgan_gp
penalty=gradient_penalty | wgan_gp
penalty=wgan-gp          | wgan_gp
penalty=clip             | weight_clip
penalty=spectral_norm    | model.spectral_norm=true
noise=label_smoothing    | labels
noise=gaussian           | instance
augment=hflip            | flip
augment=DiffAug          | diffaugment
metric=fid               | frechet
metric=FID               | frechet
metric=kid               | kernel
metric=mmd               | kernel
metric=precision         | prdc
metric=recall            | prdc
metric=all               | full
metrics=full             | metric=full
metric=is                | frechet
update=simultaneous      | train.update=simultaneous
train.update=sim         | simultaneous
model.condition=cbn      | conditional_batch_norm
model.condition=label    | concat
debug=true               | tiny
config=my.yaml           | --config-dir
"""
VERBS = """
eval RUN                      | evaluate
test RUN                      | evaluate
metrics RUN                   | evaluate
generate RUN                  | sample
gen RUN                       | sample
samples RUN                   | sample
continue RUN                  | resume
restore RUN                   | resume
ls                            | list
info RUN                      | show
status RUN                    | show
plot RUN                      | report
html RUN                      | report
tb                            | tensorboard
board outputs                 | tensorboard
dashboard                     | tensorboard
diff A B                      | compare
summary RUN                   | show
convert RUN                   | export
onnx RUN                      | export
check                         | doctor
fit                           | train
run                           | train
start                         | train
tune lr=1                     | sweep=optuna
search                        | sweep=optuna
sweep objective=hinge,minimax | -m
train mnist                   | dataset=mnist
mnist                         | dataset=mnist
wgan                          | objective=wasserstein
gpu                           | device=cuda
dataset=ring sample           | sample
seed=1 list                   | list
train list                    | list
dataset mnist                 | dataset=mnist
objective hinge               | objective=hinge
seed 3                        | seed=3
"""
FLAGS = """
--dry-run                       | train.dry_run=true
--dry_run                       | train.dry_run=true
--resume RUN                    | resume
--resume                        | resume
-v                              | --version
-V                              | --version
--verbose                       | --traceback
--lr 1e-3                       | optimizer.g_lr=1e-3 optimizer.d_lr=1e-3
--lr=1e-3                       | optimizer.g_lr=1e-3 optimizer.d_lr=1e-3
--epochs 10                     | train.steps=N
--batch-size 64                 | train.batch_size=64
--batch_size=64                 | train.batch_size=64
--dataset mnist                 | dataset=mnist
--dataset=MNIST                 | dataset=mnist
--seed 1                        | seed=1
--gpu                           | device=cuda
--gpu 0                         | device=cuda device.index=0
--device cuda                   | device=cuda
--model dcgan                   | model=dcgan
--objective=hinge               | objective=hinge
--loss wgan                     | objective=wasserstein
--train.steps 10                | train.steps=10
--output out1                   | run.dir=out1
-o out1                         | run.dir=out1
--name first                    | name=first
--amp                           | device.precision=bfloat16
--workers 4                     | device.threads=4
--config my.yaml                | --config-dir
--list                          | list
--sweep objective=hinge,minimax | -m
--debug                         | debug=tiny
--checkpoint RUN                | resume
--no-cuda                       | device=cpu
--cpu                           | device=cpu
--wandb                         | tensorboard
--multi                         | -m
--hlep                          | --help
--experiment dirac              | experiment=dirac
"""


def pairs(table: str) -> list[tuple[str, str]]:
    return [tuple(map(str.strip, line.split(" | "))) for line in table.strip().splitlines()]


def words_of(text: str) -> str:
    words = re.sub("[?',;]", " ", text).split()
    return " ".join(["", *words, ""])


@pytest.mark.parametrize(
    "table",
    [KEYS, pytest.param(CHOICES, marks=pytest.mark.slow), VERBS, FLAGS],
    ids=["keys", "choices", "verbs", "flags"],
)
def test_newcomer_is_answered_with_what_was_meant(table, run_cli, no_run):
    wrong = []
    for typed, meant in pairs(table):
        code, _, err = run_cli(*shlex.split(typed))
        advice = err.partition("; ")[2]
        if code != 2 or words_of(meant) not in words_of(advice):
            wrong.append(f"{typed}: {err.strip()}")
    assert not wrong, "\n".join(wrong)


def test_newcomer_lines_are_many_and_differ():
    typed = [line for table in (KEYS, CHOICES, VERBS, FLAGS) for line, _ in pairs(table)]
    assert len(set(typed)) == len(typed) > 250

# ---
# title: "Other ways to fine-tune: when are two phases not enough?"
# minutes: 50
# needs: lessons 4, 6 and 7
# step: phase 2
# goals:
#   - fine-tune in other ways than two phases, each in a few lines of plain Keras
#   - measure on shifted pictures, too, and try what averaging weights does there
#   - count what a way trains, and choose a way from measurements and not from its name
# ---

# %% [markdown]
# ## The idea
#
# Phase 2 changes a part of the base at a low rate. Since it became usual, people have invented many other ways: open the base
# step by step, give each depth its own rate, hold the weights near their start, average two networks, train small matrices
# instead of large ones.
#
# Each has a paper in which it wins. Here some of them run on one task, with the same pictures and the same number of epochs. And they are
# tested on two kinds of pictures: like those they learned from, and **shifted** ones, which are darker or less sharp.

# %%
import json

import keras
import matplotlib.pyplot as plt
import numpy as np
import kerastl as tl
from kerastl.bases import bundled_folder
from kerastl.data import as_arrays, few_of_each
from kerastl.graph import is_batch_norm
from PIL import Image, ImageFilter

data = tl.load_images("drawn_butterflies", image_size=96)
images, labels = as_arrays(data.train)
few = few_of_each(labels, 20, seed=0)
images, labels = images[few], labels[few]

# %% [markdown]
# The shifted pictures are the test pictures, made darker or less sharp by a program.

# %%
test, truth = as_arrays(data.test)
some = few_of_each(truth, 40, seed=0)
test, truth = test[some], truth[some]
blurred = np.stack([np.asarray(Image.fromarray(one).filter(ImageFilter.GaussianBlur(1.5))) for one in test])
dark = (test * 0.4).astype("uint8")

# %%
shown = [kind[row] for row in (0, 60) for kind in (test, dark, blurred)]
figure, places = plt.subplots(1, 6, figsize=(9, 1.7), layout="constrained")
for ax, picture, name in zip(places, shown, ("test", "dark", "blurred") * 2, strict=True):
    ax.imshow(picture)
    written = ax.set(title=name, xticks=[], yticks=[])

# %% [markdown]
# ## 1. One start for all
#
# The network is flat this time: base and head in one `keras.Model`, so that `model.layers` has all of them. The head is a
# logistic regression on the frozen features (lesson 4), put into the Dense layer. Such a head is called a **linear probe**.

# %%
image = keras.Input((96, 96, 3))
pixels = keras.layers.Rescaling(1 / 127.5, -1)(image)
base = keras.applications.MobileNetV2(input_tensor=pixels, alpha=0.35, include_top=False, weights=None)
base.load_weights(bundled_folder() / "garden" / "mobilenetv2_0.35_96.weights.h5")
base.trainable = False
pooled = keras.layers.GlobalAveragePooling2D(name="pool")(base.output)
head = keras.layers.Dense(8, activation="softmax", name="head")
model = keras.Model(image, head(pooled))
features = keras.Model(image, pooled).predict(images, batch_size=128, verbose=0)

# %%
from sklearn.linear_model import LogisticRegression

probe = LogisticRegression(max_iter=2000).fit(features, labels)
head.set_weights([probe.coef_.T, probe.intercept_])
results = {}


def note(way):
    parts = {"test": test, "dark": dark, "blurred": blurred}
    said = {part: model.predict(pictures, batch_size=128, verbose=0).argmax(1) for part, pictures in parts.items()}
    results[way] = {part: float((answers == truth).mean()) for part, answers in said.items()}
    print(f"{way:22}", *(f"{part} {accuracy:.3f}  " for part, accuracy in results[way].items()))


note("linear probe")
start = model.get_weights()

# %% [markdown]
# **Predict.** The shifted pictures show the same butterflies. What happens to the accuracy?
#
# <details><summary>Answer</summary>It falls, on one shift more than on the other: the base and the head learned from pictures that were
# bright and sharp.</details>
#
# ## 2. Probe first, then everything: LP-FT

# %% [markdown]
# Kumar and others (2022) found, on other tasks, that a random head spoils the features of the base, which shows most on shifted
# pictures. Their way is **LP-FT**: first the linear probe, to its end; then all weights. We begin at `start`, and let everything
# learn but BatchNorm. Our rate is high for phase 2, but this training is short.


# %%
def open_all():
    for layer in model.layers:
        layer.trainable = not is_batch_norm(layer)


def fit(rate, epochs=15):
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)  # saves time: otherwise Keras prepares the step twice
    model.fit(images, labels, epochs=epochs, verbose=0)
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


# %%
trained = {}
open_all()
trained["LP-FT"] = fit(1e-3)
note("LP-FT")
tuned = model.get_weights()

# %% [markdown]
# **Checkpoint.**

# %%
assert results["LP-FT"]["test"] > results["linear probe"]["test"], "All weights learn: the task is far from the base."

# %% [markdown]
# ## 3. An average of two networks: WiSE-FT
#
# Wortsman and others (2022) take the weights before and after fine-tuning and average them, array by array. Nothing is trained
# for it. Between the two networks lies a whole line of networks.
#
# **Predict.** In the middle between the probe and LP-FT: will the accuracy lie between the two?
#
# <details><summary>Answer</summary>Look at the picture. It need not: a network in the middle can be better than both ends. In the
# paper it often was on shifted pictures. The table of section 5 shows what five seeds say here.</details>

# %%
shares = (0, 0.25, 0.5, 0.75, 1)
for share in shares:
    model.set_weights([(1 - share) * before + share * after for before, after in zip(start, tuned, strict=True)])
    note(f"share {share:g} of LP-FT")

# %%
figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
for part, style in (("test", "-"), ("dark", "--"), ("blurred", ":")):
    ax.plot(shares, [results[f"share {share:g} of LP-FT"][part] for share in shares], style, marker="o", label=part)
ax.set(xlabel="share of the fine-tuned weights", ylabel="accuracy")
legend = ax.legend()

# %% [markdown]
# Why can one average networks at all? One comes from the other, so their parameters still mean the same. Two networks from two
# random starts have nothing in common: their average is worth nothing.

# %% [markdown]
# ## 4. Small matrices: LoRA
#
# **LoRA** (Hu and others, 2021) leaves each large kernel as it is and adds a product of two thin matrices to it, which learn:
# kernel + A · B. With a rank of 4, A has 4 columns and B has 4 rows. Keras has it built in: `layer.enable_lora(4)`, for Dense and
# Conv2D. A DepthwiseConv2D has none: we leave it frozen.
#
# **Predict.** How many parameters learn, compared with all?
#
# <details><summary>Answer</summary>Far fewer. At the beginning B is 0, so the network answers as before.</details>

# %%
model.set_weights(start)
for layer in model.layers:
    layer.trainable = layer is head
for layer in model.layers:
    if type(layer) is keras.layers.Conv2D and layer.kernel_size == (1, 1):
        layer.trainable = True
        layer.enable_lora(4)  # freezes the kernel, and adds A and B

trained["LoRA"] = fit(1e-2)
note("LoRA")
print(trained)

# %% [markdown]
# After training, A · B can be added to the kernel once, and the network is as large and as fast as before. So LoRA saves what has to be
# *stored* for each new task. That counts for networks with many billions of parameters, more than for this one.
#
# ## 5. What the others need

# %% [markdown]
# - **Gradual unfreezing** (Howard and Ruder, 2018): the loop over `layer.trainable` and `compile`, from the top, one part at a time.
# - **Rates per depth** (the same paper): the lower, the lower the rate. Keras has one rate; so a small optimizer multiplies each
#   step. (Multiplying the *gradient* does nothing with Adam, which divides by its size.)
# - **L2-SP** (Li and others, 2018): a penalty on the distance from the start. Exercise 2.
# - **Warm-up and cosine**: `CosineDecay(0.0, steps, warmup_target=rate, warmup_steps=few)`.
# - **BatchNorm only**: all else is frozen.
#
# Each of these is a few lines, too.

# %% [markdown]
# `benchmarks/strategies` ran all with five seeds on the *flowers*, the near task, and on the *butterflies*, the far one, each at the better
# of two rates. There the shifts are night, snow, blur and another meadow.
#
# **Predict.** On which task do the ways differ more? Which way is best on the test pictures, and which on the shifted ones?
#
# <details><summary>Answer</summary>On the far task: there the base knows less of what is needed, so it counts how much of it may learn.
# Look at the columns, and at the spread.</details>

# %%
kept = json.loads((bundled_folder() / "strategies.json").read_text())


def show(task):
    print(f"{task + ' task, 20 a class':24} {'test (lowest to highest)':26} {'shifted':26} parameters changed")
    for name in (name for name, runs in kept.items() if name.startswith(f"ways, {task}, 20, ") and len(runs) == 5):
        runs = list(kept[name].values())
        found = [np.array([run[part] for run in runs]) for part in ("test", "shifted")]
        cells = [f"{ends.mean():.3f} ({ends.min():.3f} to {ends.max():.3f})" for ends in found]
        print(f"{name.split(', ')[-1]:24} {cells[0]:26} {cells[1]:26} {runs[0]['parameters']:12,.0f}")


show("near")

# %%
show("far")

# %% [markdown]
# How to choose? On the near task the ways lie close together. On the far one those are best in which all of the base learns in all
# epochs; two phases give half of them to the head. Each paper has a task on which its way wins. So begin with two phases, and on a far
# task try everything at once, with a warm-up. Measure both on your pictures.
#
# ## Break it on purpose
#
# Somebody opens the layers *after* LoRA was added, to be sure that they learn. There is no error.

# %%
first = next(layer for layer in model.layers if getattr(layer, "lora_enabled", False))
print("LoRA, as it should be:", [weight.name for weight in first.trainable_weights])
model.trainable = False
model.trainable = True  # "to be sure"
print("after opening it again:", [weight.name for weight in first.trainable_weights])

# %% [markdown]
# **Symptom**: the count of trained parameters is far too high. **Cause**: the kernels learn, too, and so does BatchNorm, which lesson 6
# holds still. **Find it**: print the names of `trainable_weights`. **Repair**: open first, then `enable_lora`, then look.
#
# ## Exercises
#
# **Exercise 1 ★** How many times more parameters did LP-FT train than LoRA? Put the number into `times`. (`trained` has both.)

# %% tags=["exercise"]
times = ...
# solution
times = trained["LP-FT"] / trained["LoRA"]
# wrong: trained["LoRA"] / trained["LP-FT"]
# wrong: trained["LP-FT"] - trained["LoRA"]
# wrong: 2

# %%
check(
    "Exercise 1",
    times,
    lambda number: abs(number * trained["LoRA"] - trained["LP-FT"]) < 0.04 * trained["LP-FT"],
    "The larger number, divided by the smaller one.",
)

# %% [markdown]
# **Exercise 2 ★★** L2-SP adds to the loss: strength / 2 times the sum of the squared distances of all numbers from their start.
# Write `penalty(start, now, strength)` for two lists of arrays.

# %% tags=["exercise"]
penalty = ...


# solution
def penalty(start, now, strength):
    return strength / 2 * sum(float(np.square(one - other).sum()) for one, other in zip(now, start, strict=True))


# wrong: lambda start, now, strength: strength / 2 * sum(np.square(one).sum() for one in now)
# wrong: 0.05
# wrong: lambda start, now, strength: strength * sum(np.square(a - b).sum() for a, b in zip(now, start))
# wrong: lambda start, now, strength: strength / 2 * sum(np.abs(a - b).sum() for a, b in zip(now, start))
# wrong: lambda start, now, strength: strength / 2 * sum(np.square(a - b).mean() for a, b in zip(now, start))

# %%
began, went = [np.zeros((2, 2)), np.ones(3)], [np.full((2, 2), 2.0), np.array([1.0, 4.0, 1.0])]
check(
    "Exercise 2",
    penalty,
    lambda f: np.isclose(f(began, went, 0.1), 0.05 * 25) and np.isclose(f(went, went, 3.0), 0),
    "Subtract, square, sum; over all arrays. Then half of the strength.",
)

# %% [markdown]
# **Exercise 3 ★★★** After training, LoRA is added to the kernel. Write `merge(kernel, a, b)` for a 1×1 convolution: `kernel` has shape
# (1, 1, in, out), `a` (1, 1, in, rank), `b` (rank, out). It gives the kernel that answers alike without A and B.

# %% tags=["exercise"]
merge = ...


# solution
def merge(kernel, a, b):
    return kernel + a @ b


# wrong: lambda kernel, a, b: kernel
# wrong: lambda kernel, a, b: a @ b
# wrong: lambda kernel, a, b: kernel * (a @ b)
# wrong: lambda kernel, a, b: kernel - a @ b
# wrong: 4

# %%
chance = np.random.default_rng(0)
parts = [chance.normal(size=shape) for shape in ((1, 1, 6, 5), (1, 1, 6, 2), (2, 5))]
picture = chance.normal(size=(3, 4, 4, 6))
expected = picture @ parts[0][0, 0] + (picture @ parts[1][0, 0]) @ parts[2]
check(
    "Exercise 3",
    merge,
    lambda f: np.shape(f(*parts)) == (1, 1, 6, 5) and np.allclose(picture @ f(*parts)[0, 0], expected),
    "`a @ b` has the shape of the kernel.",
)

# %% [markdown]
# ## What you have seen
#
# - There are many ways to fine-tune, and each is a few lines. Most open the base, and differ in how.
# - Test pictures that are like the training pictures do not show everything. Test on shifted ones, too.
# - LoRA trains few parameters. An average of weights needs no training.
# - Begin with two phases. On a far task, let all of the base learn, and for longer.
#
# **Can you say it without looking?** What is a linear probe, and why does LP-FT begin with it? What does LoRA train instead of a
# kernel? Why can two networks from one start be averaged?

# %% [markdown]
# **Read on:** Kumar and others, [Fine-Tuning can Distort Pretrained Features](https://arxiv.org/abs/2202.10054) (2022). Wortsman and
# others, [Robust fine-tuning of zero-shot models](https://arxiv.org/abs/2109.01903) (2022). Hu and others,
# [LoRA](https://arxiv.org/abs/2106.09685) (2021). Howard and Ruder, [ULMFiT](https://arxiv.org/abs/1801.06146) (2018). Li, Grandvalet and
# Davoine, [L2-SP](https://arxiv.org/abs/1802.01483) (2018). All ways in a table: docs/ways_to_fine_tune.md in the project.

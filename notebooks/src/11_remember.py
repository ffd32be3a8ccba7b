# ---
# title: "Remember: what does a network forget when it learns something new?"
# minutes: 45
# needs: lessons 4 and 6
# step: phase 2
# goals:
#   - measure what a network still knows of its old task after it has learned a new one
#   - learn a new task in five ways, and say what each of them costs
#   - keep the old task without its pictures, with Learning without Forgetting in plain Keras
# ---

# %% [markdown]
# ## The idea
#
# A network knows a task **A**. Now it learns a task **B**. Does it still know A? Until now we never asked: the old classifier
# was thrown away, and we looked at B alone.
#
# Li and Hoiem drew the ways to learn B in figure 2 of their paper *Learning without Forgetting* (2016). Here they run.
#
# - **Task A**: 64 invented species of drawn flowers. The bundled base was trained on them, and its old classifier is bundled, too.
# - **Task B**: eight drawn butterflies, 20 pictures of each.
#
# To measure A one needs pictures of A. Those of ImageNet cannot be bundled: so this lesson stays in the drawn world.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import kerastl as tl
from kerastl.bases import bundled_folder
from kerastl.data import as_arrays, few_of_each
from kerastl.graph import is_batch_norm

data = {name: tl.load_images(f"drawn_{name}", image_size=96) for name in ("species", "butterflies")}
tests = {name: as_arrays(task.test) for name, task in data.items()}
images, labels = as_arrays(data["butterflies"].train)
few = few_of_each(labels, 20, seed=0)
images, labels = images[few], labels[few]
print(f"{len(images)} pictures of B to learn from; to test: {[len(test[1]) for test in tests.values()]}")

# %% [markdown]
# ## 1. One network, two heads
#
# The base is shared. The old head says which of the 64 species, the new head says which butterfly. In Keras a model may have
# several outputs: here a dict with a name for each.

# %%
image = keras.Input((96, 96, 3))
base = keras.applications.MobileNetV2(input_shape=(96, 96, 3), alpha=0.35, include_top=False, weights=None)
base.load_weights(bundled_folder() / "garden" / "mobilenetv2_0.35_96.weights.h5")
x = base(keras.applications.mobilenet_v2.preprocess_input(image))
pooled = keras.layers.GlobalAveragePooling2D(name="pool")(x)
old_head = keras.layers.Dense(64, activation="softmax", name="species")
new_head = keras.layers.Dense(8, activation="softmax", name="butterflies")
model = keras.Model(image, {"species": old_head(pooled), "butterflies": new_head(pooled)})
stored = np.load(bundled_folder() / "garden" / "species_classifier.npz")
old_head.set_weights([stored["kernel"], stored["bias"]])


# %%
def accuracies():
    """On A and on B: the share of the test pictures for which each head is right."""
    found = []
    for name, (pictures, truth) in tests.items():
        said = model.predict(pictures, batch_size=128, verbose=0)[name]
        found.append(float((said.argmax(axis=1) == truth).mean()))
    return found


results = {}


def note(way):
    results[way] = accuracies()
    print(f"{way:28} A {results[way][0]:.3f}   B {results[way][1]:.3f}")


note("before")
random_head = model.get_weights()

# %% [markdown]
# Guessing is right for one of 64 species, and for one of eight butterflies. So A is known, and B is not: its head is random, and may
# be below guessing.
#
# ## 2. Feature extraction
#
# The base holds still. The new head learns on its features, as in lesson 4: the base runs once for each picture.
#
# **Predict.** What happens to A?
#
# <details><summary>Answer</summary>Nothing, to the last digit. All that A needs is the base and the old head, and neither
# has changed.</details>

# %%
features = keras.Model(image, pooled).predict(images, batch_size=128, verbose=0)
head_alone = keras.Sequential([keras.Input(features.shape[1:]), new_head])
head_alone.compile(keras.optimizers.Adam(1e-2), loss="sparse_categorical_crossentropy")
head_alone.fit(features, labels, epochs=30, verbose=0)
note("feature extraction")
start = model.get_weights()  # most ways below begin here

# %% [markdown]
# ## 3. Fine-tuning
#
# Now the base may learn, too, all of it. The old head gets no lesson: its loss counts 0 times. BatchNorm holds still
# (lesson 6).

# %%
base.trainable = True
for layer in filter(is_batch_norm, base.layers):
    layer.trainable = False


def fit(pictures, targets, counts, old_loss, begin=start):
    """Train both heads and the base. `counts`: how much each picture counts for each head."""
    model.set_weights(begin)
    losses = {"species": old_loss, "butterflies": "sparse_categorical_crossentropy"}
    model.compile(keras.optimizers.Adam(1e-3), loss=losses)
    model.optimizer.build(model.trainable_variables)  # saves time: otherwise Keras prepares the step twice
    return model.fit(pictures, targets, sample_weight=counts, epochs=10, verbose=0)


# %% [markdown]
# **Predict.** B gets better. And A?
#
# <details><summary>Answer</summary>It falls far. The base changes for butterflies, and the old head gets other features than
# those it was made for. People call this **catastrophic forgetting**.</details>

# %%
one, none = np.ones(len(images)), np.zeros(len(images))
nothing = {"species": np.zeros((len(images), 64)), "butterflies": labels}  # the old head's targets do not count
history = fit(images, nothing, {"species": none, "butterflies": one}, "categorical_crossentropy")
note("fine-tuning, all")
print(f"loss: {history.history['loss'][0]:.2f} in the first epoch, {history.history['loss'][-1]:.2f} in the last")
tuned = model.get_weights()

# %% [markdown]
# ![Bars of accuracy: before, task A is high and task B low; after learning B, A is low and B is high.](pictures/forgetting.svg)
#
# Who measures B alone sees a success. Nothing warns: there is no error, and the loss fell.
#
# **Checkpoint.**

# %%
before, after = results["before"][0], results["fine-tuning, all"][0]
assert after < before - 0.1, "Fine-tuning of the whole base forgets: look whether the base was opened."

# %% [markdown]
# ## 4. Joint training
#
# The most direct way to remember is to repeat. **Joint training** learns A and B together. It needs the old pictures: here 320, five
# of each species. Each picture counts for its own task only.
#
# **Predict.** Who can do this at work: somebody who downloaded a base, or somebody who trained it?
#
# <details><summary>Answer</summary>Who trained it. Who downloads a base rarely gets its pictures.</details>

# %%
old_images, old_labels = as_arrays(data["species"].train)
is_new = np.repeat([0.0, 1.0], [len(old_images), len(images)])
together = {
    "species": np.pad(old_labels, (0, len(images))),
    "butterflies": np.pad(labels, (len(old_images), 0)),
}
counts = {"species": 1 - is_new, "butterflies": is_new}
both = np.concatenate([old_images, images])
history = fit(both, together, counts, "sparse_categorical_crossentropy")
note("joint training")

# %% [markdown]
# It keeps more than fine-tuning, and not all. Perhaps 320 old pictures are too few: the base had learned from many thousands.

# %% [markdown]
# ## 5. Learning without Forgetting
#
# No picture of A? Then ask the network, before it learns, what its old head says about the *new* pictures. A butterfly is no
# species, but the answer holds a trace of what the network knows: "a little like number 12, and like number 40". Write these
# answers down. While B is learned, the old head has to go on giving them.
#
# This is **distillation**: to learn from the probabilities of a network. The small ones matter, too. So both sides are softened
# with a **temperature** of 2: take the square root of each probability, then make them sum to 1 again.

# %%
model.set_weights(start)
recorded = model.predict(images, batch_size=128, verbose=0)["species"]


# %%
def soften(p, temperature=2):
    roots = keras.ops.power(keras.ops.maximum(p, 1e-7), 1 / temperature)
    return roots / keras.ops.sum(roots, axis=-1, keepdims=True)


def distillation(recorded, now):
    return keras.losses.categorical_crossentropy(soften(recorded), soften(now))


row = np.sort(recorded[0])[::-1][:4]
print("the four largest:", row.round(3), "softened:", np.sort(np.array(soften(recorded[:1]))[0])[::-1][:4].round(3))

# %% [markdown]
# **Predict.** It is the same training as in section 3, with one more target. Will A be kept? What will it cost on B?
#
# <details><summary>Answer</summary>Most of A is kept, without one picture of it. On B it costs something: the base is no longer
# free.</details>

# %%
targets = {"species": recorded, "butterflies": labels}
history = fit(images, targets, {"species": one, "butterflies": one}, distillation)
note("Learning without Forgetting")

# %% [markdown]
# This protects A as far as the new pictures make the old head say something about A. On pictures that are quite unlike those of A,
# such as handwritten digits, it can fail: docs/forgetting.md in the project.
#
# ## 6. The warm-up
#
# All ways but the first began at `start`: the new head had learned alone. This is the **warm-up**. What if the head is random
# when the base begins to learn?
#
# **Predict.** The errors of a random head are large, and go down into the base. What happens to A?
#
# <details><summary>Answer</summary>It forgets more of A, at the same rate. Look at B, too: it need not be lower.</details>

# %%
history = fit(images, nothing, {"species": none, "butterflies": one}, "categorical_crossentropy", begin=random_head)
note("fine-tuning, all, no warm-up")
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for (way, (old, new)), shape in zip(results.items(), "xosD^v", strict=True):
    ax.plot(old, new, shape, label=way)
written = ax.set(xlabel="accuracy on A", ylabel="accuracy on B"), ax.legend(fontsize="small")

# %% [markdown]
# In the picture, what lies to the right has kept A, and what lies high has learned B.
#
# One run of each is no proof (lesson 7). `benchmarks/strategies` ran these ways with five seeds, with augmented views and a
# rate chosen for each. Here are its means. (There, without a warm-up, the base learns in twice as many epochs.)

# %%
import json

kept = json.loads((bundled_folder() / "strategies.json").read_text())
for way in (way for way in results if f"forgetting, far, {way}" in kept):
    runs = list(kept[f"forgetting, far, {way}"].values())
    old, new = (np.array([run[task] for run in runs]) for task in ("old", "new"))
    print(f"{way:28} A {old.mean():.3f} ({old.min():.3f} to {old.max():.3f})   B {new.mean():.3f}")

# %% [markdown]
# ## Break it on purpose
#
# The answers have to be recorded *before* the base learns. Here somebody records them afterwards, from the network that was
# fine-tuned. The program is the same.

# %%
model.set_weights(tuned)
too_late = model.predict(images, batch_size=128, verbose=0)["species"]
targets = {"species": too_late, "butterflies": labels}
history = fit(images, targets, {"species": one, "butterflies": one}, distillation)
note("recorded too late")

# %% [markdown]
# **Symptom**: the loss falls, B is good, and A is forgotten as if nothing had been done. **Cause**: the network had to remember
# what a forgetful network says. **Find it**: measure A. **Repair**: record first, with the weights of the start.
#
# ## Exercises
#
# **Exercise 1 ★** How much of A is left after fine-tuning, as a share of what was known before? Put the number into `left`. (All
# numbers are in `results`.)

# %% tags=["exercise"]
left = ...
# solution
left = results["fine-tuning, all"][0] / results["before"][0]
# wrong: results["fine-tuning, all"][0]
# wrong: 2
# wrong: results["fine-tuning, all"][1] / results["before"][1]
# wrong: results["before"][0] - results["fine-tuning, all"][0]
# wrong: results["before"][0] / results["fine-tuning, all"][0]

# %%
check(
    "Exercise 1",
    left,
    lambda share: abs(share * results["before"][0] - results["fine-tuning, all"][0]) < 0.005,
    "What is left, divided by what was there. A is the first of the two numbers.",
)

# %% [markdown]
# **Exercise 2 ★★** A network in between. Write `middle(one, two, share)` for two lists of weight arrays, as `get_weights` gives
# them. It gives a list of arrays: those of `one` for a share of 0, those of `two` for 1, and between them on the straight line.
# Then try it: set the weights to `middle(start, tuned, 0.5)`, and call `accuracies()`.

# %% tags=["exercise"]
middle = ...


# solution
def middle(one, two, share):
    return [(1 - share) * first + share * second for first, second in zip(one, two, strict=True)]


# wrong: lambda one, two, share: [(a + b) / 2 for a, b in zip(one, two)]
# wrong: lambda one, two, share: [share * a + (1 - share) * b for a, b in zip(one, two)]
# wrong: lambda one, two, share: [a + share * b for a, b in zip(one, two)]
# wrong: lambda one, two, share: one if share < 0.5 else two
# wrong: 0.5

# %%
pair = [np.zeros((2, 3)), np.ones(4), np.ones(1)], [np.full((2, 3), 8.0), np.full(4, 5.0), np.ones(1)]


def lies_between(arrays, share):
    expected = [np.full((2, 3), 8 * share), np.full(4, 1 + 4 * share), np.ones(1)]
    right = [np.shape(one) == two.shape and np.allclose(one, two) for one, two in zip(arrays, expected, strict=True)]
    return all(right)


check(
    "Exercise 2",
    middle,
    lambda f: all(lies_between(list(f(*pair, share)), share) for share in (0, 0.25, 0.5, 1)),
    "Go through both lists together, with `zip`. One array gets `1 - share`, the other `share`.",
)

# %% [markdown]
# **Exercise 3 ★★★** Which temperature keeps how much of the small numbers? Write `entropy(p, temperature)` for probabilities of
# shape (pictures, classes). It softens each row with that temperature, and gives for each row the entropy: minus the sum of
# p · log p. (Natural logarithm.)

# %% tags=["exercise"]
entropy = ...


# solution
def entropy(p, temperature):
    soft = np.array(p) ** (1 / temperature)
    soft = soft / soft.sum(axis=1, keepdims=True)
    return -(soft * np.log(np.maximum(soft, 1e-30))).sum(axis=1)


# wrong: lambda p, temperature: -(p * np.log(np.maximum(p, 1e-30))).sum(axis=1)
# wrong: lambda p, temperature: -(q := (p ** temperature) / (p ** temperature).sum(1, keepdims=True)).sum(axis=1)
# wrong: lambda p, temperature: -((q := p ** (1 / temperature)) * np.log(np.maximum(q, 1e-30))).sum(axis=1)
# wrong: lambda p, temperature: np.log(p.shape[1]) * np.ones(len(p))
# wrong: 1.0

# %%
rows = np.array([[0.81, 0.16, 0.03], [0.97, 0.02, 0.01], [0.25, 0.25, 0.5]])


def entropies(temperature):
    soft = [[value ** (1 / temperature) for value in row] for row in rows]
    shares = [[value / sum(row) for value in row] for row in soft]
    return [-sum(value * np.log(value) for value in row) for row in shares]


check(
    "Exercise 3",
    entropy,
    lambda f: all(np.allclose(np.ravel(f(rows, heat)), entropies(heat), atol=1e-4) for heat in (1, 2, 5)),
    "Three steps: the power `1 / temperature`, sums of 1 in each row, then the entropy.",
)

# %% [markdown]
# ## What you have seen
#
# - Fine-tuning makes a network better on the new task, and worse on the old one. You see it only if you measure it.
# - Feature extraction forgets nothing. Joint training keeps more than fine-tuning, and needs the old pictures. Learning without
#   Forgetting keeps most, needs none, and costs accuracy on a far B.
# - A warm-up of the new head saves a part of the old task.
#
# **Can you say it without looking?** What is catastrophic forgetting? What does Learning without Forgetting write down, and
# when? Why can joint training often not be done?

# %% [markdown]
# **Read on:** Li and Hoiem, [Learning without Forgetting](https://arxiv.org/abs/1606.09282) (2016). Hinton, Vinyals and Dean,
# [Distilling the Knowledge in a Neural Network](https://arxiv.org/abs/1503.02531) (2015): where softened probabilities come from.
# Kirkpatrick and others, [Overcoming catastrophic forgetting](https://arxiv.org/abs/1612.00796) (2017): hold the parameters that
# matter for the old task. All ways in a table, with five seeds: docs/forgetting.md in the project.

# ---
# title: "Break it on purpose: how do silent mistakes look?"
# minutes: 45
# needs: lessons 2, 5 and 6
# step: test
# goals:
#   - recognise the silent mistakes of this field by their symptoms
#   - find the cause with a cell or two
#   - repair each of them
# ---

# %% [markdown]
# ## The idea
#
# A loud mistake stops the program. A **silent** mistake gives a number, and the number is wrong. All mistakes in this
# lesson are silent, and all of them are easily made.
#
# For each: the **symptom**, the **cause**, the **repair**. First comes the model that is right, to compare with.

# %%
import keras
import numpy as np
import kerastl as tl
from kerastl.graph import find_base_model, is_batch_norm

data = world.load()
found = {}


def plain_model(scale=True):
    """A frozen base and a head, as Keras's guide writes it."""
    base = find_base_model(world.build(data))
    image = keras.Input(base.input_shape[1:])
    x = keras.applications.mobilenet_v2.preprocess_input(image) if scale else image
    x = keras.layers.GlobalAveragePooling2D()(base(x, training=False))
    return keras.Model(
        image, keras.layers.Dense(len(data.class_names), activation="softmax", name="classifier")(x)
    ), base


# %%
def learn(model, dataset=data.train, rate=1e-3, epochs=3):
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)  # saves time: otherwise Keras prepares the step twice
    return model.fit(dataset, epochs=epochs, verbose=0).history["accuracy"][-1]


def note(name, model):
    found[name] = model.evaluate(data.validation, verbose=0, return_dict=True)["accuracy"]
    print(f"{name}: validation accuracy {found[name]:.3f}")


right, right_base = plain_model()
learn(right)
note("right", right)

# %% [markdown]
# ## 1. The wrong pixel scale
#
# **Predict.** We forget `preprocess_input`: the base gets 0 to 255 instead of -1 to 1. Will there be an error?
#
# <details><summary>Answer</summary>No. The base takes any numbers.</details>

# %%
unscaled, _ = plain_model(scale=False)
learn(unscaled)
note("wrong pixel scale", unscaled)

# %% [markdown]
# **Symptom**: it learns, but worse than it should. **Cause**: other numbers than the base was trained on. **Find it**: look
# at the smallest and the largest number that enter the base. **Repair**: the scaling belongs into the model.

# %%
images = next(iter(data.validation))[0].numpy()
scaled = keras.applications.mobilenet_v2.preprocess_input(images.astype("float32"))
print(f"the base wants {scaled.min():.0f} to {scaled.max():.0f} and got {images.min()} to {images.max()}")

# %% [markdown]
# ## 2. BatchNorm moves
#
# `plain_model` calls its base with `base(x, training=False)`, as Keras's guide says. This should keep BatchNorm still, also
# when the base is unfrozen later. On the Keras versions of today it does not, inside `fit`.
#
# **Predict.** We open the base of the model that is right, and train one epoch at a learning rate of 0. How many weight
# arrays change?
#
# <details><summary>Answer</summary>Two for each BatchNorm layer: its mean and its variance.</details>

# %%
right_base.trainable = True
start, in_use = tl.snapshot(right), right.evaluate(data.train, verbose=0)[1]
in_training = learn(right, rate=0.0, epochs=1)
moved = tl.changed_layers(start, tl.snapshot(right))
print(f"{len(moved)} weight arrays changed; the base has {sum(map(is_batch_norm, right_base.layers))} BatchNorm layers")
print(f"accuracy of the same weights on the same pictures: in use {in_use:.3f}, inside fit {in_training:.3f}")

# %% [markdown]
# **Symptom**: the training accuracy of phase 2 begins *below* the end of phase 1, since BatchNorm now takes the means of
# each batch. **Find it**: one epoch at a rate of 0, then `changed_layers`. **Repair**: `layer.trainable = False` for each
# BatchNorm layer; `unfreeze_top` does it.
#
# **Checkpoint.**

# %%
assert all("moving" in change.path for change in moved), "At a rate of 0 only the moving means and variances move."

# %% [markdown]
# ## 3. Not compiled again, or never unfrozen
#
# Two ways to a phase 2 in which the base learns nothing. The first: somebody sets `base.trainable = True` and calls `fit`
# again, without `compile`. The second: somebody compiles with a low rate, but never sets `trainable`.
#
# **Predict.** Does the base learn in the first way?
#
# <details><summary>Answer</summary>No. What may learn was fixed when the training was prepared for the first time.</details>

# %%
model, base = plain_model()
learn(model, epochs=1)
base.trainable = True
start = tl.snapshot(model)
history = model.fit(data.train.take(2), epochs=1, verbose=0)
print("layers that moved:", {change.path.split("/")[0] for change in tl.changed_layers(start, tl.snapshot(model))})

# %%
model, base = plain_model()
first = learn(model, epochs=1)
start = tl.snapshot(model)
second = learn(model, rate=1e-5, epochs=1)  # "phase 2", without the line that opens the base
print("what moved:", [change.path for change in tl.changed_layers(start, tl.snapshot(model))])

# %% [markdown]
# **Symptom**: phase 2 brings nothing, and the history looks like phase 1, continued. **Find it**: `changed_layers` names the
# head only. **Repair**: unfreeze, *then* compile. (`tl.fine_tune` refuses a base with nothing to train.)

# %% [markdown]
# ## 4. A rate that is too high
#
# **Predict.** Phase 2 with a rate a hundred times higher than in phase 1. What happens to what the base knew?
#
# <details><summary>Answer</summary>It is destroyed in a few steps.</details>

# %%
model = world.build(data)
history = tl.train_head(model, data, epochs=2, verbose=0)
before = tl.evaluate(model, data.validation).accuracy
tl.unfreeze_top(model, 30)
try:
    history = tl.fine_tune(model, data, epochs=1, learning_rate=0.1, views=0, verbose=0)
except ValueError as error:
    print(error)
after = tl.evaluate(model, data.validation).accuracy
found["rate too high"] = after
print(f"before {before:.3f}, after {after:.3f}")

# %% [markdown]
# **Symptom**: the accuracy falls, or the loss is no number any more. **Repair**: begin lower than in phase 1, as `fine_tune`
# does when you give no rate, and look at the first epoch. Lesson 6 shows how to choose a rate.

# %% [markdown]
# ## 5. A leak
#
# Somebody shuffles all pictures, takes the first hundred for the test, and trains on the rest.
#
# **Predict.** How many of the hundred are also trained on?
#
# <details><summary>Answer</summary>Most. The data set is shuffled anew each time that it is read, so *the first hundred* are
# others each time.</details>

# %%
everything = data.train.unbatch().shuffle(1000, seed=0)
test, train = everything.take(100), everything.skip(100)
tested = {image.numpy().tobytes() for image, _ in test}
trained = {image.numpy().tobytes() for image, _ in train}
print(f"{len(tested & trained)} of {len(tested)} test pictures are trained on in the first epoch alone")

# %% [markdown]
# **Symptom**: a test accuracy that is too good; lesson 2 shows how much. **Find it**: look for pictures that are in two
# parts. **Repair**: split first, then do everything else.

# %% [markdown]
# ## 6. Augment, then keep
#
# `dataset.map(augment).cache()` changes each picture once and keeps it so. In all epochs the network sees the same damage.

# %%
import matplotlib.pyplot as plt

augment = keras.layers.RandomRotation(0.5)
kept = data.train.map(lambda x, y: (x, augment(keras.ops.cast(x, "float32"), training=True))).cache()
list(kept)  # one pass fills the cache
(before, one), (_, two) = ([part.numpy() for part in next(iter(kept))] for epoch in range(2))
print("the same 'augmented' pictures in both epochs:", bool(np.array_equal(one, two)))
figure, grid = plt.subplots(3, 5, figsize=(7, 4.5), layout="constrained")
for row, pictures, title in zip(grid, (before, one, two), ("as it is", "first epoch", "second epoch")):
    row[0].set_title(title, fontsize=9, loc="left")
    for axes, picture in zip(row, pictures):
        axes.imshow(picture / 255)
        axes.set_axis_off()

# %% [markdown]
# Each picture is turned, and in the second epoch it is turned in just the same way. **Symptom**: augmentation brings nothing.
# **Find it**: draw some pictures in two epochs. **Repair**: augment after the cache, or inside the model, as `build_model` does.

# %% [markdown]
# ## 7. From scratch, with stale BatchNorm
#
# In use, BatchNorm takes its stored means. They follow slowly: Keras's MobileNetV2 keeps 999 parts in a thousand of the old
# value in each step. That suits weeks of training. After a hundred steps the stored means are still near their start.
#
# **Predict.** Training from scratch, for eight epochs: which is higher, the training or the validation accuracy?
#
# <details><summary>Answer</summary>Training, by far. Validation uses the stored means, which fit nothing yet.</details>

# %%
scratch = tl.build_model("MobileNetV2", data, weights=None, alpha=world.alpha)
find_base_model(scratch).trainable = True
training = learn(scratch, rate=3e-3, epochs=8)
note("from scratch, stale BatchNorm", scratch)
print(f"training accuracy {training:.3f}, guessing {1 / len(data.class_names):.3f}")

# %% [markdown]
# **Symptom**: it looks like overfitting, but validation stays near guessing from the beginning. And in a comparison,
# transfer looks better than it is. **Repair**: a lower `momentum` in each BatchNorm layer; `train_from_scratch` sets it.
#
# ## Exercises
#
# **Exercise 1 ★** Which of the runs in `found` is the worst? Put its name into `worst`. If two are
# equally bad, either name is right.

# %% tags=["exercise"]
worst = ...
# solution
worst = min(found, key=found.get)
# wrong: max(found, key=found.get)
# wrong: min(found.values())
# wrong: "right"
# wrong: 0.2

# %%
check("Exercise 1", worst, lambda name: found[name] == min(found.values()), "`found` holds an accuracy for each name.")

# %% [markdown]
# **Exercise 2 ★★** Somebody gives you `suspicious` and says: "only the head learns". Do not believe it. Train it for one
# epoch, and put the paths of all weight arrays that changed into the set `changed`.

# %% tags=["exercise"]
suspicious = world.build(data)
find_base_model(suspicious).layers[-3].trainable = True
suspicious.compile("adam", "sparse_categorical_crossentropy")
changed = ...
# solution
start = tl.snapshot(suspicious)
history = suspicious.fit(data.validation, epochs=1, verbose=0)
changed = {change.path for change in tl.changed_layers(start, tl.snapshot(suspicious))}
# wrong: 3
# wrong: {"classifier/kernel", "classifier/bias"}
# wrong: {weight.path for weight in suspicious.weights}
# wrong: {layer.name for layer in find_base_model(suspicious).layers}

# %%
learns = {weight.path for weight in suspicious.trainable_weights}
check("Exercise 2", changed, lambda paths: set(paths) == learns, "A snapshot before, one after, and `changed_layers`.")

# %% [markdown]
# **Exercise 3 ★★★** Write a doctor for models: a function `diagnose(model)`. It gets a compiled model, trains it for one
# epoch on a few batches, and returns one of three texts: `"BatchNorm moves"`, `"only the head learns"`, or `"the base
# learns"`. The check asks it about four patients. One of them was unfrozen too late, so the switches alone do not tell.

# %% tags=["exercise"]
diagnose = ...


# solution
def diagnose(model):
    start = tl.snapshot(model)
    model.fit(data.validation.take(2), epochs=1, verbose=0)
    paths = [change.path for change in tl.changed_layers(start, tl.snapshot(model))]
    if any("moving" in path for path in paths):
        return "BatchNorm moves"
    if all(path.startswith("classifier") for path in paths):
        return "only the head learns"
    return "the base learns"


# wrong: lambda model: "only the head learns"
# wrong: lambda model: "the base learns" if find_base_model(model).trainable_weights else "only the head learns"
# wrong: lambda model: truth[min(len(find_base_model(model).trainable_weights), 2)]
# wrong: 3

# %%
patients = [world.build(data) for answer in range(4)]
tl.unfreeze_top(patients[1], 3)
find_base_model(patients[2]).layers[-2].trainable = True
for patient in patients:
    patient.compile("adam", "sparse_categorical_crossentropy")
history = patients[3].fit(data.validation.take(1), verbose=0)
find_base_model(patients[3]).layers[-3].trainable = True
truth = ["only the head learns", "the base learns", "BatchNorm moves", "only the head learns"]
check("Exercise 3", diagnose, lambda doctor: [doctor(one) for one in patients] == truth, "Look at what changed.")

# %% [markdown]
# ## What you have seen

# %%
for name, accuracy in found.items():
    print(f"{name:34} {accuracy:.3f}")

# %% [markdown]
# - None of these gave an error by itself.
# - Two tools found nearly all: `snapshot` with `changed_layers`, and looking at pictures.
#
# **Can you say it without looking?** How do you find out whether BatchNorm moves? What is the symptom of a leak? Why must
# you compile again?
#
# **Read on:** `tests/test_traps.py` of this project proves each trap on the Keras version that you have.

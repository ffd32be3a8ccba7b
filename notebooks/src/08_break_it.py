# ---
# title: "Break it on purpose: how do silent mistakes look?"
# minutes: 40
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
# lesson are silent, and all of them are in tutorials that many people copy.
#
# For each: the **symptom**, the **cause**, the **repair**. First comes the model that is right, to compare with.

# %%
import keras
import numpy as np
import kerastl as tl
from kerastl.data import make_dataset
from kerastl.graph import find_base_model, is_batch_norm

data = world.load()
found = {}


def plain_model(scale=True):
    """A frozen base and a head, in plain Keras."""
    base = find_base_model(world.build(data))
    image = keras.Input(base.input_shape[1:])
    x = keras.applications.mobilenet_v2.preprocess_input(image) if scale else image
    x = keras.layers.GlobalAveragePooling2D()(base(x))
    return keras.Model(
        image, keras.layers.Dense(len(data.class_names), activation="softmax", name="classifier")(x)
    ), base


# %%
def learn(model, dataset=data.train, rate=1e-3, epochs=3):
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(dataset, epochs=epochs, verbose=0)


def note(name, model):
    found[name] = model.evaluate(data.validation, verbose=0, return_dict=True)["accuracy"]
    print(f"{name}: validation accuracy {found[name]:.3f}")


right, _ = plain_model()
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
# Somebody unfreezes the base and writes `base(x, training=False)`, as Keras's guide says. This should keep BatchNorm
# still. On the Keras versions of today it does not, inside `fit`.
#
# **Predict.** At a learning rate of 0: how many weights move?
#
# <details><summary>Answer</summary>Two for each BatchNorm layer: its mean and its variance.</details>

# %%
model, base = plain_model()
base.trainable = True
start = tl.snapshot(model)
learn(model, rate=0.0, epochs=1)
moved = tl.changed_layers(start, tl.snapshot(model))
print(f"{len(moved)} weights moved; the base has {sum(map(is_batch_norm, base.layers))} BatchNorm layers")
note("BatchNorm moved, nothing learned", model)

# %% [markdown]
# **Symptom**: phase 2 begins *worse* than phase 1 ended. **Find it**: one epoch at a rate of 0, then `changed_layers`.
# **Repair**: `layer.trainable = False` for each BatchNorm layer; `unfreeze_top` does it.
#
# **Checkpoint.**

# %%
assert all("moving" in change.path for change in moved), "At a rate of 0 only the moving means and variances move."

# %% [markdown]
# ## 3. Not compiled again
#
# **Predict.** A model was trained with a frozen base. Now we set `base.trainable = True` and call `fit` again, without
# `compile`. Does the base learn?
#
# <details><summary>Answer</summary>No. What may learn was fixed when the training was prepared for the first time.</details>

# %%
model, base = plain_model()
learn(model, epochs=1)
base.trainable = True
start = tl.snapshot(model)
model.fit(data.train.take(2), epochs=1, verbose=0)
print("layers that moved:", {change.path.split("/")[0] for change in tl.changed_layers(start, tl.snapshot(model))})

# %% [markdown]
# **Symptom**: phase 2 brings nothing. **Find it**: `changed_layers` names the head only. **Repair**: compile after each
# change of `trainable`.

# %% [markdown]
# ## 4. A rate that is too high
#
# **Predict.** Phase 2 with a rate a hundred times higher than in phase 1. What happens to what the base knew?
#
# <details><summary>Answer</summary>It is destroyed in a few steps.</details>

# %%
model = world.build(data)
tl.train_head(model, data, epochs=3, verbose=0)
before = tl.evaluate(model, data.validation).accuracy
tl.unfreeze_top(model, 30)
try:
    tl.fine_tune(model, data, epochs=2, learning_rate=0.1, views=0, verbose=0)
except ValueError as error:
    print(error)
after = tl.evaluate(model, data.validation).accuracy
found["rate too high"] = after
print(f"before {before:.3f}, after {after:.3f}")

# %% [markdown]
# **Symptom**: the accuracy falls, or the loss is no number any more. **Repair**: begin at a rate that is at least ten times
# lower than in phase 1, and look at the first epoch.

# %% [markdown]
# ## 5. A leak
#
# The test pictures are in the training part. Lesson 2 tells how this happens.

# %%
pictures, labels = (np.concatenate(arrays) for arrays in zip(*[(x.numpy(), y.numpy()) for x, y in data.validation]))
model = world.build(data)
tl.unfreeze_top(model, 30)
leaky = data._replace(train=make_dataset(pictures, labels, shuffle=True))
tl.fine_tune(model, leaky, epochs=10, learning_rate=1e-3, verbose=0)
found["leak"] = tl.evaluate(model, data.validation).accuracy
print(
    f"on pictures that it has learned by heart {found['leak']:.3f}, on others {tl.evaluate(model, data.test).accuracy:.3f}"
)

# %% [markdown]
# **Symptom**: too good. **Find it**: look for pictures that are in two parts. **Repair**: split first, then do everything
# else.

# %% [markdown]
# ## 6. Augment, then keep
#
# `dataset.map(augment).cache()` changes each picture once and keeps it so. In all epochs the network sees the same damage.

# %%
augment = keras.layers.RandomRotation(0.5)
kept = data.train.map(lambda x, y: (augment(keras.ops.cast(x, "float32"), training=True), y)).cache()
one, two = (list(kept)[0][0].numpy() for epoch in range(2))
print("the same 'augmented' pictures in both epochs:", bool(np.array_equal(one, two)))

# %% [markdown]
# **Symptom**: augmentation brings nothing. **Find it**: draw one picture in two epochs. **Repair**: augment after the
# cache, or inside the model, as `build_model` does.

# %% [markdown]
# ## 7. A base that was never unfrozen
#
# This one is in a well-known book: the section on fine-tuning never sets `trainable`. Everything runs.
#
# **Predict.** What does the history look like?
#
# <details><summary>Answer</summary>Like phase 1, continued. Nothing looks wrong.</details>

# %%
model, base = plain_model()
learn(model, epochs=2)
start = tl.snapshot(model)
learn(model, rate=1e-5, epochs=2)  # "phase 2", without the line that opens the base
print("moved:", [change.path for change in tl.changed_layers(start, tl.snapshot(model))])

# %% [markdown]
# **Find it**: the same two lines as always. That is the whole lesson: copy the weights, train, compare. (`tl.fine_tune`
# refuses a base with nothing to train.)

# %% [markdown]
# ## Exercises
#
# **Exercise 1 ★** Which of the runs in `found` is the worst? Put its name into `worst`.

# %% tags=["exercise"]
worst = ...
# solution
worst = min(found, key=found.get)

# %%
check("Exercise 1", worst, lambda name: found[name] == min(found.values()), "`min(found, key=found.get)`.")

# %% [markdown]
# **Exercise 2 ★★** Here is a model with a mistake. Find out which weights learn, and put their number into `learning`.

# %% tags=["exercise"]
suspicious = world.build(data)
find_base_model(suspicious).layers[-3].trainable = True
learning = ...
# solution
learning = len(suspicious.trainable_weights)

# %%
check("Exercise 2", learning, lambda n: n == len(suspicious.trainable_weights), "`suspicious.trainable_weights`.")

# %% [markdown]
# **Exercise 3 ★★★** Write a function `healthy(model)` that is true when every BatchNorm layer of the base is held still.

# %% tags=["exercise"]
healthy = ...


# solution
def healthy(model):
    return not any(layer.trainable for layer in find_base_model(model).layers if is_batch_norm(layer))


# %%
good, bad = world.build(data), world.build(data)
find_base_model(bad).trainable = True
check("Exercise 3", healthy, lambda test: test(good) and not test(bad), "Go over the layers; ask each for `trainable`.")

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

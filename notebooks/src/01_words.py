# ---
# title: "What do the words mean?"
# minutes: 30
# needs: lesson 0
# step: build
# goals:
#   - explain pre-trained, feature extraction, transfer learning, fine-tuning, from scratch and end-to-end
#   - show for each of them which parameters of a network learn
#   - follow a text that uses two of these words as one
# ---

# %% [markdown]
# ## Why so many words?
#
# ![A network learns a first task; its knowledge goes over to a network for a new task.](pictures/transfer-learning.svg)
#
# These words come from different people, who do not use them alike. Some say *transfer learning* when only the head learns,
# and *fine-tuning* when more learns. Others use both words for everything that begins with a pre-trained network. Neither is
# wrong. But you have to know what a text means.
#
# So we do not argue. For each word we make the network, look at what can learn, run it, and measure.

# %%
import keras

import kerastl as tl
from kerastl.graph import find_base_model

data = world.load()
found, strips = [], []  # for each word: what can learn, accuracy; and its blocks, to be drawn at the end

# %% [markdown]
# One small function notes each run. All runs get the same pictures and the same number of epochs. We compare on *validation*
# pictures: the test pictures are for the end of a project. It is one run each. Another **seed** (the number from which all chance
# of a run comes) moves the accuracies a little. So a difference of one or two hundredths means nothing here.

# %%
EPOCHS = 6


def note(word, model, accuracy):
    strips.append(tl.list_blocks(model))
    total = strips[-1].total
    found.append((word, total.trainable / total.parameters, accuracy))
    print(f"{word}: {total.trainable:,} parameters can learn, validation accuracy {accuracy:.3f}")


# %% [markdown]
# ## 1. Pre-trained
#
# ![Many pictures go into a network, all of which learns; its parameters are saved in a file.](pictures/pre-trained-model.svg)
#
# A **pre-trained** network has learned before, on other data, and usually on much more of them. What it learned is in its
# parameters. You load them from a file.
#
# Without its old classifier it is called the **base**. Let us ask what a base knows before it learns anything here.
#
# **Predict.** A new head has random parameters. How good is the whole network before any training?
#
# <details><summary>Answer</summary>Near guessing. The base is pre-trained, the head is not.</details>

# %%
model = world.build(data)
note("pre-trained, untrained head", model, tl.evaluate(model, data.validation).accuracy)
print(f"guessing: {1 / len(data.class_names):.3f}")

# %% [markdown]
# ## 2. Feature extraction
#
# ![Picture, locked base, row of features, small classifier; only the classifier learns.](pictures/feature-extraction.svg)
#
# Here the base does not change. For each picture it gives a row of numbers, the **features**. A simple classifier learns
# from these rows. It need not be a network: here it is logistic regression from scikit-learn (lesson 4 explains it).
#
# Some texts call exactly this *transfer learning*.

# %%
from sklearn.linear_model import LogisticRegression

train, validation = tl.extract_features(model, data.train), tl.extract_features(model, data.validation)
print("pictures, features:", train.values.shape)

# %%
extractor = keras.Model(model.input, model.get_layer("pool").output)  # the network without its head
classifier = LogisticRegression(max_iter=2000).fit(*train)
note("feature extraction", extractor, classifier.score(*validation))

# %% [markdown]
# No parameter of the network learned anything. And yet the result is far above guessing. The knowledge was there before.
#
# The same idea inside one network: a frozen base, and a head that learns. This is our **phase 1**.

# %%
tl.train_head(model, data, epochs=EPOCHS, verbose=0)
note("feature extraction with a head", model, tl.evaluate(model, data.validation).accuracy)

# %% [markdown]
# **Checkpoint.**

# %%
assert all(not layer.trainable_weights for layer in find_base_model(model).layers), "The base should be frozen."

# %% [markdown]
# ## 3. Fine-tuning
#
# ![A pre-trained network learns further; afterwards its upper blocks are a little changed.](pictures/fine-tuning.svg)
#
# **Fine-tuning** means: parameters that were pre-trained learn further, on the new task. How many of them? Texts disagree.
# Many mean the top layers, some mean all. Both run here. Half of the epochs go to phase 1, half to phase 2.
#
# **Predict.** After `unfreeze_top(model, 30)`, can more than half of all parameters learn?
#
# <details><summary>Answer</summary>Yes. The top layers hold the most parameters, although they are only a fifth of the
# layers.</details>


# %%
def fine_tuned(layers):
    model = world.build(data)
    tl.train_head(model, data, epochs=EPOCHS // 2, verbose=0)
    tl.unfreeze_top(model, layers)
    tl.fine_tune(model, data, epochs=EPOCHS // 2, verbose=0)
    return model


# %%
model = fine_tuned(30)
note("fine-tuning, top 30 layers", model, tl.evaluate(model, data.validation).accuracy)

# %% [markdown]
# Now all layers, also those at the bottom, which know edges and colours. It takes more time: no part of the base stays the
# same, so all of it has to run again in each epoch.

# %%
model = fine_tuned("all")
note("fine-tuning, all layers", model, tl.evaluate(model, data.validation).accuracy)

# %% [markdown]
# Not every parameter can learn: the layers called BatchNorm are still held still (lesson 6 explains them). Is it better than
# the top alone? One run each cannot tell. `data/README.md` of this project has tables with five seeds.

# %% [markdown]
# ## 4. From scratch, and end-to-end
#
# ![A network full of question marks, its random parameters, learns everything.](pictures/learning-from-scratch.svg)
#
# **From scratch** means: the same network with random parameters. It has to learn even edges and colours from your pictures.
#
# ![From the pixels to the answer, every block of the network is orange: all of it learns.](pictures/end-to-end.svg)
#
# **End-to-end** means something else: one network from the pixels to the answer, and *all* of it learns for the task.
# Learning from scratch is end-to-end. Fine-tuning all layers is end-to-end, too. Feature extraction is not.
#
# **Predict.** With as many epochs as the others: will it be near guessing, or near the others?
#
# <details><summary>Answer</summary>See below. With so few pictures and epochs it stays behind.</details>

# %%
scratch = tl.build_model("MobileNetV2", data, weights=None, alpha=world.alpha)
tl.train_from_scratch(scratch, data, epochs=EPOCHS, verbose=0)
note("from scratch", scratch, tl.evaluate(scratch, data.validation).accuracy)

# %% [markdown]
# ## The words, measured
#
# Each strip below is a network, from the picture on the left to the head on the right. The wider a block, the more parameters
# it has. Blue is frozen, orange can learn. The lighter blue with dots is BatchNorm, which is held still.

# %%
axes = tl.plot_layers(*strips, titles=[word for word, _, _ in found])

# %%
for word, share, accuracy in found:
    print(f"{word:32} {share:6.1%} of the parameters can learn   validation accuracy {accuracy:.3f}")

# %% [markdown]
# ![A table of two questions. For a new task the word is transfer learning. If pre-trained parameters learn further, the word is fine-tuning. In one field of the table both words fit.](pictures/two-words.svg)
#
# **Transfer learning** is the name of the whole idea: knowledge from one task is the start for another. In the table of runs
# it covers every row but two: the first, where nothing was learned, and the last, which starts from nothing.
#
# ## Break it on purpose
#
# A text says: "We use transfer learning: we set `weights="imagenet"` and train." Which layers learned? You cannot tell.
# The same sentence can stand for four of the six rows. Here somebody thinks that the base is frozen.

# %%
confused = world.build(data)
find_base_model(confused).trainable = True
total = tl.list_blocks(confused).total
print(f"{total.trainable:,} of {total.parameters:,} parameters would learn")

# %% [markdown]
# One line, somewhere in the notebook, and feature extraction has become fine-tuning of everything. The **repair** is
# `tl.freeze(model)`. The **habit**: never trust the word, look at what is trainable.

# %%
tl.freeze(confused)
print(f"{tl.list_blocks(confused).total.trainable:,} parameters can learn now")

# %% [markdown]
# ## Exercises
#
# **Exercise 1 ★** Which of the runs in the table are end-to-end learning? Put their names into a set.

# %% tags=["exercise"]
end_to_end = ...
# solution
end_to_end = {"from scratch", "fine-tuning, all layers"}
# wrong: {"from scratch"}
# wrong: {"fine-tuning, top 30 layers", "fine-tuning, all layers"}
# wrong: {word for word, share, accuracy in found}
# wrong: 2

# %%
shares = {word: share for word, share, _ in found}
check(
    "Exercise 1", end_to_end, lambda s: len(set(s)) == 2 and min(shares[word] for word in s) > 0.9, "All layers learn."
)

# %% [markdown]
# **Exercise 2 ★★** Build a new model in which only two things can learn: the head, and the base from its layer
# `block_16_expand` to its top. BatchNorm is held still. `tl.unfreeze_top` also takes the name of a layer. Put the model into
# `opened`.

# %% tags=["exercise"]
opened = ...
# solution
opened = world.build(data)
report = tl.unfreeze_top(opened, "block_16_expand")
# wrong: report
# wrong: world.build(data)
# wrong: fine_tuned(30)
# wrong: confused
# wrong: 10


# %%
def what_learns(model):
    """The paths of all arrays that one step of training changes."""
    start = tl.snapshot(model)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(data.validation.take(1), verbose=0)
    return {change.path for change in tl.changed_layers(start, tl.snapshot(model))}


wanted = {"block_16_expand", "block_16_depthwise", "block_16_project", "Conv_1", "classifier"}
check(
    "Exercise 2",
    opened,
    lambda m: {path.split("/")[0] for path in what_learns(m)} == wanted,
    "Other layers learn, too.",
)

# %% [markdown]
# **Exercise 3 ★★★** Somebody gives you two snapshots of a model, before and after training. Write `say_word(before, after)`. It
# returns `"nothing learned"`, `"feature extraction"` (no array of the base changed), `"end-to-end"` (all arrays of the base
# changed, those of BatchNorm may be left out), or else `"fine-tuning"`. `list(start)` shows the names of the arrays; in
# BatchNorm they end in `gamma`, `beta`, `moving_mean` and `moving_variance`. The check has pairs of its own.

# %% tags=["exercise"]
start = tl.snapshot(model)
say_word = ...


# solution
def say_word(before, after):
    changed = {change.path for change in tl.changed_layers(before, after)}
    base = {path for path in before if not path.startswith("classifier")}
    of_batch_norm = {path for path in base if path.endswith(("gamma", "beta", "moving_mean", "moving_variance"))}
    if not changed:
        return "nothing learned"
    if not changed & base:
        return "feature extraction"
    return "end-to-end" if base - of_batch_norm <= changed else "fine-tuning"


# wrong: lambda before, after: "fine-tuning"
# wrong: lambda before, after: "end-to-end" if len(tl.changed_layers(before, after)) == len(before) else "fine-tuning"
# wrong: lambda before, after: "end-to-end" if len(tl.changed_layers(before, after)) > 50 else "fine-tuning"
# wrong: lambda a, b: "end-to-end" if all((a[k] != b[k]).any() for k in ("Conv1/kernel", "Conv_1/kernel")) else "fine-tuning"
# wrong: lambda before, after: found[len(tl.changed_layers(before, after)) % 6][0]
# wrong: "feature extraction"
# wrong: 4

# %%
first = tl.snapshot(scratch)
kernels = [path for path in first if path.endswith("kernel")]
pairs = [("nothing learned", []), ("end-to-end", kernels), ("end-to-end", list(first))]
pairs += [("feature extraction", kernels[-1:]), ("feature extraction", ["classifier/bias"])]
pairs += [("fine-tuning", kernels[-5:]), ("fine-tuning", kernels[:3]), ("fine-tuning", ["bn_Conv1/gamma"])]
rest = [path for path in first if path not in kernels and not path.startswith("classifier")]
pairs += [("fine-tuning", rest), ("fine-tuning", kernels[:9] + kernels[10:] + rest), ("end-to-end", kernels[:-1])]


def after(paths):
    return {path: array + (path in paths) for path, array in first.items()}


def says_right(say):
    return all(say(first, after(paths)) == word for word, paths in pairs)


check("Exercise 3", say_word, says_right, "Which arrays changed? Which of them are of the base, and not of BatchNorm?")

# %% [markdown]
# ## What you have seen
#
# - *Pre-trained* and *from scratch* say where the parameters come from. *Feature extraction*, *fine-tuning* and *end-to-end*
#   say which of them learn.
# - *Transfer learning* is the idea; *feature extraction* and *fine-tuning* are two ways to do it.
# - Many people use *transfer learning* and *fine-tuning* as one word. Look at the code.
#
# **Can you say it without looking?** What does not change in feature extraction? Is fine-tuning always end-to-end? What
# must a network learn from scratch that a base knows already?
#
# **Read on:** Li and Hoiem, [Learning without Forgetting](https://arxiv.org/abs/1606.09282) (2016), figure 2, draws these ways
# side by side. The glossary (`GLOSSARY.md`) has these words in English and Japanese.

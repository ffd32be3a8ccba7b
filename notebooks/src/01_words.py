# ---
# title: "What do the words mean?"
# minutes: 30
# needs: lesson 0
# step: build
# goals:
#   - explain pre-trained, feature extraction, transfer learning, fine-tuning, from scratch and end-to-end
#   - show for each of them which weights of a network learn
#   - follow a text that uses two of these words as one
# ---

# %% [markdown]
# ## Why so many words?
#
# People took these words from different places, and they do not use them alike. Some say *transfer learning* when only
# the head learns, and *fine-tuning* when more does. Others use both words for everything that begins with a pre-trained
# network. Neither is wrong. But you have to know which one a text means.
#
# So we do not argue. For each word we make the network, colour what can learn, run it, and measure.

# %%
import keras

import kerastl as tl
from kerastl.graph import find_base_model

data = world.load()
found = []  # one row for each word: what can learn, accuracy

# %% [markdown]
# One small function notes and draws each run. All runs get the same pictures and the same number of epochs. It is one run
# each: another seed moves the accuracies a little, so a difference of one or two hundredths means nothing here.

# %%
EPOCHS = 6


def note(word, model, accuracy):
    total = tl.list_blocks(model).total
    found.append((word, total.trainable / total.parameters, accuracy))
    print(f"{word}: test accuracy {accuracy:.3f}")
    tl.plot_layers(model)


# %% [markdown]
# ## 1. Pre-trained
#
# A **pre-trained** network has learned before, on other data, and usually on much more of them. What it learned is in its
# weights. You load them from a file.
#
# Without its old classifier it is called the **base**. Let us ask what a base knows before it learns anything here.
#
# **Predict.** A new head has random weights. How good is the whole network before any training?
#
# <details><summary>Answer</summary>Near guessing. The base is pre-trained, the head is not.</details>

# %%
model = world.build(data)
note("pre-trained, untrained head", model, tl.evaluate(model, data.test).accuracy)

# %% [markdown]
# Each bar is a block of the network, from the image on the left to the head on the right. The higher the bar, the more
# parameters. Blue cannot learn, orange can. The lighter blue with dots is BatchNorm; lesson 6 tells what that is.

# %% [markdown]
# ## 2. Feature extraction
#
# Here the base is only read. For each picture it gives a row of numbers, the **features**. A simple classifier learns
# from these rows. It need not be a network: here it is logistic regression from scikit-learn. The base does not change.
#
# Some texts call exactly this *transfer learning*.

# %%
from sklearn.linear_model import LogisticRegression

train, test = tl.extract_features(model, data.train), tl.extract_features(model, data.test)
print("pictures, features:", train.values.shape)

# %%
extractor = keras.Model(model.input, model.get_layer("pool").output)  # the network without its head
classifier = LogisticRegression(max_iter=2000).fit(*train)
note("feature extraction", extractor, classifier.score(*test))

# %% [markdown]
# Nothing is orange: no weight of the network learned anything. And yet the result is far above guessing. The knowledge was
# there before.
#
# The same idea inside one network: a frozen base, and a head that learns. This is our **phase 1**.

# %%
tl.train_head(model, data, epochs=EPOCHS, verbose=0)
note("feature extraction with a head", model, tl.evaluate(model, data.test).accuracy)

# %% [markdown]
# **Checkpoint.**

# %%
assert all(not layer.trainable_weights for layer in find_base_model(model).layers), "The base should be frozen."

# %% [markdown]
# ## 3. Fine-tuning
#
# **Fine-tuning** means: weights that were pre-trained learn further, on the new task. How many of them? Texts disagree.
# Many mean the top layers, some mean all. Both run here.
#
# Half of the epochs go to phase 1, half to phase 2.
#
# **Predict.** After `unfreeze_top(model, 30)`, is more than half of all parameters orange?
#
# <details><summary>Answer</summary>Yes. The top layers are the largest, although they are only a fifth of the
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
note("fine-tuning, top 30 layers", model, tl.evaluate(model, data.test).accuracy)

# %% [markdown]
# Now all layers, also those at the bottom, which know edges and colours. It takes more time: no part of the base stays the
# same, so all of it is computed again in each epoch.

# %%
model = fine_tuned(len(find_base_model(model).layers))
note("fine-tuning, all layers", model, tl.evaluate(model, data.test).accuracy)

# %% [markdown]
# Not everything is orange: BatchNorm is still held still. Is it better than the top alone? One run each cannot tell. The
# README of this project has a table with five seeds.

# %% [markdown]
# ## 4. From scratch, and end-to-end
#
# **From scratch** means: the same network, but with random weights. It knows nothing and has to learn edges and colours
# first, from your few pictures.
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
note("from scratch", scratch, tl.evaluate(scratch, data.test).accuracy)

# %% [markdown]
# ## The words, measured
#
# **Transfer learning** is the name of the whole idea: knowledge from one task is the start for another. In this table it
# covers every row but two: the first, where nothing was learned, and the last, which starts from nothing.

# %%
for word, share, accuracy in found:
    print(f"{word:32} {share:6.1%} of the parameters learn   test accuracy {accuracy:.3f}")

# %% [markdown]
# ## Break it on purpose
#
# A text says: "We use transfer learning: we set `weights="imagenet"` and train." Which layers learned? You cannot tell.
# The same line can stand for each row of the table. Here somebody thinks that the base is frozen.

# %%
confused = world.build(data)
find_base_model(confused).trainable = True
total = tl.list_blocks(confused).total
print(f"{total.trainable:,} of {total.parameters:,} parameters would learn")

# %% [markdown]
# One forgotten line, and feature extraction has become fine-tuning of everything. The **repair** is `tl.freeze(model)`.
# The **habit**: never trust the word, look at what is trainable.

# %%
tl.freeze(confused)
print(f"{tl.list_blocks(confused).total.trainable:,} parameters learn now")

# %% [markdown]
# ## Exercises
#
# **Exercise 1 ★** Which of the words in the table stand for end-to-end learning? Put their names into a set.

# %% tags=["exercise"]
end_to_end = ...
# solution
end_to_end = {"from scratch", "fine-tuning, all layers"}

# %%
check("Exercise 1", end_to_end, lambda s: s == {word for word, share, _ in found if share > 0.9}, "All layers learn.")

# %% [markdown]
# **Exercise 2 ★★** How many features does the base give for each picture?

# %% tags=["exercise"]
features = ...
# solution
features = train.values.shape[1]

# %%
check("Exercise 2", features, lambda n: n == find_base_model(model).output_shape[-1], "Look at `train.values`.")

# %% [markdown]
# **Exercise 3 ★★★** Unfreeze only the last block. Build a new model, name the lowest layer to unfreeze, as in
# `tl.unfreeze_top(model, "block_16_expand")`, and put what it returns into `opened`.

# %% tags=["exercise"]
opened = ...
# solution
opened = tl.unfreeze_top(world.build(data), "block_16_expand")

# %%
check("Exercise 3", opened, lambda u: u.first_layer == "block_16_expand", "Give the name instead of a number.")

# %% [markdown]
# ## What you have seen
#
# - *Pre-trained* says where the weights come from. The other words say which weights learn.
# - *Transfer learning* is the idea; *feature extraction* and *fine-tuning* are two ways to do it.
# - Many people use *transfer learning* and *fine-tuning* as one word. Look at the code.
#
# **Can you say it without looking?** What does not change in feature extraction? Is fine-tuning always end-to-end? What
# is learned from scratch first?
#
# **Read on:** Li and Hoiem, [Learning without Forgetting](https://arxiv.org/abs/1606.09282) (2016), figure 2, draws these ways side by side.

# ---
# title: "The capstone: can you do it alone, in plain Keras?"
# minutes: 90
# needs: lessons 0, 2, 5, 6 and 10
# step: load
# goals:
#   - go from a folder of pictures to a tested model in one file
#   - do each step in plain Keras, without a helper of this course
#   - hand over work that somebody else can check
# ---

# %%
from kerastl.course import examine, make_task, seal

task = make_task(world)
print(f"pictures:     {sum(1 for _ in task.folder.glob('*/*.png'))} files in task.folder")
print(f"classes:      {', '.join(sorted(place.name for place in task.folder.iterdir()))}")
print(f"base:         keras.applications.MobileNetV2(weights=task.weights, alpha={task.alpha})")
print(f"picture size: {task.image_size}, bar: {task.bar:.2f} of the test pictures named rightly")

# %% [markdown]
# ## What to do
#
# Everything comes from `keras`, TensorFlow, NumPy and Python. Only `seal` and `examine` come from this course.
#
# 1. Look at the folder. As in real folders, some pictures are there twice, under two names.
# 2. Split it into three parts, `train`, `validation` and `test`. No picture may be in two of them.
# 3. Seal the test part at once: `test = seal(test)`. It then notes when it is read.
# 4. Build a model on the frozen base, with a new head. Save it as `start.keras`.
# 5. Phase 1. Save `phase1.keras`.
# 6. Phase 2: the top of the base, BatchNorm still, compiled again, a low rate. Save `final.keras`.
# 7. Test once, with `evaluate`.
#
# Save with `model.save`, and keep what `fit` returns. The table below tells what is right, and what is missing.

# %% tags=["exercise"]
# Your page. Add as many cells as you like.
# solution
import hashlib
import shutil

import keras
import numpy as np
import tensorflow as tf

# %% [markdown] tags=["solution"]
# **Look.** Equal bytes are the same picture: keep one file of each.

# %% tags=["solution"]
different = {hashlib.sha256(file.read_bytes()).digest(): file for file in sorted(task.folder.glob("*/*.png"))}
files = sorted(different.values())
print(f"{len(files)} different pictures")

# %% [markdown] tags=["solution"]
# **Split** the list of files, each class by itself, and only then load. What is split once cannot leak.

# %% tags=["solution"]
rng, split = np.random.default_rng(0), task.folder.parent / "split"
for name in sorted({file.parent.name for file in files}):
    own = [file for file in files if file.parent.name == name]
    for number, row in enumerate(rng.permutation(len(own))):
        share = number / len(own)
        part = "train" if share < 0.6 else "validation" if share < 0.8 else "test"
        place = split / part / name
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(own[row], place)

# %% tags=["solution"]
options = {"image_size": task.image_size, "seed": 0, "verbose": False}
train = keras.utils.image_dataset_from_directory(split / "train", **options)
validation = keras.utils.image_dataset_from_directory(split / "validation", **options)
test = keras.utils.image_dataset_from_directory(split / "test", **options)
class_names = train.class_names
train, validation = train.prefetch(tf.data.AUTOTUNE), validation.cache().prefetch(tf.data.AUTOTUNE)
test = seal(test)

# %% [markdown] tags=["solution"]
# **Build.** Raw pixels go in. The model itself flips them and scales them.

# %% tags=["solution"]
keras.utils.set_random_seed(0)
shape = (*task.image_size, 3)
base = keras.applications.MobileNetV2(include_top=False, weights=task.weights, alpha=task.alpha, input_shape=shape)
base.trainable = False
image = keras.Input(shape)
x = keras.layers.RandomFlip("horizontal")(image)
x = keras.applications.mobilenet_v2.preprocess_input(x)
x = base(x)
x = keras.layers.GlobalAveragePooling2D()(x)
x = keras.layers.Dropout(0.2)(x)
model = keras.Model(image, keras.layers.Dense(len(class_names), activation="softmax")(x))
model.save("start.keras")

# %% [markdown] tags=["solution"]
# **Phase 1.** Only the head learns.

# %% tags=["solution"]
common = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
model.compile(keras.optimizers.Adam(1e-3), **common)
stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
history1 = model.fit(train, validation_data=validation, epochs=10, callbacks=[stop], verbose=0)
model.save("phase1.keras")
print(f"phase 1: validation accuracy {max(history1.history['val_accuracy']):.3f}")

# %% [markdown] tags=["solution"]
# **Phase 2.** Open the top, hold every BatchNorm layer still, then compile, at a tenth of the rate.

# %% tags=["solution"]
base.trainable = True
for number, layer in enumerate(base.layers):
    is_low = number < len(base.layers) - 30
    if is_low or isinstance(layer, keras.layers.BatchNormalization):
        layer.trainable = False
model.compile(keras.optimizers.Adam(1e-4), **common)
stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
history2 = model.fit(train, validation_data=validation, epochs=10, callbacks=[stop], verbose=0)
model.save("final.keras")
print(f"phase 2: validation accuracy {max(history2.history['val_accuracy']):.3f}")

# %% [markdown] tags=["solution"]
# **Test**, once, what was saved.

# %% tags=["solution"]
test_result = keras.models.load_model("final.keras").evaluate(test, verbose=0, return_dict=True)

# %% [markdown]
# ## Hand over
#
# Put your own names in place of each `...`. A check that *waits* is looked at when another one is right. Ask as often as you
# like. Asking does not break the seal.

# %% tags=["exercise"]
handed_over = {"parts": ..., "class_names": ..., "histories": ..., "test_result": ...}
# solution
handed_over = {
    "parts": (train, validation, test),
    "class_names": class_names,
    "histories": (history1, history2),
    "test_result": test_result,
}

# %%
models = ("start.keras", "phase1.keras", "final.keras")
findings = examine(task.folder, models=models, bar=task.bar, **handed_over)

# %% [markdown]
# ## When all have passed
#
# The table cannot see whether you chose well, or whether you looked at your pictures. Write half a page: which pictures are
# wrong, how wide the interval is, and what the model must not be used for.
#
# The same with pictures of your own: give `examine` your folder, and a bar that you set before you train.

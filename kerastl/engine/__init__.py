"""What happens between the images and the trained weights. Open the files in the order in which an image passes.

    split.py      where the model is cut: what training cannot change, and what it can
    frozen.py     the part below the cut, and what it remembers
    batches.py    what it gave, kept or computed anew, as batches for the part that learns
    callbacks.py  what is added to Keras's own `fit`, epoch by epoch
    train.py      the training itself

Beside the way: `fold.py`, by which what is frozen takes less time; `arguments.py`, what is looked at before training;
`compiling.py`, the loss and the optimizer; `witness.py`, which looks at images while they are read; `digest.py`, many
numbers in a short text. And, for a run that may be broken off: `backup.py`, the state on the disk; `chance.py`, where
random numbers come from; `identity.py`, by which a run knows that the state is its own.
"""

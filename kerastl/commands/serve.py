"""`python -m kerastl serve`: a page on this machine that says what is in a picture."""

from pathlib import Path

from kerastl.answers import Answers
from kerastl.commands.printing import printable
from kerastl.images import load_images
from kerastl.inputs import as_model_takes, check_classes
from kerastl.local_server import LocalServer
from kerastl.saving import load

MOST_PICTURES = 1000


def run(args) -> None:
    """Serve the page until Ctrl-C."""
    if not 0 <= args.port < 2**16:
        raise ValueError(f"Received --port {args.port}. Expected a number from 0 to 65535; 0 takes a free one.")
    saved, pictures = load(args.model), None
    if args.pictures is not None:
        print("reading the training pictures …", flush=True)
        data = load_images(args.pictures, batch_size=50, **as_model_takes(saved.model))
        check_classes(data, saved.class_names, args.pictures)
        pictures = data.train.take(MOST_PICTURES // 50)
    answers = Answers(saved, pictures)
    model = {"name": Path(args.model).name, "class_names": saved.class_names}
    try:
        server = LocalServer(answers, model, args.port)
    except OSError as error:
        raise OSError(
            f"Port {args.port} cannot be used ({error.strerror}). Choose another --port; 0 takes a free one."
        ) from None
    with server:
        try:
            print(f"http://127.0.0.1:{server.port}/  Open it in a browser on this machine. Ctrl-C ends it.", flush=True)
            server.serve_forever()
        except KeyboardInterrupt:
            print(f"\n{printable(model['name'])} is no longer served")

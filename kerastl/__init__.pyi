"""What editors and type checkers see of the front door: each name of `_HOME`, imported from its home."""

from kerastl.bases import BASES as BASES
from kerastl.blocks import list_blocks as list_blocks
from kerastl.calibration import fit_temperature as fit_temperature
from kerastl.comparing import compare_bases as compare_bases
from kerastl.data import ImageData as ImageData
from kerastl.data import TextData as TextData
from kerastl.evaluation import evaluate as evaluate
from kerastl.explain import grad_cam as grad_cam
from kerastl.exporting import export as export
from kerastl.features import extract_features as extract_features
from kerastl.freezing import changed_layers as changed_layers
from kerastl.freezing import freeze as freeze
from kerastl.freezing import snapshot as snapshot
from kerastl.freezing import unfreeze_top as unfreeze_top
from kerastl.image_check import check_images as check_images
from kerastl.images import load_images as load_images
from kerastl.in_use import without_augmentation as without_augmentation
from kerastl.model import build_model as build_model
from kerastl.plots.bases import plot_comparison as plot_comparison
from kerastl.plots.doubles import plot_doubles as plot_doubles
from kerastl.plots.features import plot_features as plot_features
from kerastl.plots.history import plot_history as plot_history
from kerastl.plots.layers import plot_layers as plot_layers
from kerastl.plots.pictures import plot_augmentation as plot_augmentation
from kerastl.plots.pictures import plot_heat as plot_heat
from kerastl.plots.pictures import plot_images as plot_images
from kerastl.plots.pictures import plot_mistakes as plot_mistakes
from kerastl.plots.rates import plot_learning_rates as plot_learning_rates
from kerastl.plots.scores import plot_calibration as plot_calibration
from kerastl.plots.scores import plot_confusion as plot_confusion
from kerastl.plots.transfer import explain_transfer as explain_transfer
from kerastl.prediction import predict as predict
from kerastl.rates import find_learning_rate as find_learning_rate
from kerastl.saving import load as load
from kerastl.saving import save as save
from kerastl.texts import load_texts as load_texts
from kerastl.training import fine_tune as fine_tune
from kerastl.training import train_from_scratch as train_from_scratch
from kerastl.training import train_head as train_head

__version__: str

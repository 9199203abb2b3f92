"""The suite: which tasks the prior is fitted on."""

from tune_metalr.metalr.meta_training import images, sequences, teachers
from tune_metalr.metalr.meta_training.task import Task

TASKS = (
    Task(
        name="digits",
        family="images",
        num_classes=images.NUM_CLASSES,
        batch_size=32,
        horizons_steps=(120, 400),
        make_split=images.digits_split,
        make_network=images.digits_network,
    ),
    Task(
        name="textures",
        family="images",
        num_classes=images.NUM_CLASSES,
        batch_size=32,
        horizons_steps=(120, 400, 1200),
        make_split=images.texture_split,
        make_network=images.texture_network,
    ),
    Task(
        name="teacher",
        family="vectors",
        num_classes=teachers.NUM_CLASSES,
        batch_size=32,
        horizons_steps=(120, 400, 1200),
        make_split=teachers.teacher_split,
        make_network=teachers.teacher_network,
    ),
    Task(
        name="keywords",
        family="sequences",
        num_classes=sequences.NUM_CLASSES,
        batch_size=32,
        horizons_steps=(200, 400),
        make_split=sequences.keyword_split,
        make_network=sequences.keyword_network,
    ),
)

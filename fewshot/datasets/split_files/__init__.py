"""Published split files, by class (base, validation, novel) or by image (train, val, test).

=======================================================  ==========================  ==============
format                                                   example                     read by
=======================================================  ==========================  ==============
``{base: [...], validation: [...], novel: [...]}``       this package's YAML/JSON    classes
``{"train": [...], "valid": [...], "test": [...]}``      Meta-Dataset                classes
CSV with the columns class, part                                                     classes
``train.txt``, ``val.txt``, ``test.txt`` in a folder     a class a line              classes
``train.csv``, ``val.csv``, ``test.csv`` in a folder     miniImageNet, LibFewShot    classes, images
CSV with the columns filename, label, subset             Kaggle, pandas              images
``path label`` a line                                    Caffe                       images
``{"train": [[path, label, classname], ...], ...}``      CoOp                        images
``{"train": [{"impath", "label", "classname"}], ...}``   CoOp's followers            images
``{"train": {"data": [...], "indices": [...]}, ...}``    cross_modal_adaptation      images
``{"image_names", "image_labels", "label_names"}``       A Closer Look at Few-shot   images
``{"class_names": [...], "class_roots": [...]}``         easyfsl                     images
``{class: [path, ...], ...}``                                                        images
a JSON object a line                                     metadata.jsonl              images
=======================================================  ==========================  ==============

The words for parts and subsets are those of :mod:`fewshot.datasets.parts`, the names of columns and
keys those of :mod:`fewshot.datasets.split_files.columns`.
"""

from fewshot.datasets.split_files.classes import read_class_split
from fewshot.datasets.split_files.images import ImageList, read_image_list

__all__ = ["ImageList", "read_class_split", "read_image_list"]

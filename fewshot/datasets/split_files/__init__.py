"""Published split files, by class (base, validation, novel) or by image (train, val, test).

====================================================  ========================  ==============
format                                                example                   read by
====================================================  ========================  ==============
``{base: [...], validation: [...], novel: [...]}``    this package's YAML/JSON  classes
``{"train": [...], "valid": [...], "test": [...]}``   Meta-Dataset              classes
CSV with the columns class, part                                                classes
``train.txt``, ``val.txt``, ``test.txt`` in a folder  a class a line            classes
``train.csv``, ``val.csv``, ``test.csv`` in a folder  miniImageNet              classes, images
``{"train": [[path, label, classname], ...], ...}``   CoOp                      images
CSV with the columns filename, label, subset                                    images
====================================================  ========================  ==============
"""

from fewshot.datasets.split_files.classes import read_class_split
from fewshot.datasets.split_files.images import ImageList, read_image_list

__all__ = ["ImageList", "read_class_split", "read_image_list"]
